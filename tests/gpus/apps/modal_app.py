"""A Modal app, whose functions are traced."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import modal

from zespan_serverless import capture, zespan_modal

app = modal.App("demo")


def begin(given: dict[str, Any]) -> None:
    """Capture an event, and do what the input says."""
    capture({"operation": "inside"})
    if given.get("raises"):
        raise LookupError("mine")
    if given.get("seconds"):
        Path(os.environ["MARK"]).touch()


@app.function()
@zespan_modal
def sync(given: dict[str, Any]) -> str:
    begin(given)
    time.sleep(given.get("seconds", 0))
    return "done"


@app.function()
@zespan_modal
async def coroutine(given: dict[str, Any]) -> str:
    begin(given)
    await asyncio.sleep(given.get("seconds", 0))
    return "done"


@app.function()
@zespan_modal
def generator(given: dict[str, Any]) -> Iterator[str]:
    yield "piece"
    begin(given)
    yield "piece"
    time.sleep(given.get("seconds", 0))


@app.function()
@zespan_modal
async def async_generator(given: dict[str, Any]) -> AsyncIterator[str]:
    yield "piece"
    begin(given)
    yield "piece"
    await asyncio.sleep(given.get("seconds", 0))


@app.cls()
class Model:
    @modal.method()
    @zespan_modal
    def method(self, given: dict[str, Any]) -> str:
        begin(given)
        return "done"
