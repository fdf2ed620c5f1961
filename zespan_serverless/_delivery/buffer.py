"""Events that are not settled yet, and where each of them stands in the journal.

    in flight | halves of a refused batch | waiting          from the oldest to the newest
    slow                                       took too long alone, or failed alone; sent after all others

A signal handler's exception may end any of these methods in the main thread. So an event moves from one place to the
next in lines without a call: CPython runs signal handlers after calls and at loops only.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..settings import Settings
    from .breaker import Breaker
    from .journal import Journal

SHRINK = 4
"""A batch that could not be sent in its time is divided by this. Two such failures lead from 9 large events to a single
one, so that the third does not open the breaker."""

SEND_AT = 50
"""So many waiting events are sent without waiting for `flush_interval`. A request has more of them if more are waiting,
and if the backend has not refused as many: its limit is not known."""


class Item:
    """One encoded event.

    `at`: wall clock of its capture, in seconds. `number`: its number among all events. `place`: its offset in the
    journal, 0 if it is not there. `span`: id of the span that it ends. `reason`, `detail`: why it cannot be kept.

    `slow`: it has been set aside. `tries`: how often it failed alone while others were delivered. `luck_before`:
    `Sending`'s luck at the last try. `readmitted`: it has been put back in line, which happens once. `breaker`: of this
    event alone, if it is suspect.
    """

    __slots__ = (
        *("at", "breaker", "data", "detail", "luck_before", "number", "place", "readmitted", "reason", "size", "slow"),
        *("span", "tries"),
    )

    def __init__(self, data: bytes, at: float, span: str = "", reason: str = "", detail: str = "") -> None:
        self.data, self.at, self.span, self.reason, self.detail = data, at, span, reason, detail
        self.size = len(data)
        self.number = self.place = self.tries = self.luck_before = 0
        self.slow = self.readmitted = False
        self.breaker: Breaker | None = None

    def blocked(self, now: float) -> str:
        """Return why it is not to be tried now, because it is suspect; else empty."""
        return self.breaker.blocked(now) if self.breaker is not None else ""


class Buffer:
    """All methods are called with the delivery's lock held. The caller counts the events in `surplus` as dropped."""

    def __init__(self, settings: Settings, journal: Journal | None) -> None:
        self._settings, self._journal = settings, journal
        self._waiting: deque[Item] = deque()
        self._bytes = self._slow_bytes = 0  # of the waiting events, of the slow ones
        self._halves: list[list[Item]] = []  # the oldest last
        self._slow: deque[Item] = deque()
        self._is_mixed = False  # whether events are in another order in here than in the journal
        self.in_flight: list[Item] = []
        self.surplus: list[Item] = []
        self.last_number: int = 0  # of the newest event, and so the number of events so far
        self._largest = settings.batch_size  # events in one request
        self._batch_size, self._batch_bytes = settings.batch_size, settings.batch_bytes

    def __len__(self) -> int:
        parts = (self.in_flight, *self._halves, self._waiting, self._slow, self.surplus)
        return sum(map(len, parts))

    @property
    def is_split(self) -> bool:
        """Whether half of a refused batch still has to be sent by itself."""
        return bool(self._halves)

    @property
    def is_full(self) -> bool:
        """Whether so much is waiting that it is sent now."""
        settings = self._settings
        return len(self._waiting) >= min(SEND_AT, settings.batch_size) or self._bytes >= settings.batch_bytes

    @property
    def oldest_at(self) -> float | None:
        """When the oldest waiting event was captured; if all are slow, when the next of them was set aside."""
        queue = self._waiting or self._slow
        return queue[0].at if queue else None

    @property
    def has_others(self) -> bool:
        """Whether there are events to send besides those in flight and the slow ones."""
        return bool(self._waiting or self._halves)

    def blocked(self, now: float) -> str:
        """Return why none of the events is to be sent now, because all that are left are suspect; else empty."""
        if not self._slow or self.in_flight or self.has_others:
            return ""
        return min(item.blocked(now) for item in self._slow)

    def probe_now(self) -> None:
        """Let each suspect event be tried once more."""
        for item in self._slow:
            if item.breaker is not None:
                item.breaker.probe_now()

    def enqueue(self, intake: deque[Item]) -> None:
        """Write the first event of the intake to the journal, if there is one, and move it to the waiting events."""
        item = intake[0]
        if self._journal is not None:
            item.place = self._journal.append_event(item.data, item.span)
        # No call from here on
        self.last_number += 1
        item.number = self.last_number
        self._waiting += (item,)
        self._bytes += item.size
        del intake[0]
        # to here.
        self._trim()
        if self._journal is not None and self._journal.needs_rewrite:
            self.rewrite_journal()

    def next_batch(self, now: float = math.inf) -> list[Item]:
        """Put the next batch in flight: half of a refused one, else the oldest waiting events, else a slow one."""
        if self.in_flight:  # an error of our own has prevented the last attempt
            return self.in_flight
        if self._halves:
            self.in_flight = self._halves[-1]
            del self._halves[-1]
            return self.in_flight
        room = self._batch_bytes
        if len(self._waiting) <= self._batch_size and self._bytes + len(self._waiting) <= room:  # all, as usual
            batch, empty = list(self._waiting), deque[Item]()
            # No call from here on
            self.in_flight, self._waiting, self._bytes = batch, empty, 0
        while self._waiting and len(self.in_flight) < self._batch_size:
            item = self._waiting[0]
            room -= item.size + 1
            if self.in_flight and room < 0:
                break
            self.in_flight += (item,)
            self._bytes -= item.size
            del self._waiting[0]
        if not self.in_flight and self._slow:
            self._slow.rotate(-next((index for index, one in enumerate(self._slow) if not one.blocked(now)), 0))
            item = self._slow[0]
            self.in_flight += (item,)
            self._slow_bytes -= item.size
            del self._slow[0]
        return self.in_flight

    def grow(self, absolved: bool = False) -> None:
        """Allow larger batches, because a batch of twice the size would have been sent in time as well.

        `absolved`: no event was to blame for what failed. So batches may have any size, and no try has counted.
        """
        self._batch_size = min(2 * self._batch_size, self._largest)
        self._batch_bytes = min(2 * self._batch_bytes, self._settings.batch_bytes)
        if absolved:
            self.restore()
            for item in self._slow:
                item.tries = 0
        if self._slow:
            self._readmit_slow()

    def restore(self) -> None:
        """Allow batches of any size again."""
        self._batch_size, self._batch_bytes = self._largest, self._settings.batch_bytes

    def halve(self) -> None:
        """Split the batch in flight, to send each half by itself; it may have more events than the backend takes."""
        middle = len(self.in_flight) // 2
        if len(self.in_flight) > SEND_AT:
            self._largest = min(self._largest, SEND_AT)
            self._batch_size = min(self._batch_size, SEND_AT)
        self._halves += (self.in_flight[middle:], self.in_flight[:middle])
        self.in_flight = []

    def put_back(self) -> None:
        """Put the events in flight, and any halves, in front of the waiting ones again."""
        returned = [*self.in_flight, *chain.from_iterable(reversed(self._halves))]
        waiting = deque(chain(returned, self._waiting))
        size = sum(item.size for item in returned)
        self._waiting, self._bytes, self._halves, self.in_flight = waiting, self._bytes + size, [], []
        self._trim()

    def shrink(self, suspect: bool = False) -> None:
        """Make smaller batches, because the one in flight takes too long; or far smaller ones, as it is `suspect`."""
        count, size = len(self.in_flight), sum(item.size for item in self.in_flight)
        self._batch_size = max((min(count, SEND_AT) if suspect else count) // SHRINK, 1)
        self._batch_bytes = size // min(SHRINK, count)

    def set_aside(self, now: float) -> None:
        """Send the one event in flight after all others."""
        item = self.in_flight[0]
        self._is_mixed = True
        if self._journal is not None:  # again, behind the others, which may be settled before it
            item.place = self._journal.append_event(item.data) or item.place
        item.at, item.slow = now, True
        self._slow += (item,)
        self._slow_bytes += item.size
        self.in_flight = []
        self._trim()

    def clear(self) -> list[Item]:
        """Move all events to `surplus`. The caller counts them, and then sets `surplus` to []."""
        items, empty, none_slow = list(self._items()), deque[Item](), deque[Item]()
        # No call from here on
        self.surplus, self._waiting, self._halves, self.in_flight, self._bytes = items, empty, [], [], 0
        self._slow, self._slow_bytes = none_slow, 0
        return items

    def mark_settled(self) -> None:
        """Record in the journal how far events are settled."""
        if self._journal is not None:
            items = self._items() if self._is_mixed or self.surplus else islice(self._items(), 1)
            places = [item.place for item in items if item.place]
            if not places or self._journal.needs_rewrite:
                self.rewrite_journal()
            else:
                self._journal.mark_settled(min(places))

    def rewrite_journal(self) -> None:
        """Write the journal anew, without settled events."""
        if self._journal is not None:
            items = list(self._items())
            places = self._journal.rewrite([item.data for item in items])
            for item, place in zip(items, places, strict=False):
                item.place = place
            if len(places) == len(items):
                self._is_mixed = bool(self._slow)

    def _items(self) -> Iterator[Item]:
        return chain(self.surplus, self.in_flight, *reversed(self._halves), self._waiting, self._slow)

    def _readmit_slow(self) -> None:
        """Put slow events back in line, each once, because it may have been the backend's fault."""
        readmitted = sorted((item for item in self._slow if not item.readmitted), key=lambda item: item.number)
        for item in readmitted:
            item.slow, item.readmitted = False, True
        waiting, slow = deque(chain(readmitted, self._waiting)), deque(item for item in self._slow if item.slow)
        size = sum(item.size for item in readmitted)
        # No call from here on
        self._waiting, self._slow = waiting, slow
        self._bytes += size
        self._slow_bytes -= size

    def _trim(self) -> None:
        """Move the oldest events to `surplus` until the others are within `max_events` and `max_bytes`."""
        waiting, slow = self._waiting, self._slow
        max_events, max_bytes = self._settings.max_events, self._settings.max_bytes
        while len(waiting) + len(slow) > max_events or self._bytes + self._slow_bytes > max_bytes:
            item = slow[0] if slow else waiting[0]
            self.surplus += (item,)
            if slow:
                self._slow_bytes -= item.size
                del slow[0]
            else:
                self._bytes -= item.size
                del waiting[0]
