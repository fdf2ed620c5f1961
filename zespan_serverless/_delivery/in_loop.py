"""A delivery without threads, for Python in WebAssembly: the caller of a flush also sends, in its event loop.

Accounts, batches, retries, drops and notices are those of `Delivery`. Only the sender is missing: a flush takes the
sender's jobs itself, one after the other, and awaits the exporter's `send_async`.

On Cloudflare the requests of an isolate share its memory, but none may wait for the I/O of another, which may be
cancelled with its request at any time. So a flush never awaits what another flush does. It looks again after a pause of
its own, and gives up a job whose time is over; the events are then sent again. What a flush could not send waits for
the next one.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from .._base import javascript, log
from .._base.guard import Guarded, pass_on
from .._base.reports import FlushReport, Outcome
from .buffer import SEND_AT
from .delivery import Delivery
from .flushing import Flushing
from .notices import ECHO_PAUSE
from .sending import IN_TIME
from .worker import ABORT_GRACE, MOMENT, RUNNING, Job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .._base.exporter import Exporter
    from .._record.record import Record
    from ..settings import Settings
    from .accounts import Accounts
    from .journal import Journal
    from .waiters import FlushWaiter

    SendAsync = Callable[[Sequence[bytes], float], Awaitable[Outcome]]

OVERDUE = 0.5
"""Seconds after the timeout of a job when the request that it belongs to cannot be alive any more."""
PAUSE_MAX = 0.05
"""Seconds between two looks at a job of another request."""
_NAME = "zespan-flush"
"""Of the tasks that flush by themselves."""


class LoopDelivery(Delivery):
    """A `Delivery` that sends in the event loop of the caller of a flush."""

    def __init__(
        self,
        exporter: Exporter,
        settings: Settings,
        journal: Journal | None = None,
        name: str = "",
        fallback: Exporter | None = None,
    ) -> None:
        self._asking: asyncio.Task[Any] | None = None  # has asked for a flush that has not begun
        super().__init__(exporter, settings, journal, name, fallback)
        send_async = getattr(exporter, "send_async", None)
        self.flushing = self._flushes = LoopFlushing(self._accounts, self._sending.idle_seconds, send_async)

    async def flush_in_loop(self, timeout: float) -> FlushReport:  # noqa: ASYNC109
        """Send what was captured before this call, for at most `timeout` seconds."""
        return await self._flushes.flush_in_loop(timeout)

    def capture(self, record: Record) -> None:
        """Take an event, and send early if enough are waiting, as a thread would."""
        super().capture(record)
        size, captured = min(SEND_AT, self._accounts.settings.batch_size), self.captured
        if captured and captured % size == 0:
            self.flush_in_background(self._accounts.settings.flush_timeout)

    def flush_in_background(self, timeout: float, *, wait: bool = True) -> None:
        """Flush in a task, which the platform is asked to wait for. Without an event loop events wait for a flush.

        Events that `on_error` or `on_flush` captures in such a task are sent after a pause: they may go on for ever.
        """
        if not self.pending:
            return
        try:
            loop, asking = asyncio.get_running_loop(), asyncio.current_task()
        except RuntimeError as error:
            pass_on(error)
            return
        if asking is None or asking is not self._asking:  # nothing else of its request may be relied on
            self._asking = asking
            pause = ECHO_PAUSE if asking is not None and asking.get_name() == _NAME else 0.0
            javascript.keep(loop.create_task(self._flush_alone(timeout, pause), name=_NAME))

    async def _flush_alone(self, timeout: float, pause: float) -> None:  # noqa: ASYNC109
        if pause:
            await asyncio.sleep(pause)
        self._asking = None
        with Guarded("the flush"):
            report = await self.flush_in_loop(timeout)
            if report.delivered or report.dropped or report.pending:  # else another flush has reported all
                self.flushing.notify(report, 0)

    def begin_flush(self, timeout: float, done: Callable[[], object]) -> Callable[[], FlushReport]:
        """Begin a flush as a task of the calling request, whose end cancels it."""
        waiter, reason = self._flushes.begin(timeout)
        task = asyncio.get_running_loop().create_task(self._flushes.complete(waiter, reason))
        task.add_done_callback(lambda _: done())

        def end() -> FlushReport:
            if task.done() and not task.cancelled() and task.exception() is None:
                return task.result()
            task.cancel()
            self._flushes.remove(waiter)  # a task that is cancelled before it begins does nothing
            return self._flushes.report(waiter, "deadline")

        return end

    def stop_threads(self, timeout: float) -> bool:
        """Do nothing, and return that no thread is left."""
        return True

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._accounts.worker.is_held = True  # no thread is tried


class LoopFlushing(Flushing):
    """Flushes that send by themselves. `flush_in_loop` is the usual way; the others work if the stack can wait."""

    __slots__ = ("_send_async",)

    def __init__(self, accounts: Accounts, idle_seconds: Callable[[], float], send_async: SendAsync | None) -> None:
        super().__init__(accounts, idle_seconds)
        self._send_async = send_async

    async def flush_in_loop(self, timeout: float) -> FlushReport:  # noqa: ASYNC109
        """Send what was captured before this call, for at most `timeout` seconds. See `Delivery.flush`."""
        return await self.complete(*self.begin(timeout))

    def begin(self, timeout: float) -> tuple[FlushWaiter, str | None]:
        """Begin such a flush. The reason is None if there is something to send."""
        return super().join(timeout, probe=False)

    async def complete(self, waiter: FlushWaiter, reason: str | None) -> FlushReport:
        """Do the rest of it."""
        try:
            while reason is None:
                found = self._look(waiter)
                if isinstance(found, str):
                    reason = found
                else:
                    await self._take(found)
        finally:
            self.remove(waiter)
        report = self.report(waiter, reason)
        if self._accounts.settings.debug:
            log.line("flush-report", "flush: %s", report)
        return report

    def join(
        self, timeout: float, *, probe: bool, last: bool = False, in_background: bool = False
    ) -> tuple[FlushWaiter, str | None]:
        """Begin a flush that is not a coroutine. It has no time where the stack cannot be suspended."""
        return super().join(
            timeout if javascript.can_wait() else 0.0, probe=probe, last=last, in_background=in_background
        )

    def step(self, waiter: FlushWaiter) -> str | float:
        """Take one step of a flush that is not a coroutine, by suspending the stack."""
        found = self._look(waiter)
        if isinstance(found, str):
            return found
        javascript.wait(self._take(found))
        return 0.0

    def notify(self, report: FlushReport, timeout: float) -> None:
        """Call `on_flush` here."""
        accounts = self._accounts
        if accounts.settings.on_flush is None or accounts.closed or accounts.is_reentrant():
            return
        with accounts.lock:
            accounts.notices.flushed(report)
            call = accounts.notices.drain() if accounts.notices else None
        if call is not None:
            call()

    def abort(self, waiter: FlushWaiter) -> None:
        """Do nothing: each request to a backend ends at its own deadline."""

    def _look(self, waiter: FlushWaiter) -> str | Job | float:
        """Return why the flush may return, or the next job, or seconds until the next look."""
        accounts = self._accounts
        with accounts.lock:
            job = accounts.worker.job
            if job is not None and job.sends and job.seconds > job.timeout + OVERDUE:
                self._take_back(job)
            found = self._wait_step(waiter)
            accounts.wakeups.unregister(waiter.wakeup)  # nobody waits for it
            if not isinstance(found, (str, Job)) and accounts.worker.job is not None:
                found = min(found, PAUSE_MAX)
        accounts.after_release()
        if isinstance(found, Job) and found.sends:
            found.thread = _NO_THREAD  # now: other flushes may see the job before it runs
        return found if isinstance(found, (str, Job)) else max(found, MOMENT)

    async def _take(self, found: Job | float) -> None:
        """Run a job, or wait. An error of our own counts as a failure of the backend, as in the sender's thread."""
        try:
            await self._run(found)
        except Exception as error:
            pass_on(error)
            log.warn_once("telemetry-failed", "telemetry failed at the sending of events: %s", log.describe(error))
            with self._accounts.lock:
                self._accounts.breaker.failed(time.time())

    async def _run(self, found: Job | float) -> None:
        if not isinstance(found, Job):
            await asyncio.sleep(found)
        elif found.sends and not found.parks and self._send_async is not None:
            await self._send(found, self._send_async)
        else:
            self._accounts.worker.run_job(found)

    async def _send(self, job: Job, send: SendAsync) -> None:
        outcome: Any = None
        job.state = RUNNING
        batch = [item.data for item in self._accounts.buffer.in_flight]
        try:
            async with asyncio.timeout(job.timeout + ABORT_GRACE):
                outcome = await send(batch, job.timeout)
            if not isinstance(outcome, Outcome):
                outcome = Outcome("retry", f"send_async() returned {outcome!r}")
        except (Exception, SystemExit) as error:
            pass_on(error)
            late = isinstance(error, TimeoutError) or job.seconds >= job.timeout
            outcome = Outcome("retry", f"no answer within {job.timeout:.1f} s" if late else log.describe(error))
        finally:
            end = partial(self._end, job, outcome)
            if self._accounts.is_reentrant():  # the garbage collector ends a request that has died
                self._accounts.callbacks.append(end)
            else:
                end()

    def _end(self, job: Job, outcome: Outcome | None) -> None:
        """Account for a job that sends. It has no outcome if it was cancelled, or its request has died."""
        if outcome is None and job.seconds < IN_TIME * job.timeout:  # which is not the backend's fault
            with self._accounts.lock:
                self._take_back(job)
        job.run = lambda: outcome
        self._accounts.worker.run_job(job)

    def _take_back(self, job: Job) -> None:
        """Let the events of a job wait again. Its outcome is ignored (lock held)."""
        accounts, buffer = self._accounts, self._accounts.buffer
        if accounts.worker.job is job:
            accounts.worker.job = None
            if buffer.in_flight and buffer.in_flight[0].slow:
                buffer.set_aside(buffer.in_flight[0].at)
            else:
                buffer.put_back()
            accounts.drop_surplus()


_NO_THREAD: Any = object()  # is no current thread
"""Of a job that sends. Another flush would take the current thread for its own, and not wait for the end of the job."""
