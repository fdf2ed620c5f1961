"""Async helpers: detect coroutine functions and generators; wait without blocking the event loop."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call of the function returns a coroutine."""
    code = getattr(function, "__code__", None)
    # Importing inspect takes 3 ms of a cold start. A function can only have been marked as async if inspect is loaded.
    if code is not None and "inspect" not in sys.modules:
        return bool(code.co_flags & 0x80)  # CO_COROUTINE
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def kind(function: Callable[..., Any]) -> str:
    """Return what a call of the function returns: `generator`, `async generator`, `coroutine`, or empty otherwise."""
    code = getattr(function, "__code__", None)
    if code is None:  # a partial, or an object with a `__call__`
        import inspect

        call = function if inspect.isroutine(function) or hasattr(function, "func") else type(function).__call__
        generates = inspect.isgeneratorfunction(call), inspect.isasyncgenfunction(call)
    else:
        generates = bool(code.co_flags & 0x20), bool(code.co_flags & 0x200)  # CO_GENERATOR, CO_ASYNC_GENERATOR
    if any(generates):
        return "generator" if generates[0] else "async generator"
    return "coroutine" if is_async(function) else ""


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread, and wait for its result without blocking the event loop (asyncio or trio)."""
    module = trio()
    if module is not None:
        return await module.to_thread.run_sync(work)  # type: ignore[no-any-return]
    import asyncio

    return await asyncio.to_thread(work)


def trio() -> Any:
    """Return the module trio if it runs the calling coroutine, as under hypercorn; None if an asyncio loop does."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return sys.modules["trio"]
    return None
