"""The work of each function: model calls by the `openai` package, and the faults that a part of the comparison needs.

The event names the calls, so that the backend finds them in the prompts of the events that it gets, and nowhere else.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from openai import OpenAI

MODEL = "gpt-4o-mini"


def client(kind: Any = OpenAI) -> Any:
    """Return a client of the stand-in for the model."""
    return kind(api_key="none", base_url=os.environ["BENCH_MODEL"], max_retries=0, timeout=120)


def work(client: Any, event: dict[str, Any]) -> dict[str, Any]:
    """Make the calls of an invocation, one after the other."""
    first = pieces = read = 0.0
    for number in range(event.get("calls", 1)):
        began = time.perf_counter()
        answer = client.chat.completions.create(**request(event, number))
        if event.get("stream"):
            for _ in answer:
                first, pieces = first or time.perf_counter() - began, pieces + 1
            read = time.perf_counter() - began - first
    if event.get("crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"ok": True, "first_ms": first * 1000, "piece_us": read * 1e6 / pieces if pieces else 0.0}


def request(event: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the arguments of a model call."""
    prompt = f"Say hello to mk{event['call']}{number:04x}. " + "x" * event.get("prompt_bytes", 0)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
    return {"model": MODEL, "messages": messages} | ({"stream": True} if event.get("stream") else {})
