"""capture -> encode once -> buffer -> batch -> send, and a flush that returns when its own events are settled.

    _buffer    events not settled yet             _worker    the one thread that sends
    _journal   the same on disk                   _flushes   who waits for what
    _breaker   whether to try at all              _news      what on_error, on_flush and the log are to be told

One thread sends; everybody else waits on one condition, and so can leave at any deadline whatever a socket does.
Concurrent flushes share requests: each waits until the events captured before it are settled, none returns early
because somebody else is sending.

The lock is never held during I/O with a backend, nor while code runs that is not ours: `on_error`, `on_flush`,
handlers of the log, an exporter's methods, what a flush of an event loop calls at its end, the start of a thread. All
of these may wait for something whose holder waits for our lock. What comes up while it is held is done by `_released`.

A signal handler may raise an exception anywhere in the main thread. The lock is then free (`with` on the lock itself,
and no other way to hold it), an event that is being taken in stays first in `_late`, and whoever comes next goes on.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING, Any

from .._base import log
from .._base import threads as _threads
from .._base.guard import Guarded, is_from_signal, pass_on
from .._base.reports import FlushReport, Outcome
from .._record.event import encode, shortened
from .breaker import Breaker
from .budget import backoff, clamp_retry_after
from .buffer import Buffer, Item
from .notices import News
from .waiters import FLUSH_MAX, Flushes, Waiter
from .worker import ABORT_GRACE, MOMENT, Bells, Job, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .._base.reports import Exporter
    from ..settings import Settings
    from .journal import Journal

__all__ = ["Delivery", "FlushReport"]

LINGER = 0.2
"""Seconds that a flush nobody waits for gives other invocations to share it."""

IN_TIME = 0.9
"""An attempt that fails after this part of its time has failed for want of time."""
QUICKLY = 0.3
"""One that succeeds within this part of its time would have had time for twice as much."""
SLOW_TRIES = 3
"""Times that a single event may run out of time, while others get through, before it is given up."""
SLOW_PATIENCE = 10.0
"""Flush timeouts that an event gets for which one was too short, as long as nobody waits for anything."""


class Delivery:
    """The events of one process on their way to one exporter.

    At every moment captured = delivered + pending + the sum of `dropped`.
    """

    _lock: threading.RLock
    _worker: Worker
    _follower: object  # what the thread was given at its start that flushes in the background

    def __init__(self, exporter: Exporter, settings: Settings, journal: Journal | None = None) -> None:
        self._exporter, self._settings, self._journal = exporter, settings, journal
        self._destination = ""
        with Guarded("the exporter's destination"):
            self._destination = str(getattr(exporter, "destination", ""))[: log.TEXT_MAX]
        self._is_ours = type(exporter).__module__.partition(".")[0] == __name__.partition(".")[0]
        self._pid = 0
        self.reset()

    def reset(self) -> None:
        """Start anew, and say nothing of what was left: between tests, and in a forked child.

        In a child an exporter of the user's is closed by whoever sends first, not here: it may want a lock that the
        parent held at the fork, and nobody will ever release.
        """
        is_child = self._pid not in (0, os.getpid())
        if self._pid == os.getpid():
            with self._lock:
                if self._journal is not None:
                    self._journal.close()
                self._worker.dismiss()
                self._worker.job = None  # whatever comes of that
                self._follower = None
                self._bells.ring()
            self._cancel()
        else:  # in a child the parent's threads do not exist, and whoever held the lock will never release it
            if self._journal is not None:
                self._journal.forget()
            if self._pid:
                self._worker.forget()  # one that has forked, in on_error, ends with that
                self._follower = None
            self._pid = os.getpid()
            # Re-entrant, for what a finalizer or a signal handler does while this very thread holds it: `_is_inside`.
            self._lock = threading.RLock()
        with self._lock:
            self._begin_anew()
            self._is_stale = is_child and not self._is_ours
        if not self._is_stale:
            self._close_exporter()

    def _begin_anew(self) -> None:
        self._bells = Bells()
        self._worker = Worker(
            self._lock,
            self._bells,
            begin=self._adopt,
            next_job=self._next,
            rest=self._rest,
            settle=self._settle,
            cancel=self._cancel,
            failed=self._stumbled,
            released=self._released,
        )
        self._buffer = Buffer(self._settings, self._journal)
        self._flushes = Flushes()
        self._news = News(self._settings, self._destination)
        if self._journal is not None:
            self._journal.trouble = self._journal_trouble
        self._breaker = Breaker()
        self._retry_at = 0.0  # monotonic
        self._late: deque[Item] = deque()  # captured, see `_receive`
        self._late_bytes = 0  # of those, since there was none
        self._over: deque[Callable[[], object]] = deque()  # to be called with the lock released
        self._open_spans: dict[str, Mapping[str, Any]] = {}  # spans under way, and what is known of them
        self._follower = None
        self._following: threading.Thread | None = None
        self._followed: Waiter | None = None  # the flush that it is in
        self._soon = 0.0  # seconds that the follower's next flush may take; 0: there is nothing to do for it
        self._closed = False
        self.delivered = 0
        self._delivered_before = 0  # when an attempt last ran out of time
        self.dropped: defaultdict[str, int] = defaultdict(int)

    @property
    def captured(self) -> int:
        """Events so far."""
        with self._lock:
            return self._buffer.taken_in + len(self._late)

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
        """Take an event. Never blocks on a backend, never raises; what cannot be kept is counted.

        What a signal handler of the user's raises meanwhile passes on when the event has been taken.
        """
        try:
            item = self._item(event)
        except BaseException as error:
            if isinstance(error, Exception) and not is_from_signal(error):
                self.drop_unencodable(log.describe(error))
                return
            try:
                item = self._item(event)  # which it has struck in the midst of
            except BaseException as problem:
                item = Item(b"", time.time(), "", "unencodable", log.describe(problem))
            self._receive(item)
            raise
        self._receive(item)

    def _item(self, event: Mapping[str, Any]) -> Item:
        name, data = event.get("span_id"), self._encoded(event)
        span = name if isinstance(name, str) else ""  # a user's own may be anything
        if len(data) > self._settings.batch_bytes:
            return Item(data, time.time(), span, "too_large", f"{len(data)} bytes")
        return Item(data, time.time(), span, "", "")

    def drop_unencodable(self, detail: str, span_id: str | None = None) -> None:
        """Count an event that could not even be built as dropped (`unencodable`); `detail` says why.

        `span_id`: the span that it would have ended. Never blocks, never raises.
        """
        self._receive(Item(b"", time.time(), span_id or "", "unencodable", detail))

    def _receive(self, item: Item) -> None:
        """Account for an event, now or, if this thread is in the midst of that, when it goes on."""
        inside = self._is_inside()
        if inside and self._late_bytes + item.size > self._settings.max_bytes:  # the garbage collector finds thousands
            item = Item(b"", item.at, item.span, "buffer_full")
        if inside:
            self._late.append(item)
            self._late_bytes += item.size
            return
        try:
            with self._lock:
                self._late.append(item)
                self._take_in()
        except BaseException:  # of a signal handler, which it may be waiting for the lock in
            if not item.number and item not in self._late:
                self._late.append(item)
            raise
        self._released()
        if self._closed:
            self._tell()

    def record_open(self, span: str, known: Mapping[str, Any], over: Callable[[], bool] = bool) -> None:
        """Put on record that a span has begun, and what is known of it: its event, should the process not live to see
        its end. Not if it is `over` already. Never raises."""
        with Guarded("the start of a span"):
            data = encode(known) if self._journal is not None else b""
            if self._is_inside():
                return
            with self._lock:
                if not (self._closed or over()):
                    self._open_spans[span] = known
                    if self._journal is not None:
                        self._journal.opened(data, span)
                        if self._journal.due:
                            self._buffer.rewrite()
                self._take_in()
            self._released()

    def mark_deadline(self, trace_id: str, note: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Put on record that a trace's invocation has reached its deadline; what is known of its spans under way."""
        with self._lock:
            if self._journal is not None:
                self._journal.overdue(encode({"trace_id": trace_id, **note}))
            return [known for known in self._open_spans.values() if known["trace_id"] == trace_id]

    def ensure_sender(self) -> None:
        """Start the sender, which opens its connection: called while the function is busy with something else."""
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
        """True when a finalizer or a signal handler has interrupted this very thread while it holds the lock: only
        `_late` is safe to touch then."""
        return self._lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    def _take_in(self) -> None:
        """Account for what has been captured (lock held)."""
        late = self._late
        while late:
            item = late[0]
            span = item.span
            reason = item.reason or ("closed" if self._closed else "")
            if span:
                self._open_spans.pop(span, None)
            if reason:
                # No call from here on, see `_buffer`
                self._buffer.taken_in += 1
                item.number = self._buffer.taken_in
                self.dropped[reason] += 1
                del late[0]
                # to here.
                self._report_drop([item], reason, item.detail)
                if self._journal is not None and span:
                    self._journal.closed(span)
            else:
                self._buffer.keep(late)
                self._follow_up()
        self._late_bytes = 0

    def _follow_up(self) -> None:
        """What comes of another event in the buffer (lock held)."""
        self._drop_surplus()
        self._dismiss()
        # Whoever is sending looks again when that is done: waking it for every event costs more than the event.
        if self._worker.job is None and self._buffer.is_full and not self._blocked():
            self._bells.ring()

    def _released(self) -> None:
        """Do what must not be done with the lock held, which this thread has just released."""
        while self._over:
            try:
                self._over.popleft()()
            except IndexError:  # another thread has been faster
                return
        if self._buffer or self._news:
            self._worker.staff()

    def _adopt(self) -> None:
        """Take over what dead processes of this sandbox have left."""
        try:
            if self._journal is None:
                return
            from .._record.unfinished import left_behind

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
                            self._late.append(Item(data, time.time()))
                    for _ in range(broken):
                        self._late.append(Item(b"", 0.0, "", "torn", "records of the journal cannot be read"))
                    self._take_in()
                self._released()
                for event in unfinished:
                    self.capture(event)
        except Exception as error:
            log.warn_once("what an earlier process has left could not be taken over: %r", error)

    # ------------------------------------------------------------------ who waits

    def flush(self, timeout: float, *, probe: bool = False, follows: bool = False) -> FlushReport:
        """Wait until every event captured before this call is settled, for `timeout` seconds at most.

        Settled means delivered, or dropped and told to `on_error`. 0 seconds: send nothing. `probe`: try once even
        though the backend is known to be away. `follows`: in the thread that flushes in the background.
        """
        waiter, reason = self._flush(timeout, probe, follows)
        with self._lock:
            self._flushes.remove(waiter)
        report = waiter.report(reason)
        if self._settings.debug:
            log.logger.warning("flush: %s", report)
        return report

    def _flush(self, timeout: float, probe: bool, follows: bool = False) -> tuple[Waiter, str]:
        """A flush that is over, and why, should events be pending. It is still credited with what becomes of them."""
        inside, reason = self._is_inside(), ""
        with self._lock:
            if not inside:
                self._take_in()
            waiter = Waiter(self._buffer.taken_in, len(self._buffer), timeout)
            waits = bool(waiter.pending or self._is_untold)
            if waits and not timeout > 0:
                waits, reason = False, "no_time"
            elif waits and (inside or self._worker.is_me):
                waits, reason = False, "stuck"  # called from within: by on_error, by an exporter, by a finalizer
            if not inside:
                self._flushes.add(waiter)
            if follows:
                self._followed = waiter
            if waits:
                if probe:
                    self._breaker.probe_now()
                    self._retry_at = 0.0
                self._bells.ring()
        if not inside:
            self._released()
        return waiter, self._wait(waiter) if waits else reason

    def notify(self, report: FlushReport, timeout: float) -> None:
        """Have the sender call `on_flush`, and wait for that, for `timeout` seconds at most.

        Not without a sender: nobody could leave `on_flush` behind if it hung in the caller's own thread.
        """
        if self._settings.on_flush is None or self._closed or self._is_inside() or not self._worker.staff():
            return
        waiter = Waiter(0, 0, timeout)
        with self._lock:
            self._news.flushed(report)
            self._bells.ring()
            if not timeout > 0 or self._worker.is_me:
                return
            self._flushes.add(waiter)
        self._wait(waiter)
        with self._lock:
            self._flushes.remove(waiter)

    def flush_in_background(self, timeout: float, *, wait: bool = True) -> None:
        """Have a thread of its own flush until nothing is pending: on a host that keeps running, nobody waits for it.

        The sender alone would not do, because somebody has to cut off what takes too long. Cheap if that has been asked
        for already. Where no thread can be had, it flushes in the caller's, unless `wait` is False.
        """
        if self._soon and self._follower is not None:
            return
        if self._is_inside():
            self._soon = timeout
            return
        with self._lock:
            self._soon = timeout
            self._bells.ring()
        if not self._has_follower() and wait:
            self.flush(timeout)

    def _has_follower(self) -> bool:
        """See that there is a thread that flushes in the background; False where none can be had."""
        shift = object()
        try:
            with self._lock:
                if self._follower is not None or self._closed:
                    return self._follower is not None
                self._follower = shift
            self._following = _threads.start("zespan-flush", self._follow, shift)
        except BaseException as error:
            if self._follower is shift:
                self._follower = None
            if not isinstance(error, RuntimeError):
                raise
            pass_on(error)  # no threads, as for the sender
        return self._follower is not None

    def begin_flush(self, timeout: float, done: Callable[[], object]) -> Waiter:
        """A flush that no thread waits for: `done` is called when it would return, or never if its time is over first.

        `done` must neither block nor raise. To be followed by `end_flush`.
        """
        staffed = self._worker.staff()
        with self._lock:
            self._take_in()
            waiter = Waiter(self._buffer.taken_in, len(self._buffer), timeout, done)
            waits = waiter.pending and timeout > 0 and staffed
            if waits:
                self._flushes.add(waiter)
                self._dismiss()
                self._bells.ring()
        self._released()
        if not waits:
            done()
        return waiter

    def end_flush(self, waiter: Waiter) -> FlushReport:
        """Give up such a flush, or its remains; what it came to."""
        with self._lock:
            self._flushes.remove(waiter)
            return waiter.report(self._breaker.blocked(time.time()) or "deadline")

    def _wait(self, waiter: Waiter) -> str:
        """Wait until a flush may return. Gives the reason, if it is another than that all is done."""
        while True:
            self._worker.staff()
            self._let_pass()
            with self._lock:
                step = self._step(waiter)
            self._released()
            if isinstance(step, Job):
                self._worker.do(step)
            elif isinstance(step, str):
                if step == "deadline":
                    self._abort(waiter)
                return step
            elif not waiter.bell.acquire(timeout=step):
                waiter.waited += step  # whatever the clock says next: it may stand still

    def _step(self, waiter: Waiter) -> str | Job | float:
        """Why a flush may return, or a job to do where no thread can be had for it, or seconds to wait (lock held)."""
        self._take_in()
        self._bells.take_down(waiter.bell)
        if not (waiter.pending or self._is_untold):
            return ""
        left, worker = waiter.left(), self._worker
        if not left > 0 or waiter.is_off:
            return "deadline"
        if worker.is_free:
            if worker.is_stuck:
                return "stuck"
            reason = self._breaker.blocked(time.time())
            if not reason and self._retry_at >= waiter.deadline:
                reason = "deadline"
            if reason and not self._news:
                return reason
            if not worker.is_staffed:
                job = worker.take()
                if job is not None:
                    return job
                left = min(left, self._rest())
        self._bells.hang(waiter.bell)
        return left

    def _abort(self, waiter: Waiter) -> None:
        """End what is under way, unless another flush still has time for it."""
        with self._lock:
            job = self._worker.job
            ends = job is not None and (waiter.pending or job.tells) and not self._flushes.outlast(waiter)
        if ends:
            self._worker.cut()

    def _let_pass(self) -> None:
        """End the sending of an event that takes long, begun when nobody was waiting: there is something else to
        send."""
        job = self._worker.job
        if job is not None and job.slow and self._buffer.has_others:
            self._worker.cut()

    def _follow(self, shift: object) -> None:
        bell, interval = threading.Lock(), self._settings.flush_interval
        try:
            while self._follower is shift:
                with self._lock:
                    asked = bool(self._soon)
                    self._bells.hang(bell)
                if not asked:
                    bell.acquire(timeout=FLUSH_MAX)
                    continue
                self._linger(shift, bell)
                with self._lock:
                    if self._follower is not shift:
                        return
                    timeout, self._soon = self._soon, 0.0
                report = self.flush(timeout, follows=True)
                if report.delivered or report.dropped or report.pending:  # else somebody else has sent it, and told
                    self.notify(report, timeout)
                if report.pending:
                    until = time.monotonic() + interval  # or until there is something new to send
                    while self._follower is shift and not self._soon and self._still(bell, until):
                        pass
                    self._soon = self._soon or timeout
        finally:
            with self._lock:
                self._bells.take_down(bell)
                if self._follower is shift:
                    self._follower = None

    def _linger(self, shift: object, bell: threading.Lock) -> None:
        """Give others the time to share a flush."""
        until = time.monotonic() + LINGER
        while self._follower is shift and self._still(bell, until):
            pass

    def _still(self, bell: threading.Lock, until: float) -> bool:
        """Wait until something has changed; False if that was not before this time (monotonic)."""
        with self._lock:
            self._bells.hang(bell)
        left = until - time.monotonic()
        return left > 0 and bell.acquire(timeout=left)

    # ------------------------------------------------------------------ how it ends

    def pause(self, timeout: float) -> None:
        """Flush, and give up thread and connection; the next event has new ones. For a snapshot of the process."""
        self.flush(timeout, probe=True)
        self.stop_threads(ABORT_GRACE)
        self.resume()

    def stop_threads(self, timeout: float) -> bool:
        """End the sender and the thread that flushes in the background, and wait for their end, for `timeout` seconds
        at most; what is under way is cut off. True if they have ended. The next event has new ones."""
        with self._lock:
            threads = [self._worker.dismiss(), self._following]
            self._follower = self._following = None
            self._soon = 0.0
            if self._followed is not None:
                self._followed.is_off = True
        try:
            self._worker.is_held = True  # else a flush under way would have another thread
            self._worker.cut()
            until = time.monotonic() + timeout
            for thread in threads:
                if thread is not None and thread is not threading.current_thread():
                    thread.join(max(until - time.monotonic(), 0.0))
        finally:
            self._worker.is_held = False
        return not any(thread is not None and thread.is_alive() for thread in threads)

    def resume(self) -> None:
        """In a process restored from a snapshot: connections are dead, and what was known of the backend is old."""
        with self._lock:
            self._breaker, self._retry_at = Breaker(), 0.0
        self._close_exporter()

    def close(self, timeout: float) -> FlushReport:
        """Flush, then take no more events. What is still pending after that counts as dropped."""
        waiter, reason = self._flush(timeout, probe=True)
        if self._is_inside():
            return waiter.report(reason)
        with self._lock:
            self._take_in()
            self._closed, self._follower = True, None
            self._worker.retire()
        self._worker.cut()  # there may be a flush that has more time than we have
        with self._lock:
            left = self._buffer.clear()
            if left:
                count = len(left)
                # No call from here on, see `_buffer`
                self.dropped["closed"] += count
                self._buffer.surplus = []
                # to here.
                self._report_drop(left, "closed")
            if self._journal is not None:
                self._journal.close()
            self._flushes.remove(waiter)
            self._dismiss()
        self._released()
        self._tell()
        self._close_exporter()
        return waiter.report(reason)

    def close_at_exit(self, timeout: float) -> None:
        """Flush at the end of a process. What cannot be sent then is for the next one, if there is a journal."""
        if self._journal is None or not self._journal.safe:
            self.close(timeout)
            return
        self.flush(timeout, probe=True)
        with self._lock:
            pending = len(self._buffer)
            if not (pending or self._open_spans):
                self._journal.close()
        if pending:
            log.warn("%d telemetry events wait in the journal; they are lost if this sandbox's disk goes", pending)

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
        if self._is_stale:
            self._is_stale = False
            return Job(self._close_exporter)
        if self._is_due():
            batch = self._buffer.take()
            timeout, slow = self._flushes.left(), False
            if not timeout:
                slow = batch[0].slow
                timeout = self._settings.flush_timeout * (SLOW_PATIENCE if slow else 1)
            return Job(partial(self._send, batch, timeout), sends=True, slow=slow, timeout=timeout)
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
        left = left if 0 < left < interval else interval
        return min(left, self._news.rest() or left)

    def _send(self, batch: Sequence[Item], timeout: float) -> Outcome:
        try:
            outcome: object = self._theirs(self._exporter.send, [item.data for item in batch], timeout)
        except Exception as error:
            pass_on(error)
            return Outcome("retry", log.describe(error))
        return outcome if isinstance(outcome, Outcome) else Outcome("retry", f"send() returned {outcome!r}")

    def _prepare(self) -> None:
        prepare = getattr(self._exporter, "prepare", None)
        try:
            if prepare is not None:
                self._theirs(prepare, self._settings.flush_timeout)
        except Exception as error:  # the first send will say it again, and count it
            pass_on(error)
            log.logger.debug("prepare: %r", error)

    def _cancel(self) -> None:
        try:
            self._exporter.cancel()
        except Exception as error:
            pass_on(error)

    def _close_exporter(self) -> None:
        try:
            self._theirs(self._exporter.close)
        except Exception as error:
            pass_on(error)

    def _theirs(self, method: Callable[..., Any], *args: Any) -> Any:
        """Call a method of the exporter. If that is the user's, it may start processes: see `_threads`."""
        if self._is_ours:
            return method(*args)
        with _threads.as_main_thread():
            return method(*args)

    # ------------------------------------------------------------------ accounting (lock held)

    def _settle(self, outcome: Outcome, job: Job) -> None:
        """Account for one attempt. First of all for the events: what comes after that may fail."""
        batch = self._buffer.in_flight
        if outcome.verdict == "retry":
            self._try_again(batch, outcome, job)
        elif outcome.verdict == "refused" and len(batch) > 1:
            self._buffer.halve()
            self._answered()
        elif outcome.verdict == "delivered":
            count, quickly = len(batch), job.seconds < QUICKLY * job.timeout
            # No call from here on, see `_buffer`
            self._buffer.in_flight = []
            self.delivered += count
            # to here.
            if quickly:
                self._buffer.grow()
            self._flushes.delivered(batch)
            self._news.delivered()
            self._answered()
        else:
            self._drop_in_flight(batch, outcome.verdict, outcome.detail)
            self._answered()
        self._buffer.write_off()
        self._drop_surplus()
        self._dismiss()

    def _answered(self) -> None:
        self._breaker.succeeded()
        self._news.answered()

    def _try_again(self, batch: list[Item], outcome: Outcome, job: Job) -> None:
        """What was in flight has not arrived. Was it too much for the time there was, or is the backend away?

        Too much is divided, until single events are left. One that alone is too slow lets all others pass, and is tried
        when nothing else is to be sent: longer, if nobody waits. It is given up when that has failed `SLOW_TRIES` times
        while others got through, because each may use up the time of a flush. While nothing gets through it is the
        backend that hangs, and events are kept.
        """
        item = batch[0] if len(batch) == 1 else None
        too_slow = job.seconds >= IN_TIME * min(job.timeout, self._settings.flush_timeout)
        well = False
        if too_slow:
            well = item is not None and self.delivered > self._delivered_before
            self._delivered_before = self.delivered
            self._buffer.shrink()
        if item is not None and (too_slow or item.slow):
            if too_slow and self.delivered > item.mark:
                item.mark, item.tries = self.delivered, item.tries + 1
            if item.tries >= SLOW_TRIES:
                detail = f"{item.size} bytes, which cannot be sent within flush_timeout: tried {item.tries} times"
                self._drop_in_flight(batch, "too_large", detail)
                return
            self._buffer.set_aside(time.time())
        else:
            self._buffer.put_back()
        if not (well or (job.slow and job.is_cut)):
            self._away(outcome)

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

    def _stumbled(self) -> None:
        """We have failed ourselves while sending: as if the backend were not to be had."""
        self._breaker.failed(time.time())
        self._dismiss()

    def _journal_trouble(self, trouble: str) -> None:
        """The journal cannot be written, or can be again."""
        self._news.journal(trouble)
        if self._news:
            self._bells.ring()

    def _dismiss(self) -> None:
        """Have those told that no thread waits for, if they are done, or if nothing can be sent for now."""
        self._over += self._flushes.dismiss(self._blocked)

    def _drop_in_flight(self, batch: list[Item], reason: str, detail: str) -> None:
        count = len(batch)
        # No call from here on, see `_buffer`
        self._buffer.in_flight = []
        self.dropped[reason] += count
        # to here.
        self._report_drop(batch, reason, detail)

    def _drop_surplus(self) -> None:
        """Count what the buffer could not keep."""
        surplus = self._buffer.surplus
        if surplus:
            count = len(surplus)
            # No call from here on, see `_buffer`
            self.dropped["buffer_full"] += count
            self._buffer.surplus = []
            # to here.
            self._report_drop(surplus, "buffer_full")

    def _report_drop(self, items: list[Item], reason: str, detail: str = "") -> None:
        """Have those told whom it concerns that these have been dropped."""
        self._flushes.dropped(items)
        self._news.dropped(items, reason, detail)
        if self._news or self._flushes:  # else nobody waits for it: a full buffer wakes no sender at every event
            self._bells.ring()

    def _blocked(self) -> str:
        """Why nothing may be sent now, though somebody may be waiting for it; empty if it may, or is being sent."""
        return "" if self._worker.job is not None else self._breaker.blocked(time.time())

    @property
    def _is_untold(self) -> bool:
        """Whether something has yet to be told, or is being told."""
        return bool(self._news) or (self._worker.job is not None and self._worker.job.tells)
