"""What is killed in the chaos run: a Lambda function, and a process of its own, that note what they have captured.

python -m tests.chaos.work FOLDER IDS SEED
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import threading
import time
import uuid
from typing import Any

from zespan_serverless import capture, flush, init, span, zespan_lambda


def captured(path: str, size: int = 10) -> None:
    """Capture an event, and note its id once that has returned: from then on it may not be lost."""
    name = str(uuid.uuid4())
    capture({"event_id": name, "operation": "chaos", "metadata": {"text": "x" * size}})
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{name}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)


def end(how: str) -> None:
    match how:
        case "exit":
            os._exit(1)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            ctypes.string_at(0)
        case "raise":
            raise ValueError("made up")
        case "leave":
            sys.exit(3)
        case "sleep":
            time.sleep(60)


def later(path: str, count: int) -> None:
    for _ in range(count):
        time.sleep(0.02)
        captured(path)


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> str:
    """Captures `count` events, `late` more in a thread that outlives the invocation, and ends in the way `how`."""
    for number in range(event["count"]):
        with span("step"):
            captured(event["ids"], event["size"])
        time.sleep(event["pause"] if number % 8 == 0 else 0)
    if event["late"]:
        threading.Thread(target=later, args=(event["ids"], event["late"]), daemon=True).start()
    end(event["how"])
    return "answered"


def main(folder: str, ids: str, seed: str) -> None:
    chance = random.Random(seed)
    init(journal=folder, flush_interval=chance.choice([0.1, 1.0, 3600.0]))
    child = os.fork() if chance.random() < 0.2 else None
    if child == 0:
        chance = random.Random(seed + " child")
    for _ in range(chance.randrange(1, 80)):
        captured(ids, chance.choice([10, 10, 1000, 20_000]))
        if chance.random() < 0.05:
            flush(chance.choice([0.0, 0.05, 0.3]))
        if chance.random() < 0.1:
            time.sleep(0.01)
    end(chance.choice(["exit", "kill", "segfault", "return", "leave", "sleep"]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
