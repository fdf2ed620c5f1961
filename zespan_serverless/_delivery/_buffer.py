"""What is captured and not settled yet: in memory, and where each event stands in the journal.

in flight | halves of a refused batch | waiting          from the oldest to the newest
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._settings import Settings
    from ._journal import Journal


class Item:
    """One encoded event; `at` is the wall clock of its capture, `place` where it stands in the journal (0: nowhere)."""

    __slots__ = ("at", "data", "number", "place")

    def __init__(self, number: int, data: bytes, at: float) -> None:
        self.number, self.data, self.at = number, data, at
        self.place = 0


class Buffer:
    """All methods under the delivery's lock. What has to give way is returned: the caller counts it."""

    def __init__(self, settings: Settings, journal: Journal | None) -> None:
        self._settings, self._journal = settings, journal
        self._waiting: deque[Item] = deque()
        self._bytes = 0  # of those waiting
        self._halves: list[list[Item]] = []  # the oldest last
        self.in_flight: list[Item] = []

    def __len__(self) -> int:
        return len(self.in_flight) + sum(map(len, self._halves)) + len(self._waiting)

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
        """When the oldest event that is waiting was captured."""
        return self._waiting[0].at if self._waiting else None

    def keep(self, item: Item, span: str = "") -> list[Item]:
        """Put an event on disk, if there is a journal, and in line. `span` is the id of what it ends."""
        if self._journal is not None:
            item.place = self._journal.event(item.data, span)
        self._waiting.append(item)
        self._bytes += len(item.data)
        too_many = self._trim()
        if self._journal is not None and self._journal.full:
            self._rewrite()
        return too_many

    def take(self) -> list[Item]:
        """The batch to be sent next, now in flight: half of a refused one, else the oldest that are waiting."""
        if self.in_flight:  # we have failed before it could be sent
            return self.in_flight
        if self._halves:
            self.in_flight = self._halves.pop()
            return self.in_flight
        batch = self.in_flight = []
        room = self._settings.batch_bytes
        while self._waiting and len(batch) < self._settings.batch_size:
            room -= len(self._waiting[0].data) + 1
            if batch and room < 0:
                break
            batch.append(self._next())
        return batch

    def done(self) -> None:
        """What was in flight is settled."""
        self.in_flight = []

    def halve(self) -> None:
        """What was in flight goes again, in two parts."""
        batch, self.in_flight = self.in_flight, []
        middle = len(batch) // 2
        self._halves += [batch[middle:], batch[:middle]]

    def put_back(self) -> list[Item]:
        """What was in flight, and halves of it, are the first in line again."""
        parts = [*self._halves, self.in_flight]  # newest first, so that the oldest ends up in front
        self._halves, self.in_flight = [], []
        for part in parts:
            self._waiting.extendleft(reversed(part))
            self._bytes += sum(len(item.data) for item in part)
        return self._trim()

    def clear(self) -> list[Item]:
        """Let go of everything."""
        items = self._items()
        self._waiting.clear()
        self._halves, self.in_flight, self._bytes = [], [], 0
        return items

    def write_off(self) -> None:
        """Tell the journal how far events are settled."""
        if self._journal is not None:
            first = (next((item.place for item in self._waiting if item.place), 0),)  # they stand in their order
            places = [*first, *(item.place for part in (*self._halves, self.in_flight) for item in part)]
            if any(places):
                self._journal.settled(min(filter(None, places)))
            else:
                self._rewrite()

    def _items(self) -> list[Item]:
        halves = [item for half in reversed(self._halves) for item in half]
        return [*self.in_flight, *halves, *self._waiting]

    def _rewrite(self) -> None:
        """Leave out of the journal what is settled."""
        if self._journal is not None:
            items = self._items()
            for item, place in zip(items, self._journal.empty([item.data for item in items]), strict=False):
                item.place = place

    def _trim(self) -> list[Item]:
        """Take out the oldest until what is waiting is within its bounds."""
        old: list[Item] = []
        while len(self._waiting) > self._settings.max_events or self._bytes > self._settings.max_bytes:
            old.append(self._next())
        return old

    def _next(self) -> Item:
        item = self._waiting.popleft()
        self._bytes -= len(item.data)
        return item
