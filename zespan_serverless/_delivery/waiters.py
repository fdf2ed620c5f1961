"""The current flushes, the events that each of them waits for, and the outcome of these."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .._base.reports import FlushReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from .buffer import Item

FLUSH_MAX = 86_400.0
"""Seconds, a day: the longest timeout of a flush, infinity included. A socket accepts 24 days at most."""

ABANDONED_AFTER = 60.0
"""Seconds after the deadline of a flush when no thread can be waiting for it any more."""


class FlushWaiter:
    """One flush, which waits until every event up to number `target` is settled.

    An asynchronous flush, for which no thread waits, has `done`, which is called at its end. Otherwise `wakeup` wakes
    the thread at every change. `waited`: seconds that it has waited. `cancelled`: its thread has to end. `ended`: when
    its last event was settled (monotonic). `is_last`: the process ends after it. `is_announced`: the sender has been
    woken for it.
    """

    __slots__ = (
        *("began", "cancelled", "deadline", "delivered", "done", "dropped", "ended", "is_announced", "is_last"),
        *("parked", "pending", "target", "timeout", "waited", "wakeup"),
    )

    def __init__(self, target: int, pending: int, timeout: float, done: Callable[[], object] | None = None) -> None:
        self.target: int = target
        self.pending: int = pending
        self.done: Callable[[], object] | None = done
        self.delivered = self.dropped = self.parked = 0
        self.timeout: float = min(timeout, FLUSH_MAX)
        self.waited: float = 0.0
        self.ended: float = 0.0
        self.began: float = time.monotonic()
        self.deadline: float = self.began + self.timeout
        self.wakeup: threading.Lock = threading.Lock()
        self.cancelled = self.is_last = self.is_announced = False

    def time_left(self) -> float:
        """Return the seconds until its deadline. Waiting time counts as well, because the clock may stand still."""
        return min(self.deadline - time.monotonic(), self.timeout - self.waited)

    def settle(self, count: int) -> None:
        """So many of its events are not pending any more."""
        self.pending -= count
        if count and not self.pending:
            self.ended = time.monotonic()

    def report(self, reason: str, name: str) -> FlushReport:
        """Return the report as of now; `reason` says why events are pending, if any are. `name`: of one of several."""
        elapsed = ((self.ended if name else 0.0) or time.monotonic()) - self.began
        counts = self.delivered, self.dropped, self.pending
        return FlushReport(*counts, elapsed, reason if self.pending else "", destination=name, parked=self.parked)


class Waiters:
    """All flushes under way. All methods are called with the delivery's lock held."""

    def __init__(self) -> None:
        self.all: list[FlushWaiter] = []

    def __len__(self) -> int:
        return len(self.all)

    def add(self, waiter: FlushWaiter) -> None:
        """Credit events to this flush from now on."""
        oldest = time.monotonic() - ABANDONED_AFTER  # a signal handler may have prevented `remove`
        self.all = [one for one in self.all if not one.deadline < oldest]
        self.all.append(waiter)

    def remove(self, waiter: FlushWaiter) -> None:
        """Credit no more events to this flush."""
        self.all = [one for one in self.all if one is not waiter]

    def credit(self, items: Sequence[Item], outcome: Literal["delivered", "dropped", "parked"]) -> None:
        """Credit settled items to the flushes that wait for them."""
        for waiter in self.all:
            count = sum([item.number <= waiter.target for item in items])
            setattr(waiter, outcome, getattr(waiter, outcome) + count)
            waiter.settle(count)

    def time_left_of_last(self, share: float, at_most: float = 0.0) -> float:
        """Return the seconds of the process's last flush, if at most this share, or `at_most`, is left; else 0."""
        last = [(one.time_left(), one.timeout) for one in self.all if one.is_last and one.pending]
        return max((left for left, timeout in last if 0 < left <= max(share * timeout, at_most)), default=0.0)

    def time_left(self) -> float:
        """Return seconds until the last deadline of a flush that waits for events; 0 if there is none."""
        now = time.monotonic()
        return max([0.0, *[waiter.deadline - now for waiter in self.all if waiter.pending]])

    def has_longer_than(self, waiter: FlushWaiter) -> bool:
        """Whether another flush that waits for events has a later deadline."""
        return any(one.pending and one.deadline > waiter.deadline for one in self.all)

    def pop_finished(self, blocked: Callable[[], object]) -> list[Callable[[], object]]:
        """Remove asynchronous flushes that are done, or all if nothing can be sent now. Returns their callbacks."""
        callbacks: list[Callable[[], object]] = []
        for waiter in [one for one in self.all if one.done]:
            if waiter.done is not None and (not waiter.pending or blocked()):
                self.remove(waiter)
                callbacks.append(waiter.done)
        return callbacks
