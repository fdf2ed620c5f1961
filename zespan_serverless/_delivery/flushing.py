"""How a flush waits: until the events captured before it are settled, or its deadline, whatever a socket does.

Concurrent flushes share requests. None of them returns early because another thread is sending.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .._base import log
from .waiters import FlushWaiter
from .worker import MOMENT, Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._base.reports import FlushReport
    from .accounts import Accounts

REPORTS_TIMEOUT = 1.5
"""Seconds that the end of a process waits for calls of `on_error` and log handlers in other threads.

Less than `sigterm.REPORT_TIMEOUT`, within which this happens when SIGTERM ends the process."""


class Flushing:
    """All methods are called without the lock, but for `_wait_step`."""

    __slots__ = ("_accounts", "_idle_seconds")

    def __init__(self, accounts: Accounts, idle_seconds: Callable[[], float]) -> None:
        self._accounts, self._idle_seconds = accounts, idle_seconds

    def flush(
        self, timeout: float, *, probe: bool = False, last: bool = False, in_background: bool = False
    ) -> FlushReport:
        """See `Delivery.flush`."""
        waiter, reason = self.wait_for_all(timeout, probe=probe, last=last, in_background=in_background)
        self.remove(waiter)
        report = self.report(waiter, reason)
        if self._accounts.settings.debug:
            log.line("flush-report", "flush: %s", report)
        return report

    def wait_for_all(
        self, timeout: float, *, probe: bool, last: bool = False, in_background: bool = False
    ) -> tuple[FlushWaiter, str]:
        """Wait for all events captured before this call. Returns the waiter, and why events are pending if any are.

        The waiter is still credited with the outcome of its events, until it is removed.
        """
        waiter, reason = self.join(timeout, probe=probe, last=last, in_background=in_background)
        return waiter, self.wait(waiter) if reason is None else reason

    def join(
        self, timeout: float, *, probe: bool, last: bool = False, in_background: bool = False
    ) -> tuple[FlushWaiter, str | None]:
        """Begin such a flush. The reason is None if there is something to wait for."""
        accounts, reason = self._accounts, ""
        reentrant = accounts.is_reentrant()
        with accounts.lock:
            if not reentrant:
                accounts.drain_intake()
            waiter = FlushWaiter(accounts.buffer.last_number, len(accounts.buffer), timeout)
            waiter.is_last = last
            waits = bool(waiter.pending or accounts.has_notices())
            if waits and not timeout > 0:
                waits, reason = False, "no_time"
            elif waits and (reentrant or accounts.worker.is_me):
                waits, reason = False, "stuck"  # called by on_error, an exporter or a finalizer: would wait for itself
            if not reentrant:
                accounts.waiters.add(waiter)
            if in_background:
                accounts.background_waiter = waiter
            if waits and probe:
                accounts.retry_at = 0.0
                accounts.buffer.probe_now()
                if not (last and accounts.parking is not None and accounts.parking.last_chance()):
                    accounts.breaker.probe_now()
        if not reentrant:
            accounts.after_release()
        return waiter, None if waits else reason

    def notify(self, report: FlushReport, timeout: float) -> None:
        """See `Delivery.notify`."""
        accounts = self._accounts
        if accounts.settings.on_flush is None or accounts.closed or accounts.is_reentrant():
            return
        if not accounts.worker.ensure_thread():
            return
        waiter = FlushWaiter(0, 0, timeout)
        with accounts.lock:
            accounts.notices.flushed(report)
            if not timeout > 0 or accounts.worker.is_me:
                accounts.wakeups.notify_all()
                return
            accounts.waiters.add(waiter)
        self.wait(waiter)
        self.remove(waiter)

    def wait_for_reports(self) -> bool:
        """Wait until `on_error` and the log have returned in other threads. Returns whether there was such a call."""
        waited = 0.0  # not measured by the clock, which may stand still
        while waited < REPORTS_TIMEOUT:
            with self._accounts.lock:
                if not self._accounts.notices.is_reported_elsewhere():
                    break
            time.sleep(MOMENT)
            waited += MOMENT
        return waited > 0

    def remove(self, waiter: FlushWaiter) -> None:
        """Credit no more events to this flush."""
        with self._accounts.lock:
            self._accounts.waiters.remove(waiter)

    def report(self, waiter: FlushWaiter, reason: str) -> FlushReport:
        """Return the report as of now; `reason` says why events are pending, if any are."""
        return waiter.report(reason, self._accounts.name)

    def wait(self, waiter: FlushWaiter) -> str:
        """Wait until the flush may return. Returns why events are pending; empty if none are."""
        while True:
            step = self.step(waiter)
            if isinstance(step, str):
                if step == "deadline":
                    self.abort(waiter)
                return step
            if step and not waiter.wakeup.acquire(timeout=step):
                waiter.waited += step  # not measured by the clock, which may stand still

    def step(self, waiter: FlushWaiter) -> str | float:
        """Return one step: why the flush may return, or seconds to wait for the next step, unless a wakeup comes."""
        accounts = self._accounts
        if accounts.worker.needs_thread:
            accounts.worker.ensure_thread()
        with accounts.lock:
            step = self._wait_step(waiter)
        accounts.after_release()
        if isinstance(step, Job):
            accounts.worker.run_job(step)
            return 0.0
        if not isinstance(step, str):
            self.abort_late(waiter)
        return step

    def _wait_step(self, waiter: FlushWaiter) -> str | Job | float:
        """Return why the flush may return, or a job to run (where no thread can be started), or seconds to wait."""
        accounts, worker = self._accounts, self._accounts.worker
        if accounts.intake:  # a finalizer has captured an event while this thread held the lock
            accounts.drain_intake()
        accounts.wakeups.unregister(waiter.wakeup)
        if not (waiter.pending or accounts.has_notices()):
            return ""
        seconds = waiter.time_left()
        if not seconds > 0 or waiter.cancelled:
            return "deadline"
        if worker.is_free:
            if worker.is_stuck:
                return "stuck"
            reason = self._unavailable(waiter)
            if reason and not accounts.notices:
                return reason
            if not worker.has_thread:
                job = worker.take()
                if job is not None:
                    return job
                seconds = min(seconds, self._idle_seconds())
        if accounts.parking is not None:
            seconds = min(seconds, max(accounts.parking.patience(waiter), MOMENT))
        if not waiter.is_announced:  # last, because the sender gets the interpreter when this thread waits
            waiter.is_announced = True
            accounts.wakeups.notify_all()
        accounts.wakeups.register(waiter.wakeup)
        return seconds

    def _unavailable(self, waiter: FlushWaiter) -> str:
        """Return why nothing can be sent or parked before the deadline of the flush; empty if something can."""
        accounts = self._accounts
        if accounts.parking is not None and accounts.parking.is_due():
            return ""
        reason = accounts.unreachable(time.time())
        return "deadline" if not reason and accounts.retry_at >= waiter.deadline else reason

    def abort(self, waiter: FlushWaiter) -> None:
        """Abort the current job, unless another flush still has time for it."""
        accounts = self._accounts
        with accounts.lock:
            job = accounts.worker.job
            mine = job is not None and (waiter.pending or job.notifies)
            aborts = mine and not accounts.waiters.has_longer_than(waiter)
        if aborts:
            accounts.worker.abort()

    def abort_late(self, waiter: FlushWaiter) -> None:
        """Abort the job that this flush cannot wait for, if there is one."""
        job = self.late_job(waiter)
        if job is not None:
            self._accounts.worker.abort(job)

    def late_job(self, waiter: FlushWaiter) -> Job | None:
        """Return the sending of a slow event that began without a waiting flush, if others have to be sent.

        Or any attempt that leaves this flush no time to park.
        """
        job, parking = self._accounts.worker.job, self._accounts.parking
        if job is not None and job.slow and self._accounts.buffer.has_others:
            return job
        return None if parking is None else parking.late_job(waiter)
