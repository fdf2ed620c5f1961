"""Handlers that yield their response in pieces, for a runtime that streams it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from zespan_serverless import span, zespan_lambda


@zespan_lambda
def handler(event: Any, context: Any) -> Iterator[bytes]:
    for number in range(event.get("pieces", 3)):
        with span("piece"):
            pass
        yield f"{number}\n".encode().ljust(event.get("size", 0))
        time.sleep(event.get("pause", 0))
        if number == event.get("fails"):
            raise LookupError("mine")


@zespan_lambda
async def asynchronous(event: Any, context: Any) -> AsyncIterator[bytes]:
    for number in range(event.get("pieces", 3)):
        with span("piece"):
            await asyncio.sleep(0)
        yield f"{number}\n".encode().ljust(event.get("size", 0))
        await asyncio.sleep(event.get("pause", 0))
        if number == event.get("fails"):
            raise LookupError("mine")
