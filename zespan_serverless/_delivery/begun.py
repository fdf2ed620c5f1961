"""A flush that no thread waits for: it begins, notifies an event loop when it is done, and is ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .._base import threads
from .._base.guard import pass_on
from .waiters import FlushWaiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._base.reports import FlushReport
    from .accounts import Accounts
    from .flushing import Flushing


def begin(accounts: Accounts, timeout: float, done: Callable[[], object]) -> FlushWaiter:
    """See `Delivery.begin_flush`."""
    has_thread = accounts.worker.ensure_thread()
    with accounts.lock:
        accounts.drain_intake()
        waiter = FlushWaiter(accounts.buffer.last_number, len(accounts.buffer), timeout, done)
        waits = waiter.pending and timeout > 0 and has_thread
        if waits:
            accounts.waiters.add(waiter)
            accounts.end_async_flushes()
            accounts.wakeups.notify_all()
    accounts.after_release()
    if not waits:
        done()
    return waiter


def end(accounts: Accounts, flushing: Flushing, waiter: FlushWaiter) -> FlushReport:
    """End the flush, finished or not."""
    with accounts.lock:
        accounts.waiters.remove(waiter)
        report = flushing.report(waiter, accounts.breaker.blocked(time.time()) or "deadline")
    if waiter.pending and not waiter.time_left() > 0:
        try:  # not here: it may take a moment, and this is the event loop
            threads.start("zespan-abort", flushing.abort, waiter)
        except RuntimeError as error:  # no threads, and so no sender that could hang
            pass_on(error)
    return report
