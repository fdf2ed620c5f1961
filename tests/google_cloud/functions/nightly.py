"""A job: its task's work depends on WORK."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from types import FrameType

from zespan_serverless import span, zespan_job


@zespan_job
def main() -> int:
    with span("work"):
        match os.environ.get("WORK"):
            case "fail":
                raise ValueError("boom")
            case "exit 0":
                sys.exit(0)
            case "exit 3":
                sys.exit(3)
            case "wait":
                say("waiting")
                time.sleep(20)
            case "handler":
                signal.signal(signal.SIGTERM, leave)
                say("waiting")
                time.sleep(20)
    return 7


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def leave(number: int, frame: FrameType | None) -> None:
    sys.exit(5)


@zespan_job(tags={"kind": "async"})
async def main_async() -> int:
    with span("work"):
        await asyncio.sleep(0.01)
    return 8


@zespan_job
async def many() -> list[int]:
    """Steps at once, in tasks and threads."""

    def step(number: int) -> int:
        with span(f"step {number}"):
            time.sleep(0.01)
        return number

    return await asyncio.gather(*[asyncio.to_thread(step, number) for number in range(8)])


if __name__ == "__main__":
    match os.environ.get("WORK"):
        case "async":
            assert asyncio.run(main_async()) == 8
        case "many":
            assert asyncio.run(many()) == list(range(8))
        case _:
            assert main() == 7
    say("done")
