"""What is asynchronous about functions: which are, and how to wait without blocking the event loop they run on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine. A plain function is not worth importing inspect, 3 ms of a cold start."""
    code = getattr(function, "__code__", None)
    if code is not None and "inspect" not in sys.modules:  # without which nobody can have marked it as async, either
        return bool(code.co_flags & 0x80)  # CO_COROUTINE
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def kind(function: Callable[..., Any]) -> str:
    """What calling it gives: `generator`, `async generator`, `coroutine`, or anything else."""
    code = getattr(function, "__code__", None)
    if code is None:  # a partial, an object that can be called
        import inspect

        call = function if inspect.isroutine(function) or hasattr(function, "func") else type(function).__call__
        generates = inspect.isgeneratorfunction(call), inspect.isasyncgenfunction(call)
    else:
        generates = bool(code.co_flags & 0x20), bool(code.co_flags & 0x200)  # CO_GENERATOR, CO_ASYNC_GENERATOR
    if any(generates):
        return "generator" if generates[0] else "async generator"
    return "coroutine" if is_async(function) else ""


async def in_thread(work: Callable[[], T]) -> T:
    """Have a thread do what would block the event loop."""
    module = trio()
    if module is not None:
        return await module.to_thread.run_sync(work)  # type: ignore[no-any-return]
    import asyncio

    return await asyncio.to_thread(work)


def trio() -> Any:
    """Its module, if it runs the application, as hypercorn can have it do; None on asyncio's loops."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return sys.modules["trio"]
    return None
