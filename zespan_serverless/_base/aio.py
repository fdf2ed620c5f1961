"""What is asynchronous about functions: which are, and how to wait without blocking the event loop they run on."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from .guard import pass_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._process.container import Container

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


async def flushed(container: Container, budget: float) -> None:
    """Wait until everything captured so far is settled, for `budget` seconds at most; the event loop goes on."""
    delivery = container.delivery
    if _trio() is not None:
        delivery.tell(await in_thread(lambda: delivery.flush(budget)), 0)
        return
    import asyncio

    loop = asyncio.get_running_loop()
    settled = asyncio.Event()

    def done() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(settled.set)

    waiter = delivery.flush_then(budget, done)
    try:
        async with asyncio.timeout(budget):
            await settled.wait()
    except TimeoutError as error:
        pass_on(error)  # alarms raise the same
    finally:
        delivery.tell(delivery.settled(waiter), 0)


async def in_thread(work: Callable[[], T]) -> T:
    """Have a thread do what would block the event loop."""
    trio = _trio()
    if trio is not None:
        return await trio.to_thread.run_sync(work)  # type: ignore[no-any-return]
    import asyncio

    return await asyncio.to_thread(work)


def _trio() -> Any:
    """Its module, if it runs the application, as hypercorn can have it do; None on asyncio's loops."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return sys.modules["trio"]
    return None
