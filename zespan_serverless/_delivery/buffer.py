"""What is captured and not settled yet: in memory, and where each event stands in the journal.

in flight | halves of a refused batch | waiting          from the oldest to the newest
slow                                                     too large for the time there was, behind all others

An exception of a signal handler may end any of these methods in the main thread. So an event moves from one place to
the next in lines without a call: CPython runs signal handlers after calls and at loops only.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..settings import Settings
    from .journal import Journal

SHRINK = 4
"""A batch that could not be sent in its time is divided by this. Two such failures reach a single event from 9 large
ones, so that the third does not open the breaker."""


class Item:
    """One encoded event; `at` is the wall clock of its capture, `place` where it stands in the journal (0: nowhere).

    `span` is the id of what it ends, `reason` and `detail` why it cannot be kept. `slow`: it has been set aside;
    `tries`: how often, while others got through; `mark`: events delivered by the last time; `returned`: let back once.
    """

    __slots__ = (
        *("at", "data", "detail", "mark", "number", "place", "reason", "returned", "size", "slow", "span", "tries"),
    )

    def __init__(self, data: bytes, at: float, span: str = "", reason: str = "", detail: str = "") -> None:
        self.data, self.at, self.span, self.reason, self.detail = data, at, span, reason, detail
        self.size = len(data)
        self.number = self.place = self.tries = self.mark = 0
        self.slow = self.returned = False


class Buffer:
    """All methods under the delivery's lock. What has to give way goes to `surplus`: the caller counts it."""

    def __init__(self, settings: Settings, journal: Journal | None) -> None:
        self._settings, self._journal = settings, journal
        self._waiting: deque[Item] = deque()
        self._bytes = self._slow_bytes = 0  # of those waiting, of those that are slow
        self._halves: list[list[Item]] = []  # the oldest last
        self._slow: deque[Item] = deque()
        self.in_flight: list[Item] = []
        self.surplus: list[Item] = []
        self.taken_in = 0  # events so far, and so the number of the last
        self._batch_size, self._batch_bytes = settings.batch_size, settings.batch_bytes

    def __len__(self) -> int:
        parts = (self.in_flight, *self._halves, self._waiting, self._slow, self.surplus)
        return sum(map(len, parts))

    @property
    def is_split(self) -> bool:
        """Whether part of a refused batch has not been tried by itself yet."""
        return bool(self._halves)

    @property
    def is_full(self) -> bool:
        """Whether a whole batch is waiting."""
        return len(self._waiting) >= self._settings.batch_size or self._bytes >= self._settings.batch_bytes

    @property
    def oldest_at(self) -> float | None:
        """When the oldest event that is waiting was captured; if all are slow, when the next of them was set aside."""
        line = self._waiting or self._slow
        return line[0].at if line else None

    @property
    def has_others(self) -> bool:
        """Whether there is anything to send but what is in flight and what is slow."""
        return bool(self._waiting or self._halves)

    def keep(self, late: deque[Item]) -> None:
        """Put the first of `late` on disk, if there is a journal, and in line."""
        item = late[0]
        if self._journal is not None:
            item.place = self._journal.event(item.data, item.span)
        # No call from here on
        self.taken_in += 1
        item.number = self.taken_in
        self._waiting += (item,)
        self._bytes += item.size
        del late[0]
        # to here.
        self._trim()
        if self._journal is not None and self._journal.due:
            self.rewrite()

    def take(self) -> list[Item]:
        """The batch to be sent next, now in flight: half of a refused one, else the oldest that are waiting, else one
        that is slow."""
        if self.in_flight:  # we have failed before it could be sent
            return self.in_flight
        if self._halves:
            self.in_flight = self._halves[-1]
            del self._halves[-1]
            return self.in_flight
        room = self._batch_bytes
        while self._waiting and len(self.in_flight) < self._batch_size:
            item = self._waiting[0]
            room -= item.size + 1
            if self.in_flight and room < 0:
                break
            self.in_flight += (item,)
            self._bytes -= item.size
            del self._waiting[0]
        if not self.in_flight and self._slow:
            item = self._slow[0]
            self.in_flight += (item,)
            self._slow_bytes -= item.size
            del self._slow[0]
        return self.in_flight

    def grow(self) -> None:
        """Twice as much would have been in time, too: take more from now on."""
        self._batch_size = min(2 * self._batch_size, self._settings.batch_size)
        self._batch_bytes = min(2 * self._batch_bytes, self._settings.batch_bytes)
        if self._slow:
            self._let_back()

    def halve(self) -> None:
        """What was in flight goes again, in two parts."""
        middle = len(self.in_flight) // 2
        self._halves += (self.in_flight[middle:], self.in_flight[:middle])
        self.in_flight = []

    def put_back(self) -> None:
        """What was in flight, and halves of it, are the first in line again."""
        again = [*self.in_flight, *chain.from_iterable(reversed(self._halves))]
        waiting = deque(chain(again, self._waiting))
        size = sum(item.size for item in again)
        self._waiting, self._bytes, self._halves, self.in_flight = waiting, self._bytes + size, [], []
        self._trim()

    def shrink(self) -> None:
        """What is in flight takes longer than there is time: take less from now on."""
        count, size = len(self.in_flight), sum(item.size for item in self.in_flight)
        self._batch_size = max(count // SHRINK, 1)
        self._batch_bytes = size // min(SHRINK, count)

    def set_aside(self, now: float) -> None:
        """The one event in flight takes longer than there is time: let all others pass."""
        item = self.in_flight[0]
        if self._journal is not None:  # once more, behind the others: they can be written off before it is settled
            item.place = self._journal.event(item.data) or item.place
        item.at, item.slow = now, True
        self._slow += (item,)
        self._slow_bytes += item.size
        self.in_flight = []
        self._trim()

    def clear(self) -> list[Item]:
        """Let go of everything; the caller counts it, and sets `surplus` to [] when it has."""
        items, empty, none_slow = list(self._items()), deque[Item](), deque[Item]()
        # No call from here on
        self.surplus, self._waiting, self._halves, self.in_flight, self._bytes = items, empty, [], [], 0
        self._slow, self._slow_bytes = none_slow, 0
        return items

    def write_off(self) -> None:
        """Tell the journal how far events are settled."""
        if self._journal is not None:
            places = [item.place for item in self._items() if item.place]
            if not places or self._journal.due:
                self.rewrite()
            else:
                self._journal.settled(min(places))

    def rewrite(self) -> None:
        """Leave out of the journal what is settled."""
        if self._journal is not None:
            items = list(self._items())
            for item, place in zip(items, self._journal.empty([item.data for item in items]), strict=False):
                item.place = place

    def _items(self) -> Iterator[Item]:
        yield from self.surplus
        yield from self.in_flight
        yield from chain.from_iterable(reversed(self._halves))
        yield from self._waiting
        yield from self._slow

    def _let_back(self) -> None:
        """Put what was set aside in line again, once: it may have been the backend that was slow."""
        back = sorted((item for item in self._slow if not item.returned), key=lambda item: item.number)
        for item in back:
            item.slow, item.returned = False, True
        waiting, slow = deque(chain(back, self._waiting)), deque(item for item in self._slow if item.slow)
        size = sum(item.size for item in back)
        # No call from here on
        self._waiting, self._slow = waiting, slow
        self._bytes += size
        self._slow_bytes -= size

    def _trim(self) -> None:
        """Take out the oldest until what is waiting is within its bounds."""
        waiting, slow = self._waiting, self._slow
        most, room = self._settings.max_events, self._settings.max_bytes
        while len(waiting) + len(slow) > most or self._bytes + self._slow_bytes > room:
            item = slow[0] if slow else waiting[0]
            self.surplus += (item,)
            if slow:
                self._slow_bytes -= item.size
                del slow[0]
            else:
                self._bytes -= item.size
                del waiting[0]
