"""How much a delivery holds, sends at once and reports: what is too much is dropped, counted and reported."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.delivery.support import (
    OK,
    RETRY,
    Gate,
    Make,
    Picky,
    Scripted,
    assert_balanced,
    assert_sizes,
    balance,
    buffer_of,
    capture,
    event,
    eventually,
    lock_of,
    notices_of,
    pending_numbers,
)
from zespan_serverless._delivery import notices
from zespan_serverless._delivery.buffer import Item
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.settings import Settings


@pytest.mark.parametrize(("rejected", "taken"), [(2, [0]), (3, []), (9, []), (-1, [0, 1, 2]), (None, [0, 1, 2])])
def test_rejected_events_are_dropped_and_the_others_delivered(make: Make, rejected: Any, taken: list[int]) -> None:
    """They count as the last ones of the batch, whatever number an exporter says, and are never sent again."""
    told: list[Dropped] = []
    outcome = Outcome("delivered", "too old", rejected=rejected)
    exporter = Scripted(lambda exporter, numbers: outcome)
    delivery = make(exporter, on_error=told.append)
    for number in range(3):
        capture(delivery, number)
    report = delivery.flush(5)
    lost = 3 - len(taken)
    assert (report.delivered, report.dropped, report.pending) == (len(taken), lost, 0)
    assert delivery.flush(5).pending == 0
    eventually(lambda: sum(one.events for one in told) == lost)
    assert {(one.reason, one.detail) for one in told} == ({("refused", "too old")} if lost else set())
    assert_balanced(delivery)


def test_a_full_buffer_drops_the_oldest(make: Make) -> None:
    """The oldest by number are dropped, counted and reported."""
    told: list[Dropped] = []
    exporter = Scripted(RETRY)
    delivery = make(exporter, max_events=10, on_error=told.append)
    capture(delivery, 0)
    delivery.flush(5)  # the breaker is open now
    capture(delivery, *range(1, 25))
    assert balance(delivery) == (25, 0, 10, 15)
    assert delivery.dropped == {"buffer_full": 15}
    eventually(lambda: sum(dropped.events for dropped in told) == 15)
    assert [json.loads(payload)["n"] for dropped in told for payload in dropped.payloads] == list(range(15))
    exporter.from_now_on(OK)
    assert delivery.flush(5, probe=True).delivered == 10
    assert exporter.delivered == list(range(15, 25))


def test_a_full_buffer_is_bounded_in_bytes(make: Make) -> None:
    """The bound holds also for what comes back from a failed attempt."""
    gate = Gate(RETRY)
    exporter = Scripted(gate)
    delivery = make(exporter, max_bytes=1000, batch_size=5)
    for n in range(5):
        delivery.capture(event({"n": n, "x": "x" * 150}))
    assert gate.entered.acquire(timeout=5)
    for n in range(5, 9):
        delivery.capture(event({"n": n, "x": "x" * 150}))
    assert balance(delivery) == (9, 0, 9, 0)
    gate.open.set()
    delivery.flush(0.5)
    captured, delivered, pending, dropped = balance(delivery)
    assert (captured, delivered) == (9, 0)
    assert (pending, dropped) == (6, 3)
    assert_sizes(buffer_of(delivery))
    assert buffer_of(delivery)._bytes <= 1000
    assert pending_numbers(delivery) == [3, 4, 5, 6, 7, 8]


def test_too_large_event_is_shortened_or_dropped(make: Make) -> None:
    """It is dropped if shortening is not enough. An event that just fits is sent as it is."""
    exporter = Scripted()
    delivery = make(exporter, batch_bytes=1024)
    room = 1024 - len(b'{"n":1,"x":""}')
    delivery.capture(event({"n": 1, "x": "x" * room}))
    delivery.capture(event({"n": 2, "x": "x" * (room + 1)}))
    delivery.capture(event({"n": 3, **dict.fromkeys(map(str, range(200)), "x")}))
    delivery.flush(5)
    assert delivery.dropped == {"too_large": 1}
    assert exporter.delivered == [1, 2]


def test_event_larger_than_the_buffer_is_dropped_alone(make: Make) -> None:
    """Events that fit are not dropped with it."""
    delivery = make(Scripted(), max_bytes=1024)
    delivery.capture(event({"n": 1, **dict.fromkeys(map(str, range(200)), "x")}))
    assert delivery.dropped == {"buffer_full": 1}
    capture(delivery, 2)
    assert delivery.flush(5).delivered == 1


def test_a_batch_keeps_within_its_bytes(make: Make) -> None:
    """Newlines between events included: four of a quarter of it are too many."""
    exporter = Scripted()
    delivery = make(exporter, batch_bytes=1024)
    quarter = 1024 // 4 - len(b'{"n":10,"x":""}')
    with lock_of(delivery):  # so that nothing is sent in between
        for n in range(10, 30):
            delivery.capture(event({"n": n, "x": "x" * quarter}))
    delivery.flush(5)
    assert exporter.delivered == list(range(10, 30))
    assert max(map(len, exporter.batches)) == 3


@pytest.mark.parametrize("fields", [{"n": -1}, {}])
def test_unencodable_event_is_counted_and_reported(make: Make, fields: Any) -> None:
    """`on_error` gets it without a payload."""
    told: list[Dropped] = []
    delivery = make(Picky(), on_error=told.append)
    delivery.capture(event(fields))
    delivery.flush(5)
    assert delivery.dropped == {"unencodable": 1}
    assert [(dropped.events, dropped.reason, dropped.payloads) for dropped in told] == [(1, "unencodable", ())]


def test_on_error_does_not_wait_for_a_flush(make: Make) -> None:
    """What is dropped at once is told at once, even if it is all that there ever was."""
    told: list[Dropped] = []
    delivery = make(Scripted(), batch_bytes=10, on_error=told.append)
    delivery.capture(event({"n": "x" * 100}))
    eventually(lambda: told)


def test_exporter_that_encodes_to_no_bytes_drops_the_event(make: Make) -> None:
    """No bytes, no event; and no exception."""

    class Odd(Scripted):
        def encode(self, record: Any) -> Any:
            return None

    delivery = make(Odd())
    capture(delivery, 1)
    assert delivery.dropped == {"unencodable": 1}


def test_exporter_whose_exceptions_have_no_text_is_survived(make: Make) -> None:
    """An exception whose text is an exception, in both of its methods."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    class Failing(Picky):
        def encode(self, record: Any) -> bytes:
            if record.fields["n"] == -1:
                raise Mute
            return super().encode(record)

    delivery = make(Failing(Mute(), OK))
    capture(delivery, -1, 1)
    assert delivery.flush(5).delivered == 1
    assert delivery.dropped == {"unencodable": 1}


def test_waiting_drops_are_bounded(make: Make) -> None:
    """While on_error hangs, what it has not been told does not fill the memory; it is told of all, in one call."""
    entered, over = threading.Event(), threading.Event()
    told: list[Dropped] = []

    def hang(dropped: Dropped) -> None:
        told.append(dropped)
        entered.set()
        assert over.wait(10)

    delivery = make(Scripted(), max_events=1, batch_size=500, on_error=hang)
    capture(delivery, *range(3))
    assert entered.wait(5)
    capture(delivery, *range(2 * notices.NOTICES_MAX))
    assert len(notices_of(delivery)._drops) == 1
    assert sum(delivery.dropped.values()) == 2 * notices.NOTICES_MAX + 2
    over.set()
    eventually(lambda: sum(dropped.events for dropped in told) == 2 * notices.NOTICES_MAX + 2)
    assert len(told) == 2
    assert len(told[-1].payloads) == notices.NOTICES_MAX


def test_kinds_of_waiting_drops_are_bounded() -> None:
    """A backend that gives another reason for each event fills no memory, and none of them goes uncounted."""
    news = notices.Notices(Settings(on_error=(told := list[Dropped]()).append))
    for number in range(2 * notices.NOTICES_MAX):
        news.dropped([Item(b"x", 0.0)], "refused", str(number))
    assert len(news._drops) <= notices.NOTICES_MAX + 2
    while news:
        news.drain()()
    assert sum(dropped.events for dropped in told) == 2 * notices.NOTICES_MAX
