"""capture -> encode once -> buffer -> batch -> send, and a flush that returns when its own events are settled.

    _buffer    events not settled yet             _worker    the one thread that sends
    _journal   the same on disk                   _flushes   who waits for what
    _breaker   whether to try at all              _news      what on_error, on_flush and the log are to be told

One thread sends; everybody else waits on one condition, and so can leave at any deadline whatever a socket does.
Concurrent flushes share requests: each waits until the events captured before it are settled, none returns early
because somebody else is sending.

The lock is never held during I/O with a backend, nor while code of the user's runs: `on_error`, `on_flush`, the log's
handlers.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import _log, _threads
from .._budget import backoff, clamp_retry_after
from .._event import encode, shortened
from ..exporters import Outcome
from ._breaker import Breaker
from ._buffer import Buffer, Item
from ._flushes import Flushes, FlushReport, Waiter
from ._news import News
from ._worker import ABORT_GRACE, MOMENT, Job, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .._settings import Settings
    from ..exporters import Exporter
    from ._journal import Journal

__all__ = ["Delivery", "FlushReport"]

LINGER = 0.2
"""Seconds that a flush nobody waits for gives other invocations to share it."""


class Delivery:
    """The events of one process on their way to one exporter.

    At every moment captured = delivered + pending + the sum of `dropped`.
    """

    _lock: threading.Condition
    _worker: Worker

    def __init__(self, exporter: Exporter, settings: Settings, journal: Journal | None = None) -> None:
        self._exporter, self._settings, self._journal = exporter, settings, journal
        self._pid = 0
        self.forget()

    def forget(self) -> None:
        """Start anew, and say nothing of what was left: between tests, and in a forked child."""
        if self._pid == os.getpid():
            if self._journal is not None:
                self._journal.close()
            self._cancel()
            with self._lock:
                self._worker.dismiss()
                self._worker.job = None  # whatever comes of that
        else:  # in a child the parent's threads do not exist, and whoever held the lock will never release it
            if self._journal is not None:
                self._journal.forget()
            if self._pid:
                self._worker.thread = self._worker.job = None  # one that has forked, in on_error, ends with that
            self._pid = os.getpid()
            # Re-entrant, for what a finalizer or a signal handler does while this very thread holds it: `_is_inside`.
            self._lock = threading.Condition(threading.RLock())
        with self._lock:
            self._worker = Worker(
                self._lock,
                begin=self._adopt,
                next_job=self._next,
                rest=self._rest,
                settle=self._settle,
                cancel=self._cancel,
                failed=self._stumbled,
            )
            self._buffer = Buffer(self._settings, self._journal)
            self._flushes = Flushes()
            self._news = News(self._settings)
            self._breaker = Breaker()
            self._retry_at = 0.0  # monotonic
            self._late: deque[tuple[bytes, str | None, str]] = deque()  # captured, see `capture`
            self._open: dict[str, Mapping[str, Any]] = {}  # spans under way, and what is known of them
            self._follower: threading.Thread | None = None
            self._soon = 0.0  # seconds that the follower's next flush may take; 0: there is nothing to do for it
            self._closed = False
            self._taken_in = self.delivered = 0
            self.dropped: defaultdict[str, int] = defaultdict(int)
            with contextlib.suppress(Exception):
                self._exporter.close()
            self._lock.notify_all()

    @property
    def captured(self) -> int:
        """Events so far."""
        return self._taken_in + len(self._late)

    @property
    def pending(self) -> int:
        """Events neither delivered nor dropped."""
        with self._lock:
            return len(self._buffer) + len(self._late)

    @property
    def lost(self) -> int:
        """Events dropped so far, for whatever reason."""
        with self._lock:
            return sum(self.dropped.values())

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    # ------------------------------------------------------------------ what comes in

    def capture(self, event: Mapping[str, Any]) -> None:
        """Take an event. Never blocks on a backend, never raises; what cannot be kept is counted."""
        problem, span = "", None
        try:
            name = event.get("span_id")
            span = name if isinstance(name, str) else None  # a user's own may be anything
            data = self._encoded(event)
        except Exception as error:
            data, problem = b"", _log.describe(error)
        inside = self._is_inside()  # then whoever is goes on, and takes it in
        with self._lock:
            self._late.append((data, span, problem))
            if not inside:
                self._take_in()
        if self._closed and not inside:
            self._tell()

    def drop_unencodable(self, detail: str, span_id: str | None = None) -> None:
        """Count an event that could not even be made: captured, and dropped as `unencodable`. Never raises."""
        inside = self._is_inside()
        with self._lock:
            self._late.append((b"", span_id, detail))
            if not inside:
                self._take_in()

    def opened(self, span: str, known: Mapping[str, Any], over: Callable[[], bool] = bool) -> None:
        """Put on record that a span has begun, and what is known of it: its event, should the process not live to see
        its end. Not if it is `over` already. Never raises."""
        with contextlib.suppress(Exception):
            data = encode(known) if self._journal is not None else b""
            if self._is_inside():
                return
            with self._lock:
                if not (self._closed or over()):
                    self._open[span] = known
                    if self._journal is not None:
                        self._journal.opened(data, span)
                self._take_in()

    def overdue(self, trace_id: str, note: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Put on record that a trace's invocation has reached its deadline; what is known of its spans under way."""
        with self._lock:
            if self._journal is not None:
                self._journal.overdue(encode({"trace_id": trace_id, **note}))
            return [known for known in self._open.values() if known["trace_id"] == trace_id]

    def warm(self) -> None:
        """Start the sender, which opens its connection: called while the function is busy with something else."""
        with self._lock:
            self._worker.staff()

    def _encoded(self, event: Mapping[str, Any]) -> bytes:
        """An event as it will be sent; what is too large for a request, or for the buffer, is shortened to fit."""
        room = min(self._settings.batch_bytes, self._settings.max_bytes)
        data = b""
        for value in event.values():
            if type(value) is str and len(value) > room:
                break  # to encode megabytes takes longer than to see that they are too many
        else:
            data = self._exporter.encode(event)
            if len(data) <= room:
                return data
        for shorter in shortened(event, room):
            data = self._exporter.encode(shorter)
            if len(data) <= room:
                break
        return data

    def _is_inside(self) -> bool:
        """Whether this very thread holds the lock: a finalizer, wherever the garbage collector comes round, or a signal
        handler interrupts us in the midst of anything, and can rely on nothing but `_late`."""
        return self._lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    def _take_in(self) -> None:
        """Account for what has been captured (lock held)."""
        while self._late:
            data, span, problem = self._late.popleft()
            self._taken_in += 1
            item = Item(self._taken_in, data, time.time())
            self._open.pop(span, None)  # type: ignore[arg-type]
            if problem:
                self._drop([item], "unencodable", problem)
            elif self._closed:
                self._drop([item], "closed")
            elif len(data) > self._settings.batch_bytes:
                self._drop([item], "too_large", f"{len(data)} bytes")
            else:
                self._keep(item, span or "")
                span = None
            if self._journal is not None and span is not None:
                self._journal.closed(span)

    def _keep(self, item: Item, span: str = "") -> None:
        """Put an event in line (lock held)."""
        too_many = self._buffer.keep(item, span)
        if too_many:
            self._drop(too_many, "buffer_full")
        self._worker.staff()
        self._flushes.dismiss(self._blocked)
        # Whoever is sending looks again when that is done: waking it for every event costs more than the event.
        if self._worker.job is None and self._buffer.is_full and not self._blocked():
            self._lock.notify_all()

    def _adopt(self) -> None:
        """Take over what dead processes of this sandbox have left."""
        try:
            if self._journal is None:
                return
            from .._unfinished import left_behind

            # Who dies while taking over leaves his copies and the originals: the same bytes with an id are one event.
            seen: set[bytes] = set()
            for left in self._journal.left():
                try:
                    unfinished = [*left_behind(left.open, left.overdue, left.at, self._settings)]
                    broken = left.broken
                except (ValueError, KeyError, TypeError):  # of a version with other fields
                    unfinished, broken = [], left.broken + len(left.open)
                with self._lock:
                    if self._closed:
                        return
                    for data in left.events:
                        if data not in seen or b'"event_id":' not in data:
                            seen.add(data)
                            self._taken_in += 1
                            self._keep(Item(self._taken_in, data, time.time()))
                    for _ in range(broken):
                        self._taken_in += 1
                        self._drop([Item(self._taken_in, b"", 0)], "torn", "records of the journal cannot be read")
                for event in unfinished:
                    self.capture(event)
        except Exception as error:
            _log.warn_once("what an earlier process has left could not be taken over: %r", error)

    # ------------------------------------------------------------------ who waits

    def flush(self, timeout: float, *, probe: bool = False) -> FlushReport:
        """Wait until every event captured before this call is settled, for `timeout` seconds at most.

        Settled means delivered, or dropped and told to `on_error`. 0 seconds: send nothing. `probe`: try once even
        though the backend is known to be away.
        """
        inside = self._is_inside()
        with self._lock:
            if not inside:
                self._take_in()
            waiter, reason = Waiter(self._taken_in, len(self._buffer), timeout), ""
            waits = False
            if waiter.pending or self._is_untold:
                if not timeout > 0:
                    reason = "no_time"
                elif inside or self._worker.is_me:
                    reason = "stuck"  # called from within: by on_error, by an exporter, by a finalizer
                else:
                    waits = True
                    self._flushes.add(waiter)
                    if probe:
                        self._breaker.probe_now()
                        self._retry_at = 0.0
                    self._lock.notify_all()
        if waits:
            reason = self._wait(waiter)
        report = waiter.report(reason)
        if self._settings.debug:
            _log.logger.warning("flush: %s", report)
        return report

    def tell(self, report: FlushReport, timeout: float) -> None:
        """Have the sender call `on_flush`, and wait for that, for `timeout` seconds at most.

        Not without a sender: nobody could leave `on_flush` behind if it hung in the caller's own thread.
        """
        waiter = Waiter(0, 0, timeout)
        with self._lock:
            if self._settings.on_flush is None or self._closed or not self._worker.staff():
                return
            self._news.flushed(report)
            self._lock.notify_all()
            if not timeout > 0 or self._worker.is_me:
                return
            self._flushes.add(waiter)
        self._wait(waiter)

    def flush_soon(self, timeout: float) -> None:
        """Have a thread of its own flush until nothing is pending: on a host that keeps running, nobody waits for it.

        The sender alone would not do, because somebody has to cut off what takes too long.
        """
        with self._lock:
            asked, self._soon = self._soon, timeout
            if asked and self._follower is not None:
                return
            if self._follower is None and not self._closed:
                with contextlib.suppress(RuntimeError):  # no threads, as for the sender
                    self._follower = _threads.start("zespan-flush", self._follow)
            followed = self._follower is not None
            self._lock.notify_all()
        if not followed:
            self.flush(timeout)

    def flush_then(self, timeout: float, done: Callable[[], object]) -> Waiter:
        """A flush that no thread waits for: `done` is called when it would return, or never if its time is over first.

        `done` is called with the lock held, and must neither block nor raise. To be followed by `settled`.
        """
        with self._lock:
            self._take_in()
            waiter = Waiter(self._taken_in, len(self._buffer), timeout, done)
            if waiter.pending and timeout > 0 and self._worker.staff():
                self._flushes.add(waiter)
                self._flushes.dismiss(self._blocked)
                self._lock.notify_all()
            else:
                done()
        return waiter

    def settled(self, waiter: Waiter) -> FlushReport:
        """Give up such a flush, or its remains; what it came to."""
        with self._lock:
            self._flushes.remove(waiter)
            return waiter.report(self._breaker.blocked(time.time()) or "deadline")

    def _wait(self, waiter: Waiter) -> str:
        """Wait until a flush may return. Gives the reason, if it is another than that all is done."""
        try:
            while True:
                with self._lock:
                    job = self._watch(waiter)
                if not isinstance(job, Job):
                    return job
                self._worker.do(job)
        finally:
            with self._lock:
                self._flushes.remove(waiter)

    def _watch(self, waiter: Waiter) -> str | Job:
        """The waiting itself (lock held). Gives a job where no thread can be had to do it."""
        in_time = True
        while waiter.pending or self._is_untold:
            self._take_in()
            left = waiter.deadline - time.monotonic()
            if not (in_time and left > 0):
                self._abort(waiter)
                return "deadline"
            staffed, pause = self._worker.staff(), left
            if self._worker.job is None:
                if self._worker.is_stuck:
                    return "stuck"
                reason = self._breaker.blocked(time.time())
                if not reason and self._retry_at >= waiter.deadline:
                    reason = "deadline"
                if reason and not self._news:
                    return reason
                if not staffed:
                    job = self._worker.take()
                    if job is not None:
                        return job
                    pause = min(left, self._rest())
            in_time = self._lock.wait(pause) or pause < left  # whatever the clock says next: it may stand still
        return ""

    def _abort(self, waiter: Waiter) -> None:
        """End what is under way, unless another flush still has time for it (lock held)."""
        job = self._worker.job
        if job is not None and (waiter.pending or job.tells) and not self._flushes.outlast(waiter):
            self._worker.cut()

    def _follow(self) -> None:
        me, interval = threading.current_thread(), self._settings.flush_interval
        try:
            while True:
                with self._lock:
                    while self._follower is me and not self._soon:
                        self._lock.wait()
                    until = time.monotonic() + LINGER
                    while self._follower is me and (left := until - time.monotonic()) > 0:
                        if not self._lock.wait(left):
                            break
                    if self._follower is not me:
                        return
                    timeout, self._soon = self._soon, 0.0
                report = self.flush(timeout)
                if report.delivered or report.dropped or report.pending:  # else somebody else has sent it, and told
                    self.tell(report, timeout)
                if report.pending:
                    with self._lock:
                        if self._follower is me and not self._soon:
                            self._lock.wait(interval)  # or until there is something new to send
                        self._soon = self._soon or timeout
        finally:
            with self._lock:
                if self._follower is me:
                    self._follower = None

    # ------------------------------------------------------------------ how it ends

    def rest(self, timeout: float) -> None:
        """Flush, and give up thread and connection; the next event has new ones. For a snapshot of the process."""
        self.flush(timeout, probe=True)
        with self._lock:
            thread = self._worker.dismiss()
            self._worker.cut()
        if thread is not None:
            thread.join(ABORT_GRACE)
        self.renew()

    def renew(self) -> None:
        """In a process restored from a snapshot: connections are dead, and what was known of the backend is old."""
        with self._lock:
            self._breaker, self._retry_at = Breaker(), 0.0
        with contextlib.suppress(Exception):
            self._exporter.close()

    def close(self, timeout: float) -> FlushReport:
        """Flush, then take no more events. What is still pending after that counts as dropped."""
        report = self.flush(timeout, probe=True)
        if self._is_inside():
            return report
        with self._lock:
            self._take_in()
            self._closed, self._follower = True, None
            self._worker.retire()
            self._worker.cut()  # there may be a flush that has more time than we have
            left = self._buffer.clear()
            if left:
                self._drop(left, "closed")
            if self._journal is not None:
                self._journal.close()
            self._flushes.dismiss(self._blocked)
        self._tell()
        with contextlib.suppress(Exception):
            self._exporter.close()
        return report

    def leave(self, timeout: float) -> None:
        """Flush at the end of a process. What cannot be sent then is for the next one, if there is a journal."""
        if self._journal is None or not self._journal.safe:
            self.close(timeout)
            return
        self.flush(timeout, probe=True)
        with self._lock:
            if not (self._buffer or self._open):
                self._journal.close()

    def _tell(self) -> None:
        """Tell the news in this very thread, there being no sender any more. Nothing is sent after `close`."""
        while True:
            with self._lock:
                job = self._worker.take()
            if job is None:
                return
            self._worker.do(job)

    # ------------------------------------------------------------------ the sender's work

    def _next(self, fresh: bool) -> Job | None:
        """What is to be done now, if anything (lock held)."""
        self._take_in()
        if self._is_due():
            timeout = self._flushes.left() or self._settings.flush_timeout
            return Job(partial(self._send, self._buffer.take(), timeout), sends=True)
        if self._news:
            return Job(self._news.take(), tells=True)
        return Job(self._prepare) if fresh else None

    def _is_due(self) -> bool:
        """Whether a batch is to be sent now (lock held)."""
        if self._closed or not self._buffer or self._blocked() or time.monotonic() < self._retry_at:
            return False
        if self._buffer.is_split or self._buffer.is_full or self._flushes.left():
            return True
        oldest = self._buffer.oldest_at
        return oldest is not None and not 0 <= time.time() - oldest < self._settings.flush_interval

    def _rest(self) -> float:
        """Seconds until there may be something to do that nobody will wake us for (lock held)."""
        interval = self._settings.flush_interval
        if self._worker.job is None and self._flushes.left():
            # A flush does not stay for a breaker: this is a pause, or the moment in which one has let go.
            return min(interval, max(MOMENT, self._retry_at - time.monotonic()))
        oldest = self._buffer.oldest_at
        left = interval if oldest is None else oldest + interval - time.time()
        return left if 0 < left < interval else interval

    def _send(self, batch: Sequence[Item], timeout: float) -> Outcome:
        try:
            outcome: object = self._exporter.send([item.data for item in batch], timeout)
        except Exception as error:
            return Outcome("retry", _log.describe(error))
        return outcome if isinstance(outcome, Outcome) else Outcome("retry", f"send() returned {outcome!r}")

    def _prepare(self) -> None:
        prepare = getattr(self._exporter, "prepare", None)
        try:
            if prepare is not None:
                prepare(self._settings.flush_timeout)
        except Exception as error:  # the first send will say it again, and count it
            _log.logger.debug("prepare: %r", error)

    def _cancel(self) -> None:
        with contextlib.suppress(Exception):
            self._exporter.cancel()

    # ------------------------------------------------------------------ accounting (lock held)

    def _settle(self, outcome: Outcome) -> None:
        """Account for one attempt. First of all for the events: what comes after that may fail."""
        batch = self._buffer.in_flight
        if outcome.verdict == "retry":
            too_many = self._buffer.put_back()
            if too_many:
                self._drop(too_many, "buffer_full")
            self._away(outcome)
        else:
            if outcome.verdict == "refused" and len(batch) > 1:
                self._buffer.halve()
            else:
                self._buffer.done()
                if outcome.verdict == "delivered":
                    count = len(batch)
                    self.delivered += count
                    self._flushes.delivered(batch)
                else:
                    self._drop(batch, outcome.verdict, outcome.detail)
            self._breaker.succeeded()
            _log.over("away")
        self._buffer.write_off()
        self._flushes.dismiss(self._blocked)

    def _away(self, outcome: Outcome) -> None:
        """The backend is not to be had."""
        now, silence = time.time(), clamp_retry_after(outcome.retry_after or 0.0)
        if silence:
            self._breaker.silence(now, silence)
        else:
            self._breaker.failed(now)
            if not self._breaker.is_open:  # else that keeps us away, and its clock runs while the sandbox is frozen
                jitter = int.from_bytes(os.urandom(2)) / 65536
                self._retry_at = time.monotonic() + backoff(self._breaker.failures, jitter)
        self._news.away(outcome.detail, len(self._buffer))
        self._worker.staff()

    def _stumbled(self) -> None:
        """We have failed ourselves while sending: as if the backend were not to be had."""
        self._breaker.failed(time.time())
        self._flushes.dismiss(self._blocked)

    def _drop(self, items: list[Item], reason: str, detail: str = "") -> None:
        count = len(items)
        self.dropped[reason] += count
        self._flushes.dropped(items)
        self._news.dropped(items, reason, detail)
        if self._news or self._flushes:  # else nobody waits for it: a full buffer wakes no sender at every event
            self._worker.staff()
            self._lock.notify_all()

    def _blocked(self) -> str:
        """Why nothing may be sent now, though somebody may be waiting for it; empty if it may, or is being sent."""
        return "" if self._worker.job is not None else self._breaker.blocked(time.time())

    @property
    def _is_untold(self) -> bool:
        """Whether something has yet to be told, or is being told."""
        return bool(self._news) or (self._worker.job is not None and self._worker.job.tells)
