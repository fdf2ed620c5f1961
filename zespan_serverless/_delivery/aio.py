"""Wait for a flush without blocking the event loop."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from .._base import aio
from .._base.guard import pass_on

if TYPE_CHECKING:
    from .delivery import Delivery
    from .several import Several


async def flush_async(delivery: Delivery | Several, budget: float) -> None:
    """Wait until everything captured so far is settled, for at most `budget` seconds. `on_flush` is notified."""
    if sys.platform != "emscripten" and (aio.trio() is not None or _clock_stands_still()):
        delivery.notify(await aio.in_thread(lambda: delivery.flush(budget)), 0)
        return
    import asyncio

    loop = asyncio.get_running_loop()
    settled = asyncio.Event()

    def done() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(settled.set)

    end = delivery.begin_flush(budget, done)
    try:
        async with asyncio.timeout(budget):
            await settled.wait()
    except TimeoutError as error:
        pass_on(error)  # alarms raise the same
    finally:
        delivery.notify(end(), 0)


def _clock_stands_still() -> bool:
    """Whether a test has stopped the clock of the event loop, whose timeouts then never come."""
    return time.monotonic() == time.monotonic()
