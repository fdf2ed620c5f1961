"""A fallback that fails, hangs or refuses events loses none of them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.delivery.conftest import Clock
from tests.delivery.support import (
    OK,
    REFUSED,
    RETRY,
    UNAUTHORIZED,
    WAYS_TO_FAIL,
    Gate,
    Make,
    Scripted,
    away,
    capture,
    eventually,
    hang,
    pending_numbers,
    sender_of,
)
from zespan_serverless._base.reports import FlushReport
from zespan_serverless.exporters import Dropped


@pytest.mark.parametrize("step", [*WAYS_TO_FAIL, UNAUTHORIZED, SystemError("odd"), lambda *_: None])
def test_a_fallback_that_fails_changes_nothing(make: Make, step: Any) -> None:
    """What cannot be delivered is pending within the time of the flush, or is dropped at the end with its reason."""
    told: list[Dropped] = []
    fallback = Scripted(step)
    delivery = make(Scripted(RETRY), fallback=fallback, on_error=told.append)
    capture(delivery, 1, 2)
    began = time.monotonic()
    assert delivery.flush(0.5, last=True).pending == 2
    assert time.monotonic() - began < 5
    assert fallback.batches == [[1, 2]]
    assert delivery.close(0.2).replaced(elapsed=0) == FlushReport(dropped=2)
    assert dict(delivery.dropped) == {"closed": 2}
    assert sum(one.events for one in told) == 2


def test_a_fallback_that_fails_is_left_alone_for_a_while(make: Make, clock: Clock, at_once: None) -> None:
    """It is not tried at each flush, but after 1 s, 2 s and so on; and a success ends that."""
    delivery, _, fallback = away(make, fallback_after=0.0)
    delivery.flush(5)
    assert delivery.parked == 1
    fallback.from_now_on(RETRY)
    capture(delivery, 1)
    tries = []
    for seconds in (0.0, 0.1, 0.9, 1.1, 2.0, 3.2):
        clock.ahead = seconds
        delivery.flush(0.2)
        tries.append(len(fallback.batches) - 1)
    assert tries == [1, 1, 1, 2, 2, 3]
    fallback.from_now_on(OK)
    clock.ahead = 8.0
    assert delivery.flush(5).parked == 1


def test_the_last_flush_tries_a_fallback_that_has_failed_once_more(make: Make, at_once: None) -> None:
    """There is no other chance."""
    delivery, _, fallback = away(make, fallback_after=0.0)
    fallback.from_now_on(RETRY, OK)
    capture(delivery, 1, 2)
    delivery.flush(0.2)
    parked = delivery.parked
    assert delivery.close(5).parked == 3 - parked
    assert delivery.parked == 3


def test_a_fallback_that_cannot_be_interrupted_is_given_up(make: Make, at_once: None) -> None:
    """The flush keeps its time. What such a call says later is ignored: its events are pending, and count once."""
    delivery, backend, fallback = away(make, fallback_after=3600.0)
    gate = Gate()
    fallback.from_now_on(gate)
    began = time.monotonic()
    assert delivery.flush(0.2, last=True).pending == 1
    assert time.monotonic() - began < 5
    gate.open.set()
    eventually(lambda: not sender_of(delivery).stuck)
    backend.from_now_on(OK)
    assert delivery.flush(5, probe=True).replaced(elapsed=0) == FlushReport(delivered=1)
    assert (delivery.delivered, delivery.parked) == (1, 0)


def test_both_are_interrupted_where_they_hang(make: Make) -> None:
    """A call is cut off by the `cancel` of the one that it hangs in."""
    backend, fallback = Scripted(hang), Scripted(hang)
    delivery = make(backend, fallback=fallback)
    capture(delivery, 1)
    delivery.flush(0.5, last=True)
    assert backend.cut.is_set()
    assert fallback.cut.is_set()
    assert sender_of(delivery).stuck == []


def test_a_batch_that_is_too_large_for_the_fallback_is_divided(make: Make) -> None:
    """As far as needed, and no event is put twice."""
    fallback = Scripted(lambda _, numbers: REFUSED if len(numbers) > 10 else OK)
    delivery = make(Scripted(RETRY), fallback=fallback)
    capture(delivery, *range(100))
    assert delivery.close(5).replaced(elapsed=0) == FlushReport(parked=100)
    assert fallback.delivered == [*range(100)]


def test_an_event_that_the_fallback_refuses_waits_for_the_backend(make: Make, clock: Clock, at_once: None) -> None:
    """The others are parked, and it is not offered again."""
    delivery, backend, fallback = away(make)
    fallback.from_now_on(lambda _, numbers: REFUSED if 5 in numbers else OK)
    capture(delivery, *range(1, 10))
    clock.ahead = 61.0
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(parked=9, pending=1, reason="breaker_open")
    tries = len(fallback.batches)
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(pending=1, reason="breaker_open")
    assert len(fallback.batches) == tries
    backend.from_now_on(OK)
    assert delivery.flush(5, probe=True).replaced(elapsed=0) == FlushReport(delivered=1)
    assert backend.delivered == [5]


def test_a_full_buffer_drops_the_oldest_if_the_fallback_fails_too(make: Make, at_once: None) -> None:
    """With their reason, and counted, as without a fallback."""
    delivery, _, fallback = away(make, max_events=10)
    fallback.from_now_on(RETRY)
    capture(delivery, *range(1, 31))
    assert pending_numbers(delivery)[-1] == 30
    eventually(lambda: delivery.lost == 31 - 10)
    assert dict(delivery.dropped) == {"buffer_full": 21}
