"""The state of one delivery that its lock protects, and how events move from one counter to another.

At every moment, with the lock held: captured = delivered + parked + pending + the sum of `dropped`.

A signal handler may raise an exception after any call. So a counter and the place of an event change together, in
lines without a call: CPython runs signal handlers after calls and at loops only. These lines are marked.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from .breaker import Breaker
from .buffer import Buffer
from .notices import Notices
from .waiters import Waiters
from .worker import Wakeups

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from .._record.record import Record
    from ..settings import Settings
    from .buffer import Item
    from .journal import Journal
    from .roles import Parks
    from .waiters import FlushWaiter
    from .worker import Worker


class Accounts:
    """Shared by the parts of a delivery. Methods are called with the lock held, unless they say otherwise.

    `intake` holds events that are captured but not counted yet, `intake_bytes` is their size, and `over` the ids of
    spans that have ended without an event. `callbacks` are called after the lock is released. `retry_at` (monotonic)
    ends the pause after a failure. `background_waiter` is the flush that the background thread is in. `name` is what
    reports and the log call this destination, if it is one of several. `parking` is what uses the fallback, if there is
    one.
    """

    __slots__ = (
        *("background_waiter", "breaker", "buffer", "callbacks", "closed", "delivered", "dropped", "intake"),
        *("intake_bytes", "journal", "lock", "name", "notices", "open_spans", "over", "parked", "parking", "retry_at"),
        *("settings", "waiters", "wakeups", "worker"),
    )

    lock: threading.RLock
    worker: Worker

    def __init__(self, settings: Settings, journal: Journal | None, name: str) -> None:
        self.settings: Settings = settings
        self.journal: Journal | None = journal
        self.name: str = name
        self.parking: Parks | None = None

    def clear(self, destination: str) -> None:
        """Begin with no events, and all counters at 0."""
        self.wakeups: Wakeups = Wakeups()
        self.buffer: Buffer = Buffer(self.settings, self.journal)
        self.waiters: Waiters = Waiters()
        self.notices: Notices = Notices(self.settings, destination, self.name)
        if self.journal is not None:
            self.journal.on_trouble = self._journal_trouble
        self.breaker: Breaker = Breaker()
        self.retry_at: float = 0.0
        self.intake: deque[Item] = deque()
        self.intake_bytes: int = 0
        self.over: deque[str] = deque()
        self.callbacks: deque[Callable[[], object]] = deque()
        self.open_spans: dict[str, Record] = {}
        self.background_waiter: FlushWaiter | None = None
        self.closed = False
        self.delivered = self.parked = 0
        self.dropped: defaultdict[str, int] = defaultdict(int)
        if self.parking is not None:
            self.buffer = self.parking.new_buffer()

    # Without the lock

    def is_reentrant(self) -> bool:
        """Whether a finalizer or a signal handler has interrupted this thread while it holds the lock.

        Then only `intake` and `over` may be changed. RLock has no public method for this.
        """
        return self.lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    def after_release(self) -> None:
        """Do what must not be done with the lock held; the calling thread has just released it."""
        while self.callbacks:
            try:
                self.callbacks.popleft()()
            except IndexError:  # another thread has taken it
                return
        if self.worker.needs_thread and (self.buffer or self.notices):
            self.worker.ensure_thread()

    # From the intake into the buffer

    def drain_intake(self) -> None:
        """Count all captured events, and move each into the buffer or drop it."""
        intake, over = self.intake, self.over
        while over:
            self.open_spans.pop(over[0], None)
            if self.journal is not None:
                self.journal.append_closed(over[0])
            del over[0]
        while intake:
            item = intake[0]
            if item.span:
                self.open_spans.pop(item.span, None)
            reason = item.reason or ("closed" if self.closed else "")
            if reason:
                self._drop_first(item, reason)
            else:
                self.buffer.enqueue(intake)
                self._enqueued()
        self.intake_bytes = 0

    def _drop_first(self, item: Item, reason: str) -> None:
        """Drop the first event of the intake."""
        # No call from here on,
        self.buffer.last_number += 1
        item.number = self.buffer.last_number
        self.dropped[reason] += 1
        del self.intake[0]
        # to here.
        self.report_drop([item], reason, item.detail)
        if self.journal is not None and item.span:
            self.journal.append_closed(item.span)

    def _enqueued(self) -> None:
        if self.buffer.surplus:
            self.drop_surplus()
        if self.waiters.all:
            self.end_async_flushes()
        # A sender that is busy looks again when it is done: to wake it for every event costs more than the event.
        if self.worker.job is None and ((self.buffer.is_full and not self.blocked()) or self._parks()):
            self.wakeups.notify_all()

    def _parks(self) -> bool:
        return self.parking is not None and self.parking.has_job()

    # Out of the buffer

    def drop_in_flight(self, reason: str, detail: str) -> None:
        """Drop the batch that is in flight."""
        batch = self.buffer.in_flight
        count = len(batch)
        # No call from here on,
        self.buffer.in_flight = []
        self.dropped[reason] += count
        # to here.
        self.report_drop(batch, reason, detail)

    def drop_rejected(self, count: int, detail: str) -> None:
        """Drop the last `count` events of the batch in flight, because the destination has taken only the others."""
        if type(count) is not int or count <= 0:  # a user's exporter may say anything
            return
        batch = self.buffer.in_flight
        taken = max(len(batch) - count, 0)
        rest, dropped = batch[:taken], batch[taken:]
        number = len(dropped)
        # No call from here on,
        self.buffer.in_flight = rest
        self.dropped["refused"] += number
        # to here.
        self.report_drop(dropped, "refused", detail)

    def drop_surplus(self) -> None:
        """Drop the events that the buffer has no room for."""
        surplus = self.buffer.surplus
        if surplus:
            count = len(surplus)
            # No call from here on,
            self.dropped["buffer_full"] += count
            self.buffer.surplus = []
            # to here.
            self.report_drop(surplus, "buffer_full")

    def drop_all(self, reason: str) -> None:
        """Drop everything that is pending."""
        items = self.buffer.clear()
        if items:
            count = len(items)
            # No call from here on,
            self.dropped[reason] += count
            self.buffer.surplus = []
            # to here.
            self.report_drop(items, reason)

    def report_drop(self, items: Sequence[Item], reason: str, detail: str = "") -> None:
        """Credit dropped events to the flushes that wait for them, and queue a notice of them."""
        self.waiters.credit(items, "dropped")
        self.notices.dropped(items, reason, detail)
        if self.notices or self.waiters:  # else a full buffer would wake the sender for every event
            self.wakeups.notify_all()

    # What flushes wait for

    def blocked(self) -> str:
        """Return why no batch may be sent or parked now; empty if one may be, or is being sent."""
        if self.worker.job is not None or (self.parking is not None and self.parking.is_due()):
            return ""
        return self.unreachable(time.time())

    def unreachable(self, now: float) -> str:
        """Return why no attempt at the backend may be made now; empty if one may be.

        With a fallback, the last thread that does not hang is for the fallback alone.
        """
        if self.parking is not None and len(self.worker.stuck) >= self.worker.hung_max:
            return "stuck"
        return self.breaker.blocked(now) or self.buffer.blocked(now)

    def has_notices(self) -> bool:
        """Whether a notice waits for the sender, or is being handed to its listener."""
        return bool(self.notices) or (self.worker.job is not None and self.worker.job.notifies)

    def end_async_flushes(self) -> None:
        """Queue the callbacks of asynchronous flushes that are done, or that nothing can be sent for at present."""
        self.callbacks += self.waiters.pop_finished(self.blocked)

    def _journal_trouble(self, trouble: str) -> None:
        """Note that the journal cannot be written; or, with an empty text, that it can be again."""
        self.notices.journal(trouble)
        if self.notices:
            self.wakeups.notify_all()
