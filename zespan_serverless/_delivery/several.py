"""Several destinations at once: every event goes to a delivery of each, which knows nothing of the others.

Each has its own buffer, thread, breaker, journal and counters, and encodes events itself. So one that hangs, refuses or
is unavailable has no effect on what the others send. What is done here is only what has to be done for all of them
together: an event is handed to each, even if a signal handler raises an exception meanwhile; their flushes take place
at the same time, within the time of one; and their reports are added up.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from .._base import log, threads
from .._base.guard import had_begun, pass_on
from .._base.reports import FlushReport
from .delivery import Delivery
from .worker import ABORT_GRACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Concatenate, ParamSpec

    from .._record.record import Record

    P = ParamSpec("P")


class Several:
    """The deliveries of several destinations, with the methods of one. Each method is described in `Delivery`.

    Counters are sums: an event counts once for each destination.
    """

    def __init__(self, deliveries: Sequence[Delivery], *, debug: bool = False) -> None:
        self.deliveries: tuple[Delivery, ...] = (*deliveries,)
        self._kind: type[Delivery] = type(self.deliveries[0])  # all are of the same class
        self._debug = debug

    # Counters

    @property
    def captured(self) -> int:
        return sum(one.captured for one in self.deliveries)

    @property
    def pending(self) -> int:
        return sum(one.pending for one in self.deliveries)

    @property
    def delivered(self) -> int:
        return sum(one.delivered for one in self.deliveries)

    @property
    def parked(self) -> int:
        return sum(one.parked for one in self.deliveries)

    @property
    def dropped(self) -> Mapping[str, int]:
        total: Counter[str] = Counter()
        for one in self.deliveries:
            total.update(one.dropped)
        return total

    @property
    def lost(self) -> int:
        return sum(one.lost for one in self.deliveries)

    @property
    def closed(self) -> bool:
        return all(one.closed for one in self.deliveries)

    def is_reentrant(self) -> bool:
        return any(one.is_reentrant() for one in self.deliveries)

    @property
    def has_journal(self) -> bool:
        return any(one.has_journal for one in self.deliveries)

    # Capturing

    def capture(self, record: Record) -> None:
        try:
            self._each(self._kind.capture, record)
        except BaseException as error:
            if not had_begun(error):
                self._each(self._kind.capture, record)
            raise

    def drop_unencodable(self, detail: str, span_id: str | None = None) -> None:
        self._each(self._kind.drop_unencodable, detail, span_id)

    def record_open(self, begun: Record, is_over: Callable[[], bool] = bool) -> None:
        self._each(self._kind.record_open, begun, is_over)

    def forget_open(self, span_id: str) -> None:
        self._each(self._kind.forget_open, span_id)

    def mark_deadline(self, trace_id: str, note: Mapping[str, Any]) -> list[Record]:
        begun = [record for one in self.deliveries for record in one.mark_deadline(trace_id, note)]
        return [*{record.span_id: record for record in begun}.values()]

    def ensure_sender(self) -> None:
        self._each(self._kind.ensure_sender)

    # Flushing

    def flush(self, timeout: float, *, probe: bool = False, last: bool = False) -> FlushReport:
        reports = []
        for one in self._wait_for_all(timeout, probe=probe, last=last):
            one.flushing.remove(one.waiter)
            reports.append(one.flushing.report(one.waiter, one.reason or ""))
        report = _sum(reports)
        if self._debug:
            log.line("flush-report", "flush: %s", report)
        return report

    def flush_in_background(self, timeout: float, *, wait: bool = True) -> None:
        self._each(self._kind.flush_in_background, timeout, wait=wait)

    def begin_flush(self, timeout: float, done: Callable[[], object]) -> Callable[[], FlushReport]:
        others = deque(self.deliveries[1:])

        def one_is_done() -> None:
            try:
                others.pop()
            except IndexError as error:  # it was the last of them
                pass_on(error)
                done()

        ends = [one.begin_flush(timeout, one_is_done) for one in self.deliveries]
        return lambda: _sum([end() for end in ends])

    def notify(self, report: FlushReport, timeout: float) -> None:
        # The sender calls on_flush: not one that may be busy with a destination that hangs.
        idle = [one for one, its in zip(self.deliveries, report.destinations, strict=False) if not its.pending]
        (idle or self.deliveries)[0].notify(report, timeout)

    # Ending

    def pause(self, timeout: float) -> None:
        self.flush(timeout, probe=True)
        self._each(self._kind.pause, 0)

    def resume(self) -> None:
        self._each(self._kind.resume)

    def close(self, timeout: float) -> FlushReport:
        waited = self._wait_for_all(timeout, probe=True, last=True)
        return _sum([one.delivery.close_after(one.waiter, one.reason or "") for one in waited])

    def close_at_exit(self, timeout: float) -> None:
        if timeout > 0:
            self.flush(timeout, probe=True, last=True)
        self._each(self._kind.leave, 0)
        self._each(self._kind.wait_for_reports)

    def reset(self) -> None:
        self._each(self._kind.reset)

    # For all of them together

    def _each(self, method: Callable[Concatenate[Delivery, P], object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call a method of every delivery. An exception of one, or of a signal handler, is raised after the last."""
        place, count, interruption = 0, len(self.deliveries), None
        while place < count:
            try:
                while place < count:
                    one = self.deliveries[place]
                    place += 1
                    method(one, *args, **kwargs)
            except BaseException as error:
                interruption = error
                if not had_begun(error):  # a signal arrived at the entry of the method
                    place -= 1
        if interruption is not None:
            raise interruption

    def _wait_for_all(self, timeout: float, *, probe: bool, last: bool = False) -> list[_Flush]:
        """Run `Flushing.wait_for_all` of each, in the time of one: this thread takes the steps of all of them."""
        wakeup = _SharedWakeup()
        flushes = [_Flush(one, timeout, wakeup, probe=probe, last=last) for one in self.deliveries]
        for one in flushes:
            one.waiter.deadline = flushes[0].waiter.deadline  # all are late at the same time
        while waiting := [one for one in flushes if one.reason is None]:
            wakeup.arm()
            _at_once([one.abort_late for one in waiting if one.is_late])
            pause = min([one.step() for one in waiting])
            if pause and not wakeup.wait(pause):
                for one in waiting:
                    one.waiter.waited += pause
        _at_once([one.abort for one in flushes if one.reason == "deadline"])
        return flushes


class _Flush:
    """The flush of one destination. `reason`: None until it is over, then why events are pending."""

    def __init__(self, delivery: Delivery, timeout: float, wakeup: _SharedWakeup, *, probe: bool, last: bool) -> None:
        self.delivery, self.flushing = delivery, delivery.flushing
        self.waiter, self.reason = self.flushing.join(timeout, probe=probe, last=last)
        self.waiter.wakeup = wakeup  # type: ignore[assignment]  # it has the methods of a lock that are called

    def step(self) -> float:
        """Take a step. Returns the seconds to wait for the next one, unless a wakeup comes; 0 if it is over."""
        step = self.flushing.step(self.waiter)
        if not isinstance(step, str):
            return step
        self.reason = step
        return 0.0

    @property
    def is_late(self) -> bool:
        """Whether `abort_late` has something to abort."""
        return self.flushing.late_job(self.waiter) is not None

    def abort_late(self) -> None:
        """Abort what it cannot wait for."""
        self.flushing.abort_late(self.waiter)

    def abort(self) -> None:
        """Abort the job that it has waited for."""
        self.flushing.abort(self.waiter)


class _SharedWakeup:
    """A wakeup that several deliveries may use, see `Wakeups`, whose methods treat it as a lock.

    It is armed once, before it is registered with the first of them: a change that one of them reports before it is
    registered with the last must not be lost.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def arm(self) -> None:
        """Forget earlier changes."""
        self._lock.acquire(blocking=False)

    def wait(self, seconds: float) -> bool:
        """Wait for a change. False if there was none."""
        return self._lock.acquire(timeout=seconds)

    def acquire(self, *, blocking: bool) -> bool:
        """Accept a registration, without waiting."""
        return True

    def locked(self) -> bool:
        """Whether no change has been reported yet."""
        return self._lock.locked()

    def release(self) -> None:
        """Report a change."""
        try:
            self._lock.release()
        except RuntimeError as error:  # another delivery has just reported one
            pass_on(error)


def _at_once(aborts: Sequence[Callable[[], object]]) -> None:
    """Abort several jobs at the same time, because each may take a moment."""
    aborting = []
    for abort in aborts[1:]:
        try:
            aborting.append(threads.start("zespan-abort", abort))
        except RuntimeError as error:  # no more threads
            pass_on(error)
            abort()
    for abort in aborts[:1]:
        abort()
    for thread in aborting:
        thread.join(2 * ABORT_GRACE)


def _sum(reports: Iterable[FlushReport]) -> FlushReport:
    """Return the report of all; why events are pending is what the first destination says that has any."""
    reports = (*reports,)
    return FlushReport(
        sum(report.delivered for report in reports),
        sum(report.dropped for report in reports),
        sum(report.pending for report in reports),
        max(report.elapsed for report in reports),
        next((report.reason for report in reports if report.reason), ""),
        destinations=reports,
        parked=sum(report.parked for report in reports),
    )
