"""The same work, about 20 ms of it, in every form that Lambda takes."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from zespan_serverless import capture, zespan_lambda


def work() -> None:
    time.sleep(0.02)
    capture({"span_kind": "llm", "operation": "chat"})


@zespan_lambda
def sync(event: Any, context: Any) -> str:
    work()
    return "done"


@zespan_lambda
async def asynchronous(event: Any, context: Any) -> str:
    await asyncio.sleep(0.02)
    capture({"span_kind": "llm", "operation": "chat"})
    return "done"


@zespan_lambda
def exception(event: Any, context: Any) -> str:
    work()
    raise ValueError("made up")


@zespan_lambda
def threads(event: Any, context: Any) -> str:
    with ThreadPoolExecutor(16) as pool:
        for _ in range(16):
            pool.submit(work)
    return "done"
