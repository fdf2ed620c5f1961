"""capture -> encode once -> buffer -> batch -> send, and a flush that returns when its own events are settled.

One thread sends; everybody else waits on one condition, and so can leave at any deadline whatever a socket does.
Concurrent flushes share requests: each waits until the events captured before it are settled, none returns early
because somebody else is sending.

The lock is never held during I/O, nor while code of the user's runs: `on_error`, `on_flush`, the log's handlers.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import _log
from .._budget import backoff, clamp_retry_after
from .._event import encode, shortened
from ..exporters import Dropped, Outcome
from ._breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._settings import Settings
    from ..exporters import Exporter
    from ._journal import Journal

ABORT_GRACE = 0.05
"""Seconds that a cut-off attempt gets to hand its batch back before it is given up as stuck (name resolution)."""
LINGER = 0.2
"""Seconds that a flush nobody waits for gives other invocations to share it."""
MOMENT = 0.01
"""Seconds between two looks at what is about to change."""
FLUSH_MAX = 86_400.0
"""Seconds, a day: what a flush "without" a timeout (infinity) gets; a socket takes no more than 24 days."""
NEWS_MAX = 1000
"""Reports to `on_error` that may wait for it to return from the one before; the oldest are left out."""


class FlushReport(NamedTuple):
    """What one flush came to, in events captured before it began: each was delivered, dropped, or is still pending.

    `elapsed` in seconds. `reason` says why some are pending: `deadline`, `no_time` (there was none to begin with),
    `breaker_open` (the backend is known to be away), `retry_after` (it asked for silence), `stuck` (senders hang where
    nothing can cut them off, or on_error called flush), `failed` (telemetry itself has, and the log says how).
    """

    delivered: int = 0
    dropped: int = 0
    pending: int = 0
    elapsed: float = 0.0
    reason: str = ""


class _Waiter:
    """One flush: it waits until every event up to `target` is settled. `done` is called then, if no thread waits."""

    __slots__ = ("deadline", "delivered", "done", "dropped", "pending", "target")

    def __init__(self, target: int, pending: int, deadline: float, done: Callable[[], object] | None = None) -> None:
        self.target, self.pending, self.deadline, self.done = target, pending, deadline, done
        self.delivered = self.dropped = 0


class _Item:
    """One encoded event; `at` is the wall clock of its capture, `place` where it stands in the journal (0: nowhere)."""

    __slots__ = ("at", "data", "number", "place")

    def __init__(self, number: int, data: bytes, at: float) -> None:
        self.number, self.data, self.at = number, data, at
        self.place = 0


class _Job:
    """What one thread does while it holds no lock: it sends `items`; or, without any, connects, or tells the news."""

    __slots__ = ("items", "run", "tells", "thread")

    def __init__(self, run: Callable[[], Outcome | None], items: list[_Item], *, tells: bool = False) -> None:
        self.run, self.items, self.tells = run, items, tells
        self.thread = threading.current_thread()


class Delivery:
    """The events of one process on their way to one exporter.

    At every moment captured = delivered + pending + the sum of `dropped`.
    """

    def __init__(self, exporter: Exporter, settings: Settings, journal: Journal | None = None) -> None:
        self._exporter, self._settings, self._journal = exporter, settings, journal
        self._pid = 0
        self.forget()

    def forget(self) -> None:
        """Start anew, and say nothing of what was left: between tests, and in a forked child."""
        if self._journal is not None:
            if self._pid == os.getpid():
                self._journal.close()
            else:
                self._journal.forget()
        if self._pid == os.getpid():
            self._cancel()
        else:  # in a child the parent's threads do not exist, and whoever held the lock will never release it
            self._pid = os.getpid()
            # Re-entrant: a generator finalised by the garbage collector may capture while this very thread holds it.
            self._lock = threading.Condition(threading.RLock())
        with self._lock:
            self._buffer: deque[_Item] = deque()
            self._bytes = 0
            self._open: dict[str, Mapping[str, Any]] = {}  # spans under way, and what is known of them
            self._halves: list[list[_Item]] = []  # of a refused batch, the oldest last
            self._job: _Job | None = None
            self._waiters: list[_Waiter] = []
            self._sender: threading.Thread | None = None
            self._follower: threading.Thread | None = None
            self._soon = 0.0  # seconds that the follower's next flush may take; 0: there is nothing to do for it
            self._stuck: list[threading.Thread] = []
            self._breaker = Breaker()
            self._retry_at = 0.0  # monotonic
            self._news: deque[Callable[[], object]] = deque(maxlen=NEWS_MAX)
            self._telling = False  # whether a thread is in `on_flush`
            self._closed = False
            self.captured = self.delivered = 0
            self.dropped: defaultdict[str, int] = defaultdict(int)
            with contextlib.suppress(Exception):
                self._exporter.close()
            self._lock.notify_all()

    @property
    def pending(self) -> int:
        """Events neither delivered nor dropped."""
        with self._lock:
            return self._outstanding()

    @property
    def lost(self) -> int:
        """Events dropped so far, for whatever reason."""
        with self._lock:
            return sum(self.dropped.values())

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def capture(self, event: Mapping[str, Any]) -> None:
        """Take an event. Never blocks on I/O, never raises; what cannot be kept is counted."""
        problem, span = "", None
        try:
            name = event.get("span_id")
            span = name if isinstance(name, str) else None  # a user's own may be anything
            data = self._encoded(event)
            size = len(data)
        except Exception as error:
            data, size, problem = b"", 0, _log.describe(error)
        with self._lock:
            self.captured += 1
            item = _Item(self.captured, data, time.time())
            self._open.pop(span, None)  # type: ignore[arg-type]
            if problem:
                self._drop([item], "unencodable", problem)
            elif self._closed:
                self._drop([item], "closed")
            elif size > self._settings.batch_bytes:
                self._drop([item], "too_large", f"{size} bytes")
            else:
                self._keep(item, span or "")
                span = None
            if self._journal is not None and span is not None:
                self._journal.closed(span)
        if self._closed:
            self._tell()

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

    def opened(self, span: str, known: Mapping[str, Any], over: Callable[[], bool] = bool) -> None:
        """Put on record that a span has begun, and what is known of it: its event, should the process not live to see
        its end. Not if it is `over` already. Never raises."""
        with contextlib.suppress(Exception):
            data = encode(known) if self._journal is not None else b""
            with self._lock:
                if not (self._closed or over()):
                    self._open[span] = known
                    if self._journal is not None:
                        self._journal.opened(data, span)

    def overdue(self, trace_id: str, note: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Put on record that a trace's invocation has reached its deadline; what is known of its spans under way."""
        with self._lock:
            if self._journal is not None:
                self._journal.overdue(encode({"trace_id": trace_id, **note}))
            return [known for known in self._open.values() if known["trace_id"] == trace_id]

    def warm(self) -> None:
        """Start the sender, which opens its connection: called while the function is busy with something else."""
        with self._lock:
            self._staff()

    def flush(self, timeout: float, *, probe: bool = False) -> FlushReport:
        """Wait until every event captured before this call is settled, for `timeout` seconds at most.

        Settled means delivered, or dropped and told to `on_error`. 0 seconds: send nothing. `probe`: try once even
        though the backend is known to be away.
        """
        began = time.monotonic()
        with self._lock:
            waiter = _Waiter(self.captured, self._outstanding(), began + min(timeout, FLUSH_MAX))
            if not (waiter.pending or self._untold()):
                reason = ""
            elif not timeout > 0:
                reason = "no_time"
            elif self._job is not None and self._job.thread is threading.current_thread():
                reason = "stuck"  # called from within: by on_error, or by an exporter
            else:
                reason = None
                self._waiters.append(waiter)
                if probe:
                    self._breaker.probe_now()
                    self._retry_at = 0.0
                self._lock.notify_all()
        if reason is None:
            reason = self._wait(waiter)
        report = FlushReport(
            waiter.delivered,
            waiter.dropped,
            waiter.pending,
            time.monotonic() - began,
            reason if waiter.pending else "",
        )
        if self._settings.debug:
            _log.logger.warning("flush: %s", report)
        return report

    def tell(self, report: FlushReport, timeout: float) -> None:
        """Have the sender call `on_flush`, and wait for that, for `timeout` seconds at most.

        Not without a sender: nobody could leave `on_flush` behind if it hung in the caller's own thread.
        """
        waiter = _Waiter(0, 0, time.monotonic() + timeout)
        with self._lock:
            if self._settings.on_flush is None or self._closed or not self._staff():
                return
            self._report(partial(self._on_flush, self._settings.on_flush, report))
            if not timeout > 0 or (self._job is not None and self._job.thread is threading.current_thread()):
                return
            self._waiters.append(waiter)
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
                self._follower = threading.Thread(target=self._follow, name="zespan-flush", daemon=True)
                try:
                    self._follower.start()
                except RuntimeError:  # as in `_staff`
                    self._follower = None
            followed = self._follower is not None
            self._lock.notify_all()
        if not followed:
            self.flush(timeout)

    def flush_then(self, timeout: float, done: Callable[[], object]) -> _Waiter:
        """A flush that no thread waits for: `done` is called when it would return, or never if its time is over first.

        `done` is called with the lock held, and must neither block nor raise. To be followed by `settled`.
        """
        with self._lock:
            deadline = time.monotonic() + min(timeout, FLUSH_MAX)
            waiter = _Waiter(self.captured, self._outstanding(), deadline, done)
            if waiter.pending and timeout > 0 and self._staff():
                self._waiters.append(waiter)
                self._dismiss()
                self._lock.notify_all()
            else:
                done()
        return waiter

    def settled(self, waiter: _Waiter) -> FlushReport:
        """Give up such a flush, or its remains; what it came to."""
        with self._lock:
            self._waiters = [w for w in self._waiters if w is not waiter]
            reason = self._breaker.blocked(time.time()) or "deadline" if waiter.pending else ""
        return FlushReport(waiter.delivered, waiter.dropped, waiter.pending, 0.0, reason)

    def rest(self, timeout: float) -> None:
        """Flush, and give up thread and connection; the next event has new ones. For a snapshot of the process."""
        self.flush(timeout, probe=True)
        with self._lock:
            sender, self._sender = self._sender, None
            self._cut()
            self._lock.notify_all()
        if sender is not None:
            sender.join(ABORT_GRACE)
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
        with self._lock:
            self._closed, self._sender, self._follower = True, None, None
            self._cut()  # there may be a flush that has more time than we have
            left = [item for half in reversed(self._halves) for item in half] + list(self._buffer)
            self._halves.clear()
            self._buffer.clear()
            self._bytes = 0
            if left:
                self._drop(left, "closed")
            if self._journal is not None:
                self._journal.close()
            self._dismiss()
            self._lock.notify_all()
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
            if not (self._outstanding() or self._open):
                self._journal.close()

    # ------------------------------------------------------------------ the side that waits

    def _wait(self, waiter: _Waiter) -> str:
        """Wait until a flush may return. Gives the reason, if it is another than that all is done."""
        try:
            while True:
                with self._lock:
                    job = self._watch(waiter)
                if not isinstance(job, _Job):
                    return job
                self._do(job)
        finally:
            with self._lock:
                self._waiters = [w for w in self._waiters if w is not waiter]

    def _watch(self, waiter: _Waiter) -> str | _Job:
        """The waiting itself (lock held). Gives a job where no thread can be had to do it."""
        while waiter.pending or self._untold():
            left = waiter.deadline - time.monotonic()
            if left <= 0:
                self._abort(waiter)
                return "deadline"
            staffed = self._staff()
            if self._job is None:
                if self._sender in self._stuck:
                    return "stuck"
                reason = self._breaker.blocked(time.time())
                if not reason and self._retry_at >= waiter.deadline:
                    reason = "deadline"
                if reason and not self._news:
                    return reason
                if not staffed:
                    job = self._take()
                    if job is not None:
                        return job
                    left = min(left, self._rest())
            self._lock.wait(left)
        return ""

    def _abort(self, waiter: _Waiter) -> None:
        """End what is under way, unless another flush still has time for it."""
        job = self._job
        if job is None or not (waiter.pending or job.tells):
            return
        if not any(w.pending and w.deadline > waiter.deadline for w in self._waiters):
            self._cut()

    def _cut(self) -> None:
        """End what is under way: its thread hands the batch back, or the batch is taken from it."""
        job, until = self._job, time.monotonic() + ABORT_GRACE
        while job is not None and self._job is job:
            left = until - time.monotonic()
            if left <= 0:
                self._job = None
                self._stuck.append(job.thread)
                if job.items:
                    self._settle(job.items, Outcome("retry", "stuck"))
                return
            self._cancel()  # more than once: it may come before there is anything to cut off
            self._lock.wait(min(left, MOMENT))

    def _cancel(self) -> None:
        with contextlib.suppress(Exception):
            self._exporter.cancel()

    def _staff(self) -> bool:
        """See that there is a sender; False where no thread can be started, and flushes send for themselves.

        A stuck sender is replaced, unless another stuck one is still about.
        """
        if (self._sender is None or self._stuck == [self._sender]) and not self._closed:
            thread = threading.Thread(target=self._run, name="zespan-sender", daemon=True)
            self._sender = thread
            try:
                thread.start()
            except RuntimeError:  # no threads on this platform, or no more, or the interpreter is shutting down
                self._sender = None
        return self._sender is not None

    def _follow(self) -> None:
        me, interval = threading.current_thread(), self._settings.flush_interval
        try:
            while True:
                with self._lock:
                    while self._follower is me and not self._soon:
                        self._lock.wait()
                    until = time.monotonic() + LINGER
                    while self._follower is me and (left := until - time.monotonic()) > 0:
                        self._lock.wait(left)
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

    # ------------------------------------------------------------------ the side that sends

    def _run(self) -> None:
        me, fresh = threading.current_thread(), True
        try:
            self._adopt()
            while True:
                with self._lock:
                    if self._sender is not me:
                        return
                    job = self._take(prepare=fresh)
                    fresh = False
                    if job is None:
                        self._lock.wait(self._rest())
                        continue
                self._do(job)
        finally:
            with self._lock:
                if self._sender is me:  # SystemExit or the like, from on_error or an exporter
                    self._sender = None
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
                            self.captured += 1
                            self._keep(_Item(self.captured, data, time.time()))
                    for _ in range(broken):
                        self.captured += 1
                        self._drop([_Item(self.captured, b"", 0)], "torn", "records of the journal cannot be read")
                for event in unfinished:
                    self.capture(event)
        except Exception as error:
            _log.warn_once("what an earlier process has left could not be taken over: %r", error)

    def _take(self, *, prepare: bool = False) -> _Job | None:
        """What is to be done now by the thread that asks, if anything (lock held)."""
        if self._job is not None:
            return None
        if batch := self._next_batch():
            timeout = max(self._deadlines(), default=self._settings.flush_timeout)
            self._job = _Job(partial(self._send, batch, timeout), batch)
        elif self._news:
            news, self._news = self._news, deque(maxlen=NEWS_MAX)
            self._job = _Job(partial(_say, news), [], tells=True)
        elif prepare:
            self._job = _Job(self._prepare, [])
        return self._job

    def _do(self, job: _Job) -> None:
        """Do it, with no lock held. What it comes to is ignored if it was given up as stuck meanwhile."""
        outcome = None
        try:
            outcome = job.run()
        finally:
            with self._lock:
                if self._job is job:
                    self._job = None
                    if job.items:
                        self._settle(job.items, outcome or Outcome("retry", "interrupted"))
                        self._write_off()
                        self._dismiss()
                self._stuck = [thread for thread in self._stuck if thread is not job.thread]
                self._lock.notify_all()

    def _tell(self) -> None:
        """Tell the news in this very thread, there being no sender any more. Nothing is sent after `close`."""
        while True:
            with self._lock:
                job = self._take()
            if job is None:
                return
            self._do(job)

    def _send(self, batch: list[_Item], timeout: float) -> Outcome:
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

    def _on_flush(self, on_flush: Callable[[FlushReport], object], report: FlushReport) -> None:
        if self._telling:  # one sender is stuck in there; a second would be one too many
            _log.warn_once("on_flush has not returned from an earlier call, and is left out until it does")
            return
        self._telling = True
        try:
            on_flush(report)
        except BaseException as error:  # SystemExit too: it is the sender's thread
            _log.warn_once("on_flush failed: %s", _log.describe(error))
        finally:
            self._telling = False

    # ------------------------------------------------------------------ what to send, and when (lock held)

    def _next_batch(self) -> list[_Item] | None:
        """What to send now: the rest of a refused batch first, else the oldest events; None if not now."""
        if self._closed or not (self._halves or self._buffer) or self._breaker.blocked(time.time()):
            return None
        due = self._halves or self._deadlines() or self._full() or self._overdue()
        if not due or time.monotonic() < self._retry_at:
            return None
        if self._halves:
            return self._halves.pop()
        batch: list[_Item] = []
        room = self._settings.batch_bytes
        while self._buffer and len(batch) < self._settings.batch_size:
            room -= len(self._buffer[0].data) + 1
            if batch and room < 0:
                break
            batch.append(self._unbuffer())
        return batch

    def _rest(self) -> float:
        """Seconds until there may be something to do that nobody will wake us for."""
        if self._job is None and self._deadlines():
            # A flush does not stay for a breaker: this is a pause, or the moment in which one has let go.
            return max(self._retry_at - time.monotonic(), MOMENT)
        interval = self._settings.flush_interval
        left = self._buffer[0].at + interval - time.time() if self._buffer else interval
        return left if 0 < left < interval else interval

    def _deadlines(self) -> list[float]:
        """Seconds that each flush under way has left."""
        now = time.monotonic()
        return [w.deadline - now for w in self._waiters if w.pending and w.deadline > now]

    def _full(self) -> bool:
        return len(self._buffer) >= self._settings.batch_size or self._bytes >= self._settings.batch_bytes

    def _overdue(self) -> bool:
        return not 0 <= time.time() - self._buffer[0].at < self._settings.flush_interval

    # ------------------------------------------------------------------ accounting (lock held)

    def _outstanding(self) -> int:
        in_flight = len(self._job.items) if self._job is not None else 0
        return in_flight + sum(map(len, self._halves)) + len(self._buffer)

    def _keep(self, item: _Item, span: str = "") -> None:
        """Put an event on disk, if there is a journal, and into the buffer."""
        if self._journal is not None:
            item.place = self._journal.event(item.data, span)
        self._buffer.append(item)
        self._bytes += len(item.data)
        self._trim()
        if self._journal is not None and self._journal.full:
            self._rewrite()
        self._staff()
        self._dismiss()
        # Whoever is sending looks again when that is done: waking it for every event costs more than the event.
        if self._job is None and self._full() and not self._breaker.blocked(time.time()):
            self._lock.notify_all()

    def _write_off(self) -> None:
        """Tell the journal how far events are settled."""
        if self._journal is not None:
            places = [item.place for half in self._halves for item in half if item.place]
            places += [next((item.place for item in self._buffer if item.place), 0)]
            places += [item.place for item in self._job.items] if self._job is not None else []
            if any(places):
                self._journal.settled(min(filter(None, places)))
            else:
                self._rewrite()

    def _rewrite(self) -> None:
        """Leave out of the journal what is settled."""
        items = [item for half in reversed(self._halves) for item in half] + list(self._buffer)
        if self._job is not None:
            items = self._job.items + items
        if self._journal is not None:
            for item, place in zip(items, self._journal.empty([item.data for item in items]), strict=False):
                item.place = place

    def _unbuffer(self) -> _Item:
        item = self._buffer.popleft()
        size = len(item.data)  # on a line of its own: in the next one a capture by the garbage collector would be lost
        self._bytes -= size
        return item

    def _trim(self) -> None:
        """Drop the oldest until the buffer is within its bounds."""
        old: list[_Item] = []
        while len(self._buffer) > self._settings.max_events or self._bytes > self._settings.max_bytes:
            old.append(self._unbuffer())
        if old:
            self._drop(old, "buffer_full")

    def _settle(self, batch: list[_Item], outcome: Outcome) -> None:
        """Account for one attempt."""
        if outcome.verdict == "retry":
            self._put_back(batch, outcome)
            return
        self._breaker.succeeded()
        _log.over("away")
        if outcome.verdict == "delivered":
            self.delivered += len(batch)
            for waiter in self._waiters:
                mine = sum(item.number <= waiter.target for item in batch)
                waiter.delivered += mine
                waiter.pending -= mine
        elif outcome.verdict == "refused" and len(batch) > 1:
            middle = len(batch) // 2
            self._halves += [batch[middle:], batch[:middle]]
        else:
            self._drop(batch, outcome.verdict, outcome.detail)

    def _dismiss(self) -> None:
        """Tell the flushes that no thread waits for, if they are done or would be in vain for now."""
        waiting = [waiter for waiter in self._waiters if waiter.done]
        if waiting:
            in_vain = self._job is None and self._breaker.blocked(time.time())
            for waiter in waiting:
                if waiter.done and (in_vain or not waiter.pending):
                    self._waiters.remove(waiter)
                    waiter.done()

    def _put_back(self, batch: list[_Item], outcome: Outcome) -> None:
        now, silence = time.time(), clamp_retry_after(outcome.retry_after or 0.0)
        if silence:
            self._breaker.silence(now, silence)
        else:
            self._breaker.failed(now)
            if not self._breaker.is_open:  # else that keeps us away, and its clock runs while the sandbox is frozen
                jitter = int.from_bytes(os.urandom(2)) / 65536
                self._retry_at = time.monotonic() + backoff(self._breaker.failures, jitter)
        for half in [*self._halves, batch]:  # newest first, so that the oldest ends up in front
            self._buffer.extendleft(reversed(half))
            size = sum(len(item.data) for item in half)
            self._bytes += size
        self._halves.clear()
        self._trim()
        if _log.first("away"):
            text = "telemetry cannot be delivered for now, events are kept and tried again: %s"
            about = {"reason": "away", "detail": outcome.detail, "events": self._outstanding()}
            self._report(partial(_log.logger.warning, text, outcome.detail, extra=about))

    def _drop(self, items: list[_Item], reason: str, detail: str = "") -> None:
        count = len(items)
        self.dropped[reason] += count
        for waiter in self._waiters:
            mine = sum(item.number <= waiter.target for item in items)
            waiter.dropped += mine
            waiter.pending -= mine
        if self._settings.on_error:
            payloads = tuple(item.data for item in items if item.data)
            self._report(partial(self._settings.on_error, Dropped(count, reason, detail, payloads)))
        if _log.first(f"dropped {reason}"):
            text = "telemetry events are being dropped: %s %s"
            if reason == "unauthorized":
                text = "telemetry events are being dropped, the backend does not accept the API key: %s %s"
            about = {"reason": reason, "detail": detail, "events": count}  # fields, where the log is JSON
            self._report(partial(_log.logger.warning, text, reason, detail, extra=about))

    def _report(self, news: Callable[[], object]) -> None:
        """Have the sender tell something: neither the log's handlers nor `on_error` may run under the lock."""
        self._news.append(news)
        self._staff()
        self._lock.notify_all()

    def _untold(self) -> bool:
        return bool(self._news) or (self._job is not None and self._job.tells)


def _say(news: deque[Callable[[], object]]) -> None:
    for tell in news:
        try:
            tell()
        except Exception as error:
            _log.warn_once("reporting dropped telemetry events failed: %r", error)
