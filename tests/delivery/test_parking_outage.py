"""A long outage, or a buffer that fills up, parks events before the last flush."""

from __future__ import annotations

import threading
import time

from tests.delivery.conftest import Clock
from tests.delivery.support import (
    OK,
    RETRY,
    Make,
    Scripted,
    away,
    capture,
    event,
    eventually,
    hang,
    pending_numbers,
)
from zespan_serverless._base.reports import FlushReport
from zespan_serverless.exporters import Outcome

SILENCE = Outcome("retry", "HTTP 429", 60.0)


def test_a_long_outage_parks_at_the_next_flush(make: Make, clock: Clock, at_once: None) -> None:
    """Not before `fallback_after`; from then on at each flush that finds the breaker open."""
    delivery, backend, fallback = away(make, fallback_after=60.0)
    clock.ahead = 4.0
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(pending=1, reason="breaker_open")
    clock.ahead = 61.0  # the breaker lets one attempt through, which fails
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(parked=1)
    capture(delivery, 1, 2)
    tries = len(backend.batches)
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(parked=2)
    assert len(backend.batches) == tries
    assert fallback.delivered == [0, 1, 2]


def test_a_flush_in_the_background_that_parks_everything_is_reported(make: Make, clock: Clock, at_once: None) -> None:
    """`on_flush` is called, although nothing was delivered or dropped, or is pending."""
    reports: list[FlushReport] = []
    delivery, _, _ = away(make, fallback_after=0, on_flush=reports.append)
    capture(delivery, 1)
    delivery.flush_in_background(5.0)
    eventually(lambda: reports)
    assert reports[0].replaced(elapsed=0) == FlushReport(parked=1)


def test_a_probe_leaves_time_to_park(make: Make, clock: Clock, at_once: None) -> None:
    """In a long outage an attempt at a backend that hangs takes half of the flush."""
    delivery, backend, _ = away(make)
    backend.from_now_on(hang)
    clock.ahead = 61.0
    report = delivery.flush(1.0)
    assert report.replaced(elapsed=0) == FlushReport(parked=1)
    assert backend.timeouts[-1] <= 0.5


def test_a_backend_that_keeps_asking_for_silence_is_away(make: Make, clock: Clock) -> None:
    """A Retry-After, over and over, is an outage as well."""
    backend, fallback = Scripted(SILENCE), Scripted()
    delivery = make(backend, fallback=fallback)
    capture(delivery, 1)
    assert delivery.flush(5).reason == "retry_after"
    clock.ahead = 30.0
    assert delivery.flush(5).reason == "retry_after"
    clock.ahead = 61.0
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(parked=1)


def test_a_backend_that_is_back_gets_events_again(make: Make, clock: Clock, at_once: None) -> None:
    """And a later outage is timed anew."""
    delivery, backend, fallback = away(make)
    clock.ahead = 61.0
    assert delivery.flush(5).parked == 1
    backend.from_now_on(OK)
    clock.ahead = 200.0
    capture(delivery, 1)
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(delivered=1)
    backend.from_now_on(RETRY)
    capture(delivery, 2)
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(pending=1, reason="breaker_open")
    assert fallback.delivered == [0]


def test_an_asynchronous_flush_waits_for_the_fallback(make: Make, clock: Clock, at_once: None) -> None:
    """It is not told that nothing can be done while events can be parked."""
    delivery, _, _ = away(make)
    clock.ahead = 61.0
    done = threading.Event()
    end = delivery.begin_flush(5, done.set)
    assert done.wait(10)
    assert end().replaced(elapsed=0) == FlushReport(parked=1)


def test_a_buffer_that_fills_up_during_an_outage_is_parked(make: Make, at_once: None) -> None:
    """Nothing is dropped, without any flush; the events that came last stay for the backend."""
    delivery, _, fallback = away(make, max_events=100)
    for number in range(1, 1001):
        capture(delivery, number)
        if number % 40 == 0:
            eventually(lambda: delivery.pending <= 51)
    assert delivery.lost == 0
    assert fallback.delivered == [*range(delivery.parked)]
    assert pending_numbers(delivery) == [*range(delivery.parked, 1001)]


def test_a_buffer_that_is_almost_full_is_parked_although_the_backend_is_there(make: Make) -> None:
    """It may be too slow for so many events; else they would be dropped."""
    fallback = Scripted()
    delivery = make(Scripted(), fallback=fallback, max_events=40, flush_interval=3600.0)
    capture(delivery, *range(36))
    time.sleep(0.1)
    assert fallback.batches == []
    capture(delivery, 36)
    eventually(lambda: delivery.parked)
    assert fallback.batches == [[*range(37)]]


def test_large_events_fill_the_buffer_as_well(make: Make, at_once: None) -> None:
    """Its bytes count, and a batch for the fallback has no more bytes than one for the backend."""
    delivery, _, fallback = away(make, max_bytes=100_000, batch_bytes=20_000)
    for number in range(1, 7):
        delivery.capture(event({"n": number, "text": "x" * 9_000}))
    eventually(lambda: delivery.parked)
    assert fallback.batches == [[0, 1, 2]]
    assert delivery.lost == 0
