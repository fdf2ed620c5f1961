"""What a task does in these tests: it captures events, and notes their ids.

The notes are files beside IDS, of one line each: what has been captured (`id pid`), which attempts have begun (`span
pid`), which events the package has counted as dropped (`id span`), and which processes kill themselves (`pid`).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from zespan_serverless import capture, traceparent
from zespan_serverless.types import Dropped


def captured(**metadata: Any) -> None:
    """Capture an event, and write its id to a file once that has returned: from then on it may not be lost."""
    name = str(uuid.uuid4())
    capture({"event_id": name, "operation": "inside", "metadata": metadata})
    _note("", f"{name} {os.getpid()}")


def dropped(report: Dropped) -> None:
    """Note the events that will never be sent: `on_error` of the workers. At once, as the process may end any time."""
    events = [json.loads(payload) for payload in report.payloads]
    _note(" dropped", "\n".join(f"{event['event_id']} {event['span_id']}" for event in events))


def killed() -> None:
    """Note that this process will be killed: it can count nothing that it has not sent."""
    _note(" killed", str(os.getpid()))


def chaos(revoke: Callable[[], object] = lambda: None) -> Iterator[float]:
    """Note the attempt, capture some events, and end in any way; yields the seconds that the task is to sleep.

    DEADLY is the probability that the attempt kills its process, which is not a property of the task: it may be tried
    again.
    """
    _note(" attempts", f"{(traceparent() or '---').split('-')[2] or '?'} {os.getpid()}")
    chance = random.Random()
    for number in range(chance.randrange(0, 12)):
        captured(number=number, text="x" * chance.choice([10, 10, 3000]))
        yield chance.choice([0, 0, 0.003])
    if chance.random() < float(os.environ["DEADLY"]):
        killed()
        if chance.random() < 0.5:
            os._exit(1)
        os.kill(os.getpid(), signal.SIGKILL)
    match chance.choice(["return"] * 26 + ["raise", "raise", "leave", "sleep", "revoke"]):
        case "raise":
            raise ValueError("made up")
        case "leave" if not _on_event_loop():  # which it would end
            sys.exit(3)
        case "sleep":
            yield from [0.01] * 6000  # until a time limit; the one of Dramatiq strikes between two instructions
        case "revoke":
            revoke()
            yield from [0.01] * 200


def _on_event_loop() -> bool:
    try:
        return bool(asyncio.get_running_loop())
    except RuntimeError:
        return False


def _note(name: str, line: str) -> None:
    file = os.open(os.environ["IDS"] + name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)
