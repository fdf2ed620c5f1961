"""Events keep their order, and the books their sums, whatever becomes of a batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import cast
from unittest import mock

from hypothesis import example, given
from hypothesis import strategies as st

from tests.delivery.support import assert_sizes
from zespan_serverless._delivery.buffer import Buffer, Item
from zespan_serverless._delivery.journal import Journal
from zespan_serverless.settings import Settings


class Pages:
    """A journal that knows what it has been told."""

    def __init__(self) -> None:
        self.settled, self.needs_rewrite, self._end = 0, False, 0

    def append_event(self, data: bytes, span: str = "") -> int:
        self._end += 1
        return self._end

    def mark_settled(self, before: int) -> None:
        self.settled = before

    def rewrite(self, events: Sequence[bytes]) -> list[int]:
        self.settled = self._end + 1
        return [self.append_event(data) for data in events]


STEPS = st.lists(st.sampled_from(["keep", "take", "done", "halve", "put_back"]), max_size=60)
OTHERS = st.lists(st.sampled_from(["keep", "take", "done", "put_back", "set_aside", "shrink", "grow"]), max_size=80)
MARKED = st.lists(
    st.sampled_from(["keep", "take", "done", "halve", "put_back", "set_aside", "shrink", "grow", "rewrite", "drop"]),
    max_size=80,
)


def keep(buffer: Buffer, number: int) -> None:
    buffer.enqueue(deque([Item(b"x" * (number % 3), 0.0)]))


@example(["keep", "take", "set_aside", "keep"], 1, 9)
@example(["keep", "take", "set_aside", "keep", "rewrite", "keep", "grow"], 1, 9)
@example(["keep", "take", "set_aside", "rewrite", "keep"], 1, 9)
@example(["keep", "take", "keep", "keep"], 1, 1)
@given(MARKED, st.integers(1, 4), st.integers(1, 9))
def test_journal_is_told_where_the_oldest_event_begins(steps: list[str], batch_size: int, max_events: int) -> None:
    """No event before that place is pending, and the event at it is, in whatever order the others are sent."""
    pages = Pages()
    buffer = Buffer(Settings(batch_size=batch_size, max_events=max_events), cast(Journal, pages))
    for number, step in enumerate(steps, 1):
        if step == "keep":
            keep(buffer, number)
        elif step == "take":
            buffer.next_batch()
        elif step == "done":
            buffer.in_flight = []
        elif step == "halve" and len(buffer.in_flight) > 1:
            buffer.halve()
        elif step == "put_back":
            buffer.put_back()
        elif step == "set_aside" and len(buffer.in_flight) == 1:
            buffer.set_aside(0.0)
        elif step == "shrink" and buffer.in_flight:
            buffer.shrink()
        elif step == "grow":
            buffer.grow()
        elif step == "drop":
            surplus(buffer)
        pages.needs_rewrite = step == "rewrite"
        buffer.mark_settled()
        places = [item.place for item in buffer._items()]
        assert not places or pages.settled == min(places)


def test_each_event_is_looked_at_a_few_times() -> None:
    """However many are waiting: what is looked at for one batch does not depend on the others."""
    buffer, looks = Buffer(Settings(batch_size=10), cast(Journal, Pages())), 0
    for number in range(1000):
        keep(buffer, number)
    items = buffer._items

    def counted() -> Iterator[Item]:
        nonlocal looks
        for item in items():
            looks += 1
            yield item

    with mock.patch.object(buffer, "_items", counted):
        while buffer.next_batch():
            buffer.in_flight = []
            buffer.mark_settled()
    assert 0 < looks <= 1000


def surplus(buffer: Buffer) -> int:
    """Return how many gave way; they are the caller's from then on."""
    count = len(buffer.surplus)
    buffer.surplus = []
    return count


@given(STEPS, st.integers(1, 5), st.integers(1, 8))
def test_buffer_keeps_order_and_sums(steps: list[str], batch_size: int, max_events: int) -> None:
    """What is taken is older than all that stays; what gives way is the oldest of what waits; nothing is lost."""
    buffer = Buffer(Settings(batch_size=batch_size, max_events=max_events), None)
    kept, gone = 0, 0
    for step in steps:
        if step == "keep":
            kept += 1
            keep(buffer, kept)
            gone += surplus(buffer)
        elif step == "take" and not buffer.in_flight:
            batch = buffer.next_batch()
            assert buffer.in_flight is batch
            assert len(batch) <= batch_size
            assert bool(batch) == bool(len(buffer))
        elif step == "done":
            gone += len(buffer.in_flight)
            buffer.in_flight = []
        elif step == "halve" and len(buffer.in_flight) > 1:
            buffer.halve()
            assert buffer.is_split
        elif step == "put_back":
            buffer.put_back()
            gone += surplus(buffer)
            assert not buffer.is_split
        items = list(buffer._items())
        assert [item.number for item in items] == sorted(item.number for item in items)
        assert len(buffer) == len(items) == kept - gone
        assert len(buffer._waiting) <= max_events
        assert_sizes(buffer)
    everything = len(buffer)
    assert len(buffer.clear()) == everything
    buffer.surplus = []
    assert (len(buffer), buffer._bytes, buffer.oldest_at) == (0, 0, None)


@given(OTHERS, st.integers(1, 5), st.integers(1, 8))
def test_buffer_with_slow_events_keeps_bounds_and_sums(steps: list[str], batch_size: int, max_events: int) -> None:
    """What is too slow is sent when nothing else is to be sent; nothing is lost, and the bounds hold."""
    buffer = Buffer(Settings(batch_size=batch_size, max_events=max_events), None)
    kept, gone = 0, 0
    for step in steps:
        if step == "keep":
            kept += 1
            keep(buffer, kept)
        elif step == "take" and not buffer.in_flight:
            others = buffer.has_others
            batch = buffer.next_batch()
            assert bool(batch) == bool(len(buffer))
            assert not any(item.slow for item in batch) or (len(batch) == 1 and not others)
        elif step == "done":
            gone += len(buffer.in_flight)
            buffer.in_flight = []
        elif step == "put_back" and not any(item.slow for item in buffer.in_flight):
            buffer.put_back()
        elif step == "set_aside" and len(buffer.in_flight) == 1:
            buffer.set_aside(0.0)
        elif step == "shrink" and buffer.in_flight:
            buffer.shrink()
        elif step == "grow":
            buffer.grow()
        gone += surplus(buffer)
        assert len({item.number for item in buffer._items()}) == len(buffer) == kept - gone
        assert len(buffer._waiting) + len(buffer._slow) <= max_events + batch_size
        assert_sizes(buffer)
