"""What Python in WebAssembly asks of the JavaScript around it. Imported only there: nothing else has `pyodide`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .guard import pass_on

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable


def can_wait() -> bool:
    """Whether this call may wait for a promise, by suspending the whole stack (JSPI)."""
    if sys.platform != "emscripten":
        return False
    can_run_sync = getattr(import_module("pyodide.ffi"), "can_run_sync", bool)
    return bool(can_run_sync())


def wait(awaitable: Awaitable[Any]) -> Any:
    """Wait for a coroutine without being one, while other tasks go on."""
    return import_module("pyodide.ffi").run_sync(awaitable)


def keep(task: asyncio.Task[Any]) -> None:
    """Ask Cloudflare to let the request last until the task is done, also after the response; elsewhere do nothing."""
    workers = sys.modules.get("workers")
    if workers is None:
        return
    try:
        proxy = import_module("pyodide.ffi").create_proxy(task)
        task.add_done_callback(lambda _: proxy.destroy())
        workers.wait_until(proxy)
    except Exception as error:  # no request is being served: the task may still finish during the next one
        pass_on(error)
