"""What the applications have in common: each serves the same paths, traced unless TRACED=0.

A `gate` is a file that the test makes when the application may go on: nothing here depends on how long things take.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

TRACED = os.environ.get("TRACED") != "0"
PIECES = 3
WAIT = 8.0  # seconds for a gate: then the test has failed anyway


def reached(gate: str, name: str) -> None:
    if gate:
        Path(gate, name).touch()


def exists(gate: str, name: str) -> bool:
    return Path(gate, name).exists()


def wait(gate: str, name: str) -> None:
    end = time.monotonic() + WAIT
    while gate and not Path(gate, name).exists() and time.monotonic() < end:
        time.sleep(0.005)


async def wait_async(gate: str, name: str) -> None:
    end = time.monotonic() + WAIT
    while gate and not exists(gate, name) and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
