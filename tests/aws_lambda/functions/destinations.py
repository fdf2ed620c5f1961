"""Functions whose events go to two backends: that of the environment, and SECOND_URL."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import Any

from zespan_serverless import span, zespan_lambda
from zespan_serverless.exporters.zespan import ZespanExporter

SECOND = ZespanExporter(os.environ["SECOND_URL"], "zsp_second")


def act(event: dict[str, Any]) -> str:
    with span(event.get("name", "step")):
        pass
    if "late" in event:
        threading.Thread(target=later, args=(event["late"],)).start()
    if event.get("kill"):
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    return "answered"


def later(seconds: float) -> None:
    """Work that goes on after the response."""
    time.sleep(seconds)
    with span("late"):
        pass


@zespan_lambda(exporter=["zespan", SECOND])
def handler(event: dict[str, Any], context: Any) -> str:
    return act(event)


@zespan_lambda(exporter=["zespan", SECOND])
async def asynchronous(event: dict[str, Any], context: Any) -> str:
    await asyncio.sleep(0)
    return act(event)
