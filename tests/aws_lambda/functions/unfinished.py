"""Functions that do not get to their end, in the way that their event says."""

from __future__ import annotations

import asyncio
import collections
import ctypes
import itertools
import os
import signal
import sys
import time
from typing import Any

from zespan_serverless import capture, init, zespan_lambda

if "INIT" in os.environ:
    init()
if "MINDS_SIGTERM" in os.environ:
    signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM", flush=True))  # noqa: T201


def ask(prompt: str) -> None:
    """A model call that takes as long as the endpoint wants it to."""
    from openai import OpenAI

    OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])


def in_c_without_end() -> None:
    """Holds the GIL, and looks at no signal."""
    collections.deque(itertools.repeat(None), maxlen=0)


def eat() -> None:
    food: list[bytes] = []
    while True:
        food.append(b"\1" * 1_048_576)


def act(event: dict[str, Any]) -> None:
    match event:
        case {"sleep": seconds}:
            time.sleep(seconds)
        case {"ask": prompt}:
            ask(prompt)
        case {"block": _}:
            time.sleep(0.1)
            in_c_without_end()
        case {"catch": seconds}:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                try:
                    time.sleep(end - time.monotonic())
                except BaseException:
                    continue
        case {"exit": code}:
            time.sleep(0.1)
            os._exit(code)
        case {"kill": _}:
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        case {"segfault": _}:
            time.sleep(0.1)
            ctypes.string_at(0)
        case {"leave": code}:
            sys.exit(code)
        case {"eat": _}:
            time.sleep(0.1)
            eat()


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> str:
    capture({"span_kind": "tool", "operation": "look up"})
    if "until" in event:
        time.sleep(context.get_remaining_time_in_millis() / 1000 - event["until"])
    act(event)
    return "answered"


@zespan_lambda
async def asynchronous(event: dict[str, Any], context: Any) -> str:
    capture({"span_kind": "tool", "operation": "look up"})
    if "ask" in event:
        from openai import AsyncOpenAI

        messages: Any = [{"role": "user", "content": event["ask"]}]
        await AsyncOpenAI().chat.completions.create(model="gpt-4o-mini", messages=messages)
    await asyncio.sleep(event.get("sleep", 0))
    return "answered"
