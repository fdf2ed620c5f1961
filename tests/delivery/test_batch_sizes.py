"""Events that take longer to send than a flush may: they are sent in smaller batches, and block no other event for
ever."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.conftest import Clock
from tests.delivery.support import (
    OK,
    Gate,
    Make,
    Scripted,
    accounts_of,
    assert_balanced,
    capture,
    eventually,
    hang,
    is_idle,
    pauses,
    sender_of,
    without_journal,
)
from zespan_serverless._delivery.buffer import SEND_AT, Item
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.settings import Settings

FAILED = Outcome("retry", "HTTP 500", suspect=True)


class Line(Scripted):
    """A slow one: so many seconds for each event; what is cut off, or out of time, has not arrived."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        super().__init__()
        self.seconds = seconds

    def send(self, batch: Sequence[bytes], timeout: float) -> Any:
        numbers = [json.loads(data)["n"] for data in batch]
        self.batches.append(numbers)
        self.timeouts.append(timeout)
        self.cut.clear()
        takes = sum(map(self.seconds, numbers))
        if self.cut.wait(min(takes, timeout)) or takes > timeout:
            raise TimeoutError("no time left")
        self.delivered += numbers
        return OK


def test_a_batch_that_takes_too_long_is_divided(make: Make) -> None:
    """Five events of 0.08 s each, 0.2 s at a time: all of them arrive, within a few flushes."""
    exporter = Line(lambda _: 0.08)
    delivery = make(exporter, flush_timeout=0.2, flush_interval=3600.0)
    capture(delivery, *range(5))
    for _ in range(15):
        delivery.flush(0.2)
    assert sorted(exporter.delivered) == [*range(5)]


@pytest.mark.parametrize(("settings", "sizes"), [({}, [SEND_AT, 400]), ({"batch_size": 300}, [SEND_AT, 300, 100])])
def test_a_request_has_as_many_events_as_wait(make: Make, settings: Any, sizes: list[int]) -> None:
    """A backend that is far away gets them in fewer requests, but `batch_size` is never exceeded."""
    gate = Gate()
    exporter = Scripted(gate, OK)
    delivery = make(exporter, flush_interval=3600.0, **settings)
    capture(delivery, *range(SEND_AT))
    assert gate.entered.acquire(timeout=20)
    capture(delivery, *range(SEND_AT, SEND_AT + 400))
    gate.open.set()
    assert delivery.flush(20).pending == 0
    assert [len(batch) for batch in exporter.batches] == sizes
    assert exporter.delivered == [*range(SEND_AT + 400)]


@pytest.mark.parametrize("limit", [SEND_AT, 99])
def test_a_backend_that_accepts_fewer_events_gets_fewer_from_then_on(make: Make, limit: int) -> None:
    """It has said so once, by refusing a request; no event is refused alone."""

    def limited(exporter: Scripted, numbers: list[int]) -> Outcome:
        return OK if len(numbers) <= limit else Outcome("refused", "HTTP 413")

    exporter = Scripted(limited)
    delivery = make(exporter, flush_interval=3600.0, batch_size=400)
    with accounts_of(delivery).lock:  # so that they wait together
        for number in range(400):
            accounts_of(delivery).intake.append(Item(b'{"n": %d}' % number, 0.0))
    assert delivery.flush(20).pending == 0
    exporter.batches.clear()
    capture(delivery, *range(400, 800))
    assert delivery.flush(20).pending == 0
    assert max(map(len, exporter.batches)) <= SEND_AT
    assert (exporter.delivered, delivery.lost) == ([*range(800)], 0)


def test_batches_grow_again_when_the_backend_is_fast(make: Make) -> None:
    """When the line is fast again, a few requests do for many events."""
    exporter = Line(lambda _: 0.1)
    delivery = make(exporter, flush_timeout=0.2, flush_interval=3600.0)
    capture(delivery, *range(5))
    delivery.flush(0.2)
    exporter.seconds = lambda _: 0.0
    delivery.flush(5, probe=True)
    exporter.batches.clear()
    capture(delivery, *range(100, 130))
    delivery.flush(5)
    capture(delivery, *range(200, 230))
    delivery.flush(5)
    assert sorted(exporter.delivered) == [*range(5), *range(100, 130), *range(200, 230)]
    assert len(exporter.batches) < 10
    assert len(exporter.batches[-1]) > 10


@pytest.mark.slow
def test_an_attempt_that_a_flush_has_no_time_for_divides_nothing(make: Make) -> None:
    """Each flush has time for one request and a half: the backend is far away, and gets whole batches all the same."""
    exporter = Line(lambda number: 0.9 if number % 10 == 0 else 0.0)
    delivery = make(exporter, flush_timeout=1.5, flush_interval=3600.0, batch_size=10)
    capture(delivery, *range(30))
    for _ in range(6):
        delivery.flush(1.5, probe=True)
    assert exporter.delivered == [*range(30)]
    assert min(map(len, exporter.batches)) == 10


def test_one_slow_event_holds_up_no_others(make: Make) -> None:
    """It is given up, and counted, when it has used up the time of three flushes in which others got through."""
    told: list[Dropped] = []
    exporter = Line(lambda number: 10.0 if number == 0 else 0.0)
    delivery = make(exporter, flush_timeout=0.1, flush_interval=3600.0, on_error=told.append)
    capture(delivery, *range(3))
    for number in range(3, 13):
        capture(delivery, number)
        delivery.flush(0.1, probe=True)
    assert sorted(exporter.delivered) == [*range(1, 13)]
    assert delivery.dropped == {"too_large": 1}
    eventually(lambda: told)
    assert "cannot be sent within flush_timeout" in told[0].detail


@pytest.mark.slow
def test_a_slow_event_gets_more_time_without_a_waiting_flush(make: Make) -> None:
    """Between flushes the sender tries it for longer than a flush could."""
    exporter = Line(lambda number: 0.4 if number == 0 else 0.0)
    delivery = make(exporter, flush_timeout=0.1, flush_interval=0.1)
    capture(delivery, 0, 1)
    delivery.flush(0.1)
    eventually(lambda: sorted(exporter.delivered) == [0, 1], 10)


@pytest.mark.slow
def test_a_slow_event_makes_way_for_a_flush(make: Make) -> None:
    """What a flush waits for does not wait for the slow one, which is under way with more time than it."""
    exporter = Line(lambda number: 3.0 if number == 0 else 0.0)
    delivery = make(exporter, flush_timeout=0.5, flush_interval=0.1)
    capture(delivery, 0, 1)
    delivery.flush(0.1)
    eventually(lambda: any(timeout > 1 for timeout in exporter.timeouts), 10)
    capture(delivery, 2)
    assert delivery.flush(0.3).delivered == 1


def test_a_backend_that_hangs_costs_no_event(make: Make) -> None:
    """Nothing gets through, so no event is too slow: all are kept, and sent together when it is back."""
    exporter = Scripted(hang)
    delivery = make(exporter, flush_interval=3600.0)
    for number in range(8):
        capture(delivery, number)
        delivery.flush(0.05, probe=True)
    assert (delivery.pending, dict(delivery.dropped)) == (8, {})
    exporter.from_now_on(OK)
    exporter.batches.clear()
    delivery.flush(5, probe=True)
    assert sorted(exporter.delivered) == [*range(8)]
    assert len(exporter.batches) <= 5


def test_one_event_that_the_backend_fails_at_holds_up_no_others(make: Make, clock: Clock) -> None:
    """It answers 500 to every batch with this event: the batch is divided, and no flush waits for the event alone."""
    exporter = Scripted(lambda _, numbers: FAILED if 3 in numbers else OK)
    delivery = make(exporter, flush_interval=3600.0)
    capture(delivery, *range(40))
    for number in range(40, 50):  # the first flushes may end with the breaker of the backend open
        delivery.flush(5)
        clock.ahead += 20.0
        capture(delivery, number)
    delivery.flush(5)
    exporter.batches.clear()
    for number in range(50, 60):
        capture(delivery, number)
        report = delivery.flush(5)
        assert (report.delivered, report.pending, report.reason) == (1, 1, "breaker_open")
        clock.ahead += 1.0
    assert sorted(exporter.delivered) == [number for number in range(60) if number != 3]
    assert exporter.batches.count([3]) <= 2
    assert (delivery.pending, dict(delivery.dropped)) == (1, {})
    delivery.flush(5, probe=True)
    assert exporter.batches[-1] == [3]


def test_an_event_is_blamed_after_ten_tries_and_ten_minutes(make: Make, clock: Clock) -> None:
    """Both of them, and only tries between which others were delivered."""
    told: list[Dropped] = []
    exporter = Scripted(lambda _, numbers: FAILED if 3 in numbers else OK)
    delivery = make(exporter, flush_interval=3600.0, on_error=told.append)
    capture(delivery, *range(4))
    began, number = clock.time(), 4
    while not delivery.dropped:
        assert clock.time() < began + 1000.0, (exporter.batches, delivery.pending)
        delivery.flush(5, probe=True)
        capture(delivery, number)
        number, clock.ahead = number + 1, clock.ahead + 11.0
    assert clock.time() >= began + 600.0
    assert exporter.batches.count([3]) > 10
    eventually(lambda: told)
    assert (told[0].events, told[0].reason) == (1, "refused")
    assert "HTTP 500 to this event, but not to others: tried " in told[0].detail
    delivery.flush(5)
    assert (delivery.pending, delivery.dropped) == (0, {"refused": 1})


def test_an_event_is_not_blamed_for_time_alone(make: Make, clock: Clock) -> None:
    """After a day with few attempts it is still there."""
    exporter = Scripted(lambda _, numbers: FAILED if 3 in numbers else OK)
    delivery = make(exporter, flush_interval=3600.0)
    capture(delivery, *range(4))
    delivery.flush(5, probe=True)
    for number in range(4, 12):
        clock.ahead += 10_000.0
        capture(delivery, number)
        delivery.flush(5)
    assert (delivery.pending, dict(delivery.dropped)) == (1, {})


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_backend_that_fails_now_and_then_costs_no_event(share: float, make: Make, clock: Clock) -> None:
    """Half an hour of 500s at random: nothing is dropped; when they are over everything is delivered."""
    chance = random.Random(f"{share}")
    exporter = Scripted(lambda *_: FAILED if chance.random() < share else OK)
    delivery = make(exporter, flush_interval=3600.0, max_events=1_000_000)
    for number in range(0, 1080, 3):
        capture(delivery, number, number + 1, number + 2)
        delivery.flush(5)
        clock.ahead += 5.0
    assert dict(delivery.dropped) == {}
    exporter.from_now_on(OK)
    delivery.flush(20, probe=True)
    assert (sorted(exporter.delivered), delivery.pending) == ([*range(1080)], 0)


@pytest.mark.usefixtures("at_once")
def test_the_others_go_together_when_one_has_failed_alone(make: Make) -> None:
    """It may be the one to blame; and a backend that fails at random may take all others at once."""
    exporter = Scripted(lambda _, numbers: FAILED if 0 in numbers else OK)
    delivery = make(exporter, flush_interval=3600.0)
    capture(delivery, *range(40))
    while not exporter.delivered:
        delivery.flush(5, probe=True)
    assert exporter.batches[exporter.batches.index([0]) + 1] == [*range(1, 40)]


@pytest.mark.usefixtures("at_once")
def test_batches_are_whole_again_when_it_was_the_backend(make: Make) -> None:
    """An event that has failed alone is delivered after all: so no batch has to be small."""
    exporter = Scripted(FAILED)
    delivery = make(exporter, flush_interval=3600.0)
    capture(delivery, *range(40))
    while [0] not in exporter.batches:
        delivery.flush(5, probe=True)
    exporter.from_now_on(OK)
    exporter.batches.clear()
    delivery.flush(5, probe=True)
    assert sorted(exporter.delivered) == [*range(40)]
    assert max(map(len, exporter.batches)) > 30


def test_a_backend_that_answers_500_to_everything_costs_no_event(make: Make) -> None:
    """However long it does, no event is to blame; when it is back they are sent in a few requests."""
    exporter = Scripted(FAILED)
    delivery = make(exporter, flush_interval=3600.0)
    capture(delivery, *range(40))
    for number in range(40, 60):
        delivery.flush(0.05, probe=True)
        capture(delivery, number)
    assert (delivery.pending, dict(delivery.dropped)) == (60, {})
    exporter.from_now_on(OK)
    exporter.batches.clear()
    delivery.flush(5, probe=True)
    assert sorted(exporter.delivered) == [*range(60)]
    assert len(exporter.batches) <= 8


@pytest.mark.skipif(os.name != "posix", reason="no journal elsewhere")
def test_events_delivered_before_a_slow_one_are_settled_in_the_journal(tmp_path: Path) -> None:
    """The next process sends what is still pending, and not what was delivered behind it."""
    exporter = Line(lambda number: 10.0 if number == 0 else 0.0)
    settings = Settings(exporter=exporter, flush_timeout=0.1, flush_interval=3600.0)
    delivery = Delivery(exporter, settings, Journal(str(tmp_path / "journal"), "there", "key", 1_000_000))
    capture(delivery, 0, 1, 2, 3)
    while sorted(exporter.delivered) != [1, 2, 3]:
        delivery.flush(0.1, probe=True)
    assert delivery.pending == 1
    eventually(lambda: is_idle(delivery))
    without_journal(delivery).release()
    (only,) = Journal(str(tmp_path / "journal"), "there", "key", 1_000_000).recover()
    assert set(only.events) == {b'{"n":0}'}
    assert_balanced(delivery)
    delivery.reset()


def test_an_attempt_that_fails_at_once_divides_nothing(make: Make, at_once: None) -> None:
    """A backend that answers 503 gets whole batches."""
    exporter = Scripted(Outcome("retry", "HTTP 503"), OK)
    delivery = make(exporter)
    capture(delivery, *range(5))
    began = time.monotonic()
    assert delivery.flush(5).delivered == 5
    assert exporter.batches == [[*range(5)]] * 2
    assert time.monotonic() - began < 5


def test_one_event_that_the_backend_fails_at_is_found_soon_among_hundreds(make: Make) -> None:
    """It is alone after three failures, so that the pauses of the open breaker are not spent on the search."""
    exporter = Scripted(lambda _, numbers: FAILED if 0 in numbers else OK)
    delivery = make(exporter, flush_interval=3600.0)
    sender_of(delivery).is_held = True
    capture(delivery, *range(500))
    sender_of(delivery).is_held = False
    with pauses(0.0):
        for _ in range(3):
            delivery.flush(10.0, probe=True)
    assert exporter.batches[3] == [0]
    assert (delivery.delivered, delivery.pending) == (499, 1)
