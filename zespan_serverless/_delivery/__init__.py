"""capture -> encode once -> buffer -> batch -> send, and a flush that returns when its own events are settled.

One thread sends; everybody else waits on one condition, and so can leave at any deadline whatever a socket does.
Concurrent flushes share requests: each waits until the events captured before it are settled, none returns early
because somebody else is sending.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import _log
from .._budget import backoff
from ..exporters import Dropped, Outcome
from ._breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._settings import Settings
    from ..exporters import Exporter

ABORT_GRACE = 0.05
"""Seconds that a cut-off attempt gets to hand its batch back before it is given up as stuck (name resolution)."""


class FlushReport(NamedTuple):
    """What one flush came to, in events captured before it began: each was delivered, dropped, or is still pending.

    `elapsed` in seconds. `reason` says why some are pending: `deadline`, `no_time` (there was none to begin with),
    `breaker_open` (the backend is known to be away), `retry_after` (it asked for silence), `stuck`.
    """

    delivered: int = 0
    dropped: int = 0
    pending: int = 0
    elapsed: float = 0.0
    reason: str = ""


class _Waiter:
    """One flush: it waits until every event up to `target` is settled."""

    __slots__ = ("deadline", "delivered", "dropped", "pending", "target")

    def __init__(self, target: int, pending: int, deadline: float) -> None:
        self.target, self.pending, self.deadline = target, pending, deadline
        self.delivered = self.dropped = 0


class _Item:
    """One encoded event; `at` is the wall clock of its capture."""

    __slots__ = ("at", "data", "number")

    def __init__(self, number: int, data: bytes, at: float) -> None:
        self.number, self.data, self.at = number, data, at


class Delivery:
    """The events of one process on their way to one exporter.

    At every moment captured = delivered + pending + the sum of `dropped`.
    """

    def __init__(self, exporter: Exporter, settings: Settings) -> None:
        self._exporter, self._settings = exporter, settings
        self.forget()

    def forget(self) -> None:
        """Start anew, as after a fork: what is buffered belongs to the parent, and so do its threads and sockets."""
        # Re-entrant: a generator finalised by the garbage collector may capture while this very thread holds it.
        self._lock = threading.Condition(threading.RLock())
        self._buffer: deque[_Item] = deque()
        self._bytes = 0
        self._halves: list[list[_Item]] = []  # of a refused batch, the oldest last
        self._in_flight: list[_Item] | None = None  # an empty list: preparing
        self._waiters: list[_Waiter] = []
        self._sender: threading.Thread | None = None
        self._stuck: threading.Thread | None = None
        self._breaker = Breaker()
        self._retry_at = 0.0  # monotonic
        self._notices: list[Dropped] = []
        self._closed = False
        self.captured = self.delivered = 0
        self.dropped: dict[str, int] = {}
        self._exporter.close()

    @property
    def pending(self) -> int:
        """Events neither delivered nor dropped."""
        with self._lock:
            return self._outstanding()

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def capture(self, event: Mapping[str, Any]) -> None:
        """Take an event. Never blocks on I/O, never raises; what cannot be kept is counted."""
        try:
            data = self._exporter.encode(event)
        except Exception as error:
            with self._lock:
                self.captured += 1
                self._drop([_Item(0, b"", 0.0)], "unencodable", repr(error))
            return
        with self._lock:
            self.captured += 1
            item = _Item(self.captured, data, time.time())
            if self._closed:
                self._drop([item], "closed")
            elif len(data) > self._settings.batch_bytes:
                self._drop([item], "too_large", f"{len(data)} bytes")
            else:
                self._buffer.append(item)
                self._bytes += len(data)
                self._trim()
                if self._full() and not self._breaker.blocked(time.time()):
                    self._wake()

    def warm(self) -> None:
        """Start the sender, which opens its connection: called while the function is busy with something else."""
        with self._lock:
            if self._sender is None and not self._closed:
                self._wake()

    def flush(self, timeout: float, *, probe: bool = False) -> FlushReport:
        """Wait until every event captured before this call is settled, for `timeout` seconds at most.

        0 seconds: send nothing. `probe`: try once even though the backend is known to be away.
        """
        began = time.monotonic()
        with self._lock:
            waiter = _Waiter(self.captured, self._outstanding(), began + timeout)
            reason = ""
            if waiter.pending and self._sender is threading.current_thread():
                reason = "stuck"  # on_error called us: nobody else would send
            elif waiter.pending:
                if probe:
                    self._breaker.probe_now()
                self._waiters.append(waiter)
                try:
                    reason = self._wait(waiter) if timeout > 0 else "no_time"
                finally:
                    self._waiters.remove(waiter)
            report = FlushReport(
                waiter.delivered, waiter.dropped, waiter.pending, time.monotonic() - began, reason
            )
        if self._settings.debug:
            _log.logger.warning("flush: %s", report)
        return report

    def close(self, timeout: float) -> FlushReport:
        """Flush, then take no more events. What is still pending after that counts as dropped."""
        report = self.flush(timeout, probe=True)
        with self._lock:
            self._closed = True
            left = [item for half in self._halves for item in half] + list(self._buffer)
            self._halves.clear()
            self._buffer.clear()
            self._bytes = 0
            if left:
                self._drop(left, "closed")
            self._sender = None
            self._lock.notify_all()
        self._tell()
        self._exporter.close()
        return report

    # ------------------------------------------------------------------ the side that waits (lock held)

    def _wait(self, waiter: _Waiter) -> str:
        self._wake()
        while waiter.pending:
            now = time.monotonic()
            if now >= waiter.deadline:
                self._abort(waiter)
                return "deadline" if waiter.pending else ""
            if self._in_flight is None:
                reason = self._breaker.blocked(time.time())
                if reason or self._retry_at >= waiter.deadline:
                    return reason or "deadline"
                if self._sender is None and not self._send_here(waiter):
                    return "stuck"
            self._lock.wait(waiter.deadline - now)
        return ""

    def _abort(self, waiter: _Waiter) -> None:
        """Cut the attempt off, unless another flush still has time for it; take its batch back if it does not react."""
        attempt = self._in_flight
        if attempt is None or any(w is not waiter and w.pending and w.deadline > waiter.deadline for w in self._waiters):
            return
        self._exporter.cancel()
        until = time.monotonic() + ABORT_GRACE
        while self._in_flight is attempt and time.monotonic() < until:
            self._lock.wait(until - time.monotonic())
        if self._in_flight is attempt and not (self._stuck and self._stuck.is_alive()):
            self._stuck, self._sender = self._sender, None  # its result will be ignored; one such thread at most
            self._in_flight = None
            self._settle(attempt, Outcome("retry", "stuck"))

    def _wake(self) -> None:
        """Have a sender that knows of new work. Where no thread can be started, flushes send for themselves."""
        if self._sender is None:
            thread = threading.Thread(target=self._run, name="zespan-sender", daemon=True)
            self._sender = thread
            try:
                thread.start()
            except RuntimeError:  # no threads on this platform, or the interpreter is shutting down
                self._sender = None
        self._lock.notify_all()

    def _send_here(self, waiter: _Waiter) -> bool:
        """Make one attempt in the caller's own thread."""
        batch = self._next_batch()
        if batch is None:
            return False
        outcome = self._attempt(batch, waiter.deadline - time.monotonic())
        self._in_flight = None
        self._settle(batch, outcome)
        return True

    # ------------------------------------------------------------------ the side that sends

    def _run(self) -> None:
        me = threading.current_thread()
        attempt: list[_Item] = []
        with self._lock:
            if self._sender is not me:
                return
            self._in_flight = attempt
        self._prepare()
        with self._lock:
            if self._in_flight is not attempt:  # given up as stuck
                return
            self._in_flight = None
            self._lock.notify_all()
        while True:
            self._tell()
            with self._lock:
                if self._sender is not me:
                    return
                batch = self._next_batch()
                if batch is None:
                    self._lock.wait(self._rest())
                    continue
                self._in_flight = attempt = batch
                timeout = max(self._deadlines(), default=self._settings.flush_timeout)
            outcome = self._attempt(attempt, timeout)
            with self._lock:
                if self._in_flight is not attempt:
                    return
                self._in_flight = None
                self._settle(attempt, outcome)

    def _prepare(self) -> None:
        prepare = getattr(self._exporter, "prepare", None)
        if prepare is not None:
            try:
                prepare(self._settings.flush_timeout)
            except Exception as error:  # the first send will say it again, and count it
                _log.logger.debug("prepare: %r", error)

    def _attempt(self, batch: list[_Item], timeout: float) -> Outcome:
        try:
            return self._exporter.send([item.data for item in batch], timeout)
        except Exception as error:
            return Outcome("retry", f"{type(error).__name__}: {error}")

    def _next_batch(self) -> list[_Item] | None:
        """What to send now: the rest of a refused batch first, else the oldest events; None if not now."""
        if not (self._halves or self._buffer) or self._breaker.blocked(time.time()):
            return None
        if time.monotonic() < self._retry_at or not (self._deadlines() or self._full() or self._overdue()):
            return None
        if self._halves:
            return self._halves.pop()
        batch: list[_Item] = []
        size = 0
        while self._buffer and len(batch) < self._settings.batch_size:
            size += len(self._buffer[0].data) + 1
            if batch and size > self._settings.batch_bytes:
                break
            item = self._buffer.popleft()
            self._bytes -= len(item.data)
            batch.append(item)
        return batch

    def _rest(self) -> float:
        """Seconds to sleep with nothing to do."""
        wait = self._retry_at - time.monotonic()
        return wait if wait > 0 and self._deadlines() else self._settings.flush_interval

    def _deadlines(self) -> list[float]:
        """Seconds that each flush under way has left."""
        now = time.monotonic()
        return [w.deadline - now for w in self._waiters if w.pending and w.deadline > now]

    def _settle(self, batch: list[_Item], outcome: Outcome) -> None:
        """Account for one attempt (lock held)."""
        if outcome.verdict == "retry":
            self._put_back(batch, outcome)
        else:
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
        self._lock.notify_all()

    def _put_back(self, batch: list[_Item], outcome: Outcome) -> None:
        now = time.time()
        if outcome.retry_after:
            self._breaker.silence(now, outcome.retry_after)
        else:
            self._breaker.failed(now)
            self._retry_at = time.monotonic() + backoff(self._breaker.failures, int.from_bytes(os.urandom(2)) / 65536)
        while self._halves:  # newest first, so that the oldest ends up in front
            batch = [*batch, *self._halves.pop()]
        self._buffer.extendleft(reversed(batch))
        self._bytes += sum(len(item.data) for item in batch)
        self._trim()
        _log.warn_once("telemetry backend not reachable, events are kept and tried again: %s", outcome.detail, key="away")

    # ------------------------------------------------------------------ accounting (lock held)

    def _outstanding(self) -> int:
        return len(self._buffer) + len(self._in_flight or ()) + sum(map(len, self._halves))

    def _full(self) -> bool:
        return len(self._buffer) >= self._settings.batch_size or self._bytes >= self._settings.batch_bytes

    def _overdue(self) -> bool:
        if not self._buffer:
            return True  # halves of a refused batch
        return not 0 <= time.time() - self._buffer[0].at < self._settings.flush_interval

    def _trim(self) -> None:
        """Drop the oldest until the buffer is within its bounds."""
        old: list[_Item] = []
        while len(self._buffer) > self._settings.max_events or self._bytes > self._settings.max_bytes:
            item = self._buffer.popleft()
            self._bytes -= len(item.data)
            old.append(item)
        if old:
            self._drop(old, "buffer_full")

    def _drop(self, items: list[_Item], reason: str, detail: str = "") -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + len(items)
        for waiter in self._waiters:
            mine = sum(0 < item.number <= waiter.target for item in items)
            waiter.dropped += mine
            waiter.pending -= mine
        if self._settings.on_error:
            self._notices.append(Dropped(len(items), reason, detail, tuple(item.data for item in items if item.data)))
        if reason == "unauthorized":
            _log.warn_once("telemetry is being dropped: the backend does not accept the API key (%s)", detail)
        else:
            _log.warn_once("telemetry events dropped: %s %s", reason, detail, key=f"dropped {reason}")

    def _tell(self) -> None:
        """Call `on_error`, with no lock held: it is the user's code."""
        with self._lock:
            notices, self._notices = self._notices, []
        for notice in notices if self._settings.on_error else ():
            try:
                self._settings.on_error(notice)  # type: ignore[misc]
            except Exception as error:
                _log.warn_once("on_error raised: %r", error)
