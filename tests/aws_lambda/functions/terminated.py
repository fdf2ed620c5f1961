"""A function that minds SIGTERM itself: USER_HANDLER says how its handler ends, SET_AT import or in the handler."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import Any

from zespan_serverless import capture, zespan_lambda


def model_call() -> None:
    capture({"span_kind": "llm", "operation": "chat"})


def users(number: int, frame: Any) -> None:
    os.write(1, b"USER HANDLER\n")
    match os.environ["USER_HANDLER"]:
        case "sys.exit":
            sys.exit(3)
        case "os._exit":
            os._exit(3)


if os.environ.get("SET_AT") == "import":
    signal.signal(signal.SIGTERM, users)


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> str:
    model_call()
    if os.environ.get("SET_AT") == "call":
        signal.signal(signal.SIGTERM, users)
    match event:
        case {"sleep": seconds}:
            time.sleep(seconds)
        case {"late": seconds}:
            threading.Timer(seconds, model_call).start()
        case {"fork": "os"}:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        case {"fork": "multiprocessing"}:
            child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0.01,))
            child.start()
            child.join()
    return "answered"


@zespan_lambda
async def with_signals(event: dict[str, Any], context: Any) -> str:
    """Uses the loop's signal handlers, as asyncio servers and subprocess managers do."""
    model_call()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        loop.add_signal_handler(number, lambda: None)
    await asyncio.sleep(0)
    if event.get("remove", True):
        for number in (signal.SIGTERM, signal.SIGUSR1):
            loop.remove_signal_handler(number)
    return "answered"
