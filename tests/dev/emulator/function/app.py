"""A handler without our package: what the sandbox does to it shows what the sandbox does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any


def terminated(*_: object) -> None:
    os.write(1, b"handled SIGTERM\n")
    os._exit(143)


signal.signal(signal.SIGTERM, terminated)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    print("called with", event)
    match event:
        case {"sleep": seconds}:
            time.sleep(seconds)
        case {"raise": message}:
            raise ValueError(message)
        case {"exit": code}:
            os._exit(code)
        case {"tick": _}:
            threading.Thread(target=_tick, daemon=True).start()
        case {"spawn": seconds}:
            stubborn = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep({seconds})"
            child = subprocess.Popen([sys.executable, "-S", "-c", stubborn])
            time.sleep(0.2)  # until it ignores SIGTERM
            return {"pid": child.pid}
        case {"leave": name}:
            Path(tempfile.gettempdir(), name).touch()
    return {
        "pid": os.getpid(),
        "remaining_ms": context.get_remaining_time_in_millis(),
        "env": dict(os.environ),
        "tmp": sorted(os.listdir(tempfile.gettempdir())),  # noqa: PTH208 (names only)
    }


def _tick() -> None:
    ticks = Path(tempfile.gettempdir(), "ticks")
    while True:
        with ticks.open("a") as file:
            file.write(".")
        time.sleep(0.01)
