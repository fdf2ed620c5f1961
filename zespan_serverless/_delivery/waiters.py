"""Flushes under way, and what each comes to."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .._base.reports import FlushReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .buffer import Item

FLUSH_MAX = 86_400.0
"""Seconds, a day: what a flush "without" a timeout (infinity) gets; a socket takes no more than 24 days."""

FORGOTTEN = 60.0
"""Seconds after its deadline when nobody can be waiting for a flush any more."""


class Waiter:
    """One flush: it waits until every event up to `target` is settled. `done` is called then, if no thread waits; else
    `bell` is rung whenever something has changed. `is_off`: its thread is to end."""

    __slots__ = (
        *("began", "bell", "deadline", "delivered", "done", "dropped", "is_off", "pending", "target", "timeout"),
        "waited",
    )

    def __init__(self, target: int, pending: int, timeout: float, done: Callable[[], object] | None = None) -> None:
        self.target, self.pending, self.done = target, pending, done
        self.delivered = self.dropped = 0
        self.timeout, self.waited = min(timeout, FLUSH_MAX), 0.0
        self.began = time.monotonic()
        self.deadline = self.began + self.timeout
        self.bell = threading.Lock()
        self.is_off = False

    def left(self) -> float:
        """Seconds until its deadline. The clock may stand still: what it has waited counts, too."""
        return min(self.deadline - time.monotonic(), self.timeout - self.waited)

    def report(self, reason: str) -> FlushReport:
        """What has come of it by now; `reason` is why not all is settled, should that be so."""
        elapsed = time.monotonic() - self.began
        return FlushReport(self.delivered, self.dropped, self.pending, elapsed, reason if self.pending else "")


class Flushes:
    """All that are under way; every method under the delivery's lock."""

    def __init__(self) -> None:
        self._all: list[Waiter] = []

    def __len__(self) -> int:
        return len(self._all)

    def add(self, waiter: Waiter) -> None:
        """It waits from now on."""
        forgotten = time.monotonic() - FORGOTTEN  # those whose end a signal handler has prevented
        self._all = [one for one in self._all if not one.deadline < forgotten]
        self._all.append(waiter)

    def remove(self, waiter: Waiter) -> None:
        """It waits no more."""
        self._all = [one for one in self._all if one is not waiter]

    def delivered(self, items: Iterable[Item]) -> None:
        """Credit these delivered items to the flushes that wait for them."""
        for waiter, mine in self._shares(items):
            waiter.delivered += mine
            waiter.pending -= mine

    def dropped(self, items: Iterable[Item]) -> None:
        """Credit these dropped items to the flushes that wait for them."""
        for waiter, mine in self._shares(items):
            waiter.dropped += mine
            waiter.pending -= mine

    def left(self) -> float:
        """Seconds that the longest has left; 0 if none waits for anything."""
        now = time.monotonic()
        return max(
            (waiter.deadline - now for waiter in self._all if waiter.pending and waiter.deadline > now), default=0.0
        )

    def outlast(self, waiter: Waiter) -> bool:
        """Whether another has time left when this one has none."""
        return any(one.pending and one.deadline > waiter.deadline for one in self._all)

    def dismiss(self, blocked: Callable[[], object]) -> list[Callable[[], object]]:
        """What to call for those that no thread waits for, if they are done, or if nothing can be sent for now."""
        over: list[Callable[[], object]] = []
        for waiter in [one for one in self._all if one.done]:
            if waiter.done is not None and (not waiter.pending or blocked()):
                self.remove(waiter)
                over.append(waiter.done)
        return over

    def _shares(self, items: Iterable[Item]) -> list[tuple[Waiter, int]]:
        numbers = [item.number for item in items]
        return [(waiter, sum(number <= waiter.target for number in numbers)) for waiter in self._all]
