"""A RunPod worker. HOW is what traces it: `room`, `init`. A job's `input` says what its handler does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import runpod

import zespan_serverless
from zespan_serverless import capture, zespan_runpod

KIND, HOW = os.environ["KIND"], os.environ["HOW"]

if HOW == "init":
    zespan_serverless.init()


def ask(job: Any) -> Any:
    """Capture an event, and do what the job says."""
    capture({"operation": job["id"]})
    if job["input"].get("raises"):
        raise LookupError("mine")
    return {"error": "no such page"} if job["input"].get("refuses") else {"answer": job["id"]}


def sync(job: Any) -> Any:
    return ask(job)


async def coroutine(job: Any) -> Any:
    await asyncio.sleep(job["input"].get("seconds", 0))
    return ask(job)


def generator(job: Any) -> Iterator[Any]:
    capture({"operation": job["id"]})
    yield {"piece": 0}
    yield ask(job)
    if job["input"].get("refuses"):
        capture({"operation": "after the error"})  # never, because RunPod asks for no more pieces


async def async_generator(job: Any) -> AsyncIterator[Any]:
    capture({"operation": job["id"]})
    yield {"piece": 0}
    await asyncio.sleep(job["input"].get("seconds", 0))
    yield ask(job)


def concurrency(current: int) -> int:
    return int(os.environ.get("CONCURRENCY", "1"))


if __name__ == "__main__":
    handler = globals()[KIND]
    handler = zespan_runpod(handler) if HOW == "room" else handler
    options = {"return_aggregate_stream": True, "concurrency_modifier": concurrency}
    runpod.serverless.start({"handler": handler, **options})
