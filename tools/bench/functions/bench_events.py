"""Captures events of 1 KB at a fixed rate, and prints as JSON what has become of them.

Arguments: events per second, seconds.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from zespan_serverless import capture, flush, init
from zespan_serverless._process import current

TICK = 0.01  # seconds between two bursts


def main(rate: int, seconds: float) -> None:
    """Capture, flush, and print."""
    init()
    capture(event(0))  # what is imported at the first event is not part of the measurement
    flush(10)
    container = current()
    assert container is not None
    delivery = container.delivery
    before, began, cpu, count, behind = delivery.delivered, time.monotonic(), time.process_time(), 0, 0.0
    while count < rate * seconds:
        due = min(rate * seconds, rate * (time.monotonic() - began))
        behind = max(behind, (due - count) / rate)
        while count < due:
            count += 1
            capture(event(count))
        time.sleep(TICK)
    at_end = delivery.delivered - before
    report = flush(10)
    used = time.process_time() - cpu
    found = {
        "captured": count,
        "at_end": at_end,
        "delivered": delivery.delivered - before,
        "dropped": sum(delivery.dropped.values()),
        "pending": report.pending,
        "cpu_us": round(used / count * 1e6, 1),
        "behind_ms": round(behind * 1000, 1),
    }
    print(json.dumps(found), flush=True)


def event(number: int) -> Any:
    """Return a model call that is 1 KB as JSON, with a name that the backend counts."""
    return {
        "span_kind": "llm",
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "latency_ms": 20,
        "input_tokens": 40,
        "output_tokens": 20,
        "prompt_text": f"Say hello to mk{number:012x}. " + "What is it? " * 12,
        "completion_text": "It is what it is. " * 14,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
