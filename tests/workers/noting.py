"""What a task does in these tests: it captures events, and notes their ids."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from zespan_serverless import capture, traceparent


def captured(**metadata: Any) -> None:
    """Capture an event, and write its id to a file once that has returned: from then on it may not be lost."""
    name = str(uuid.uuid4())
    capture({"event_id": name, "operation": "inside", "metadata": metadata})
    _note(os.environ["IDS"], name)


def chaos(revoke: Callable[[], object] = lambda: None) -> Iterator[float]:
    """Note the attempt, capture some events, and end in any way; yields the seconds that the task is to sleep.

    DEADLY is the probability that the attempt kills its process, which is not a property of the task: it may be tried
    again.
    """
    _note(os.environ["IDS"] + " attempts", (traceparent() or "-" * 3).split("-")[2])
    chance = random.Random()
    for number in range(chance.randrange(0, 12)):
        captured(number=number, text="x" * chance.choice([10, 10, 3000]))
        yield chance.choice([0, 0, 0.003])
    if chance.random() < float(os.environ["DEADLY"]):
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


def _note(path: str, line: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)
