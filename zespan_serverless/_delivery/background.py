"""The thread that flushes in the background, on hosts whose process keeps running after a response.

It is a second thread beside the sender, because another thread has to abort a request that takes too long.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .._base import threads
from .._base.guard import pass_on
from .waiters import FLUSH_MAX

if TYPE_CHECKING:
    from .accounts import Accounts
    from .flushing import Flushing

LINGER = 0.2
"""Seconds before a background flush begins, so that other invocations can share it."""


class Background:
    """All methods are called without the lock, unless they say otherwise.

    `_timeout`: seconds that the next flush may take; 0 if none has been asked for. `_shift` identifies the thread that
    is on duty, or is being started: one that finds another in its place ends.
    """

    __slots__ = ("_accounts", "_flushing", "_shift", "_thread", "_timeout")

    def __init__(self, accounts: Accounts, flushing: Flushing) -> None:
        self._accounts, self._flushing = accounts, flushing
        self.clear()

    def clear(self) -> None:
        """Begin anew; a running thread ends by itself."""
        self._shift: object = None
        self._thread: threading.Thread | None = None
        self._timeout = 0.0

    def retire(self) -> None:
        """Let the thread end after its flush (lock held)."""
        self._shift = None

    def dismiss(self) -> threading.Thread | None:
        """Let the thread end now, and return it (lock held)."""
        thread = self._thread
        self.clear()
        if waiter := self._accounts.background_waiter:
            waiter.cancelled = True
        return thread

    def ask(self, timeout: float, *, wait: bool) -> None:
        """See `Delivery.flush_in_background`."""
        if self._timeout and self._shift is not None:
            return
        if self._accounts.is_reentrant():
            self._timeout = timeout
            return
        with self._accounts.lock:
            self._timeout = timeout
            self._accounts.wakeups.notify_all()
        if not self._ensure_thread() and wait:
            self._flushing.flush(timeout)

    def _ensure_thread(self) -> bool:
        """Start the thread, unless there is one. False where no thread can be started."""
        shift = object()
        try:
            with self._accounts.lock:
                if self._shift is not None or self._accounts.closed:
                    return self._shift is not None
                self._shift = shift
            self._thread = threads.start("zespan-flush", self._run, shift)
        except BaseException as error:
            if self._shift is shift:
                self._shift = None
            if not isinstance(error, RuntimeError):
                raise
            pass_on(error)  # no threads on this platform, or no more, or the interpreter is shutting down
        return self._shift is not None

    def _run(self, shift: object) -> None:
        wakeup = threading.Lock()
        try:
            self._background_loop(shift, wakeup)
        finally:
            with self._accounts.lock:
                self._accounts.wakeups.unregister(wakeup)
                if self._shift is shift:
                    self._shift = None

    def _background_loop(self, shift: object, wakeup: threading.Lock) -> None:
        while True:
            with self._accounts.lock:
                if self._shift is not shift:  # checked with the lock held: the wakeup for it comes only once
                    return
                asked = bool(self._timeout)
                self._accounts.wakeups.register(wakeup)
            if not asked:
                wakeup.acquire(timeout=FLUSH_MAX)
                continue
            self._wait_until(time.monotonic() + LINGER, shift, wakeup)
            with self._accounts.lock:
                if self._shift is not shift:
                    return
                timeout, self._timeout = self._timeout, 0.0
            self._flush(timeout, shift, wakeup)

    def _flush(self, timeout: float, shift: object, wakeup: threading.Lock) -> None:
        report = self._flushing.flush(timeout, in_background=True)
        if report.delivered or report.parked or report.dropped or report.pending:  # else another flush has reported all
            self._flushing.notify(report, timeout)
        if report.pending:
            until = time.monotonic() + self._accounts.settings.flush_interval
            self._wait_until(until, shift, wakeup, or_asked=True)
            self._timeout = self._timeout or timeout

    def _wait_until(self, until: float, shift: object, wakeup: threading.Lock, *, or_asked: bool = False) -> None:
        """Wait until this time (monotonic), the end of the shift, or, with `or_asked`, the request for a flush."""
        while True:
            with self._accounts.lock:
                if self._shift is not shift or (or_asked and self._timeout):
                    return
                self._accounts.wakeups.register(wakeup)
            if not wakeup.acquire(timeout=max(until - time.monotonic(), 0.0)):
                return
