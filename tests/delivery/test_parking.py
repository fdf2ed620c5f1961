"""What the backend cannot have goes to the fallback when it matters, and is accounted for."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.delivery.conftest import Clock
from tests.delivery.support import (
    OK,
    REFUSED,
    RETRY,
    UNAUTHORIZED,
    Gate,
    Scripted,
    accounts_of,
    assert_balanced,
    breaker_of,
    capture,
    event,
    eventually,
    hang,
    in_thread,
    pending_numbers,
    sender_of,
)
from tests.support import text_of
from zespan_serverless._base.reports import FlushReport
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.settings import Settings

Make = Callable[..., Delivery]

MADE_UP = OSError("connection refused")
SILENCE = Outcome("retry", "HTTP 429", 60.0)
WAYS_TO_FAIL = [pytest.param(MADE_UP, id="refuses"), pytest.param(RETRY, id="500"), pytest.param(hang, id="hangs")]


def away(make: Make, **settings: Any) -> tuple[Delivery, Scripted, Scripted]:
    """Return a delivery whose breaker is open, its backend, and its fallback."""
    backend, fallback = Scripted(RETRY), Scripted()
    delivery = make(backend, fallback=fallback, **settings)
    capture(delivery, 0)
    while not breaker_of(delivery).is_open:
        delivery.flush(5)
    return delivery, backend, fallback


# ---------------------------------------------------------------------- at the end


@pytest.mark.parametrize("step", WAYS_TO_FAIL)
@pytest.mark.parametrize("ending", ["close", "close_at_exit", "last flush"])
def test_the_last_flush_parks_what_cannot_be_delivered(make: Make, step: Any, ending: str) -> None:
    """However the backend fails, and however long it has failed, within the time of the flush."""
    backend, fallback = Scripted(step), Scripted()
    delivery = make(backend, fallback=fallback)
    capture(delivery, 1, 2, 3)
    began = time.monotonic()
    if ending == "close":
        assert delivery.close(1.0).replaced(elapsed=0) == FlushReport(parked=3)
    elif ending == "close_at_exit":
        delivery.close_at_exit(1.0)
    else:
        assert delivery.flush(1.0, probe=True, last=True).replaced(elapsed=0) == FlushReport(parked=3)
    assert time.monotonic() - began < 5
    assert (delivery.parked, delivery.pending, delivery.lost) == (3, 0, 0)
    assert (fallback.delivered, backend.delivered) == ([1, 2, 3], [])


def test_a_backend_that_is_there_gets_everything_at_the_end(make: Make) -> None:
    """The fallback is for the rest."""
    backend, fallback = Scripted(), Scripted()
    delivery = make(backend, fallback=fallback)
    capture(delivery, *range(120))
    assert delivery.close(5.0).pending == 0
    assert (delivery.delivered, delivery.parked) == (120, 0)
    assert fallback.batches == []


def test_a_backend_that_fails_in_between_leaves_the_rest_to_the_fallback(make: Make) -> None:
    """Each event goes to one of them."""
    backend, fallback = Scripted(OK, RETRY), Scripted()
    delivery = make(backend, fallback=fallback, batch_size=10)
    capture(delivery, *range(30))  # the sender may take the first full batch before the flush begins
    report = delivery.close(5.0)
    assert (report.parked, report.dropped, report.pending) == (20, 0, 0)
    assert (backend.delivered, fallback.delivered) == ([*range(10)], [*range(10, 30)])


def test_a_backend_that_is_too_slow_for_the_last_flush_leaves_the_rest_to_the_fallback(make: Make) -> None:
    """When half of the time is over, the rest is parked in one batch, although the backend is not away."""

    def slowly(exporter: Scripted, numbers: list[int]) -> Outcome:
        time.sleep(0.05)
        return OK

    backend, fallback = Scripted(slowly), Scripted()
    delivery = make(backend, fallback=fallback, batch_size=1)
    capture(delivery, *range(500))
    report = delivery.close(1.0)
    assert report.delivered > 0
    assert report.parked == 500 - delivery.delivered  # one may have been delivered before the flush began
    assert len(fallback.batches) == 1


def test_an_open_breaker_leaves_all_of_the_time_to_the_fallback(make: Make, at_once: None) -> None:
    """The last flush may be short: the backend is known to be unavailable, and is not tried."""
    delivery, backend, fallback = away(make)
    tries = len(backend.batches)
    assert delivery.flush(0.25, probe=True, last=True).replaced(elapsed=0) == FlushReport(parked=1)
    assert len(backend.batches) == tries
    assert fallback.timeouts[0] > 0.2


@pytest.mark.parametrize(("seconds", "tried"), [(0.25, False), (20.0, True)])
def test_a_backend_whose_last_attempt_has_failed_leaves_a_short_flush_to_the_fallback(
    make: Make, at_once: None, seconds: float, tried: bool
) -> None:
    """A slow disk needs all of the time that Lambda leaves; where there is more, the backend is tried again."""
    backend, fallback = Scripted(RETRY), Scripted()
    delivery = make(backend, fallback=fallback)
    capture(delivery, 1)
    with accounts_of(delivery).lock:
        breaker_of(delivery).failed(time.time())
    assert delivery.flush(seconds, probe=True, last=True).parked == 1
    assert bool(backend.batches) is tried
    assert fallback.timeouts[0] > 0.2


@pytest.mark.slow
def test_a_send_that_cannot_be_interrupted_does_not_take_the_time_of_the_fallback(make: Make) -> None:
    """It is given up after half of the time; what it says later is ignored."""
    gate, fallback = Gate(), Scripted()
    delivery = make(Scripted(gate), fallback=fallback)
    capture(delivery, 1, 2)
    assert delivery.flush(2.0, last=True).replaced(elapsed=0) == FlushReport(parked=2)
    gate.open.set()
    eventually(lambda: not sender_of(delivery).stuck)
    assert (delivery.parked, delivery.delivered, delivery.pending) == (2, 0, 0)


def test_the_last_flush_does_not_wait_for_a_connection_that_is_opened_in_advance(make: Make) -> None:
    """The backend does not answer, and the process ends soon after it has begun: nothing has been sent yet."""

    class Connecting(Scripted):
        def prepare(self, timeout: float) -> None:
            connecting.set()
            assert self.cut.wait(10)

    connecting, backend, fallback = threading.Event(), Connecting(hang), Scripted()
    delivery = make(backend, fallback=fallback)
    delivery.ensure_sender()
    assert connecting.wait(5)
    capture(delivery, 1)
    assert delivery.flush(1.0, probe=True, last=True).replaced(elapsed=0) == FlushReport(parked=1)


def test_the_fallback_has_a_thread_however_many_hang_at_the_backend(make: Make) -> None:
    """Two are given up there, as without a fallback; a third one parks, and does not try the backend."""
    gate, fallback = Gate(), Scripted()
    backend = Scripted(gate)
    delivery = make(backend, fallback=fallback)
    for number in (1, 2):
        capture(delivery, number)
        assert delivery.flush(0.2).reason == "deadline"
    capture(delivery, 3)
    assert delivery.flush(5.0).replaced(elapsed=0) == FlushReport(pending=3, reason="stuck")
    assert delivery.flush(5.0, probe=True, last=True).replaced(elapsed=0) == FlushReport(parked=3)
    assert len(backend.batches) == len(sender_of(delivery).stuck) == 2
    gate.open.set()
    eventually(lambda: not sender_of(delivery).stuck)
    capture(delivery, 4)
    assert delivery.flush(5.0, probe=True).delivered == 1
    assert_balanced(delivery)


def test_a_fallback_whose_preparation_hangs_is_interrupted_itself(make: Make, at_once: None) -> None:
    """By its own `cancel`: no thread is given up."""

    class Connecting(Scripted):
        def prepare(self, timeout: float) -> None:
            connecting.set()
            assert self.cut.wait(10)

    connecting, fallback = threading.Event(), Connecting()
    delivery = make(Scripted(RETRY), fallback=fallback)
    capture(delivery, 1)
    delivery.flush(1.0)
    assert connecting.wait(5)
    delivery.flush(0.1)
    eventually(lambda: sender_of(delivery).job is None)
    assert (fallback.cancels > 0, sender_of(delivery).stuck) == (True, [])


def test_the_last_flush_does_not_wait_for_the_send_of_another_flush(make: Make) -> None:
    """A flush with more time is under way when SIGTERM arrives: its send is cut off after half of the last one's."""
    backend, fallback = Scripted(hang), Scripted()
    delivery = make(backend, fallback=fallback)
    capture(delivery, 1)
    other = in_thread(lambda: delivery.flush(30.0))
    eventually(lambda: backend.batches)
    assert delivery.flush(1.0, probe=True, last=True).replaced(elapsed=0) == FlushReport(parked=1)
    other.join(5)
    assert not other.is_alive()


def test_without_time_nothing_is_parked(make: Make) -> None:
    """With 0 seconds nothing is sent anywhere."""
    fallback = Scripted()
    delivery = make(Scripted(RETRY), fallback=fallback)
    capture(delivery, 1)
    assert delivery.close(0).replaced(elapsed=0) == FlushReport(dropped=1)
    assert fallback.batches == []


def test_a_flush_that_is_not_the_last_parks_nothing(make: Make, at_once: None) -> None:
    """A backend that has just gone away may be back at once: events stay pending, also with flush() by hand."""
    delivery, _, fallback = away(make)
    for probe in (False, True):
        assert delivery.flush(0.2, probe=probe).replaced(elapsed=0) == FlushReport(pending=1, reason="breaker_open")
    assert fallback.batches == []


def test_without_threads_the_flush_parks_itself(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it sends itself."""

    def none(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    fallback = Scripted()
    delivery = make(Scripted(RETRY), fallback=fallback)
    capture(delivery, 1, 2)
    assert delivery.close(5.0).replaced(elapsed=0) == FlushReport(parked=2)
    assert fallback.threads == {threading.current_thread()}


@pytest.mark.parametrize(("rejected", "taken"), [(2, [0]), (9, []), (-1, [0, 1, 2]), (None, [0, 1, 2])])
def test_what_a_fallback_has_rejected_is_dropped(make: Make, rejected: Any, taken: list[int]) -> None:
    """It is not counted as parked, as it would not be counted as delivered."""
    drops: list[Dropped] = []
    fallback = Scripted(Outcome("delivered", "too old", rejected=rejected))
    delivery = make(Scripted(RETRY), fallback=fallback, on_error=drops.append)
    capture(delivery, 0, 1, 2)
    lost = 3 - len(taken)
    assert delivery.close(5.0).replaced(elapsed=0) == FlushReport(parked=len(taken), dropped=lost)
    assert (fallback.delivered, [(drop.reason, drop.events) for drop in drops]) == (
        taken,
        [("refused", lost)] * (lost > 0),
    )
    assert_balanced(delivery)


@pytest.mark.slow
def test_a_slow_event_is_parked_as_well(make: Make, at_once: None) -> None:
    """One that has been set aside, because it took the time of flushes alone."""

    def slow_if_1(exporter: Scripted, numbers: list[int]) -> Outcome:
        return hang(exporter, numbers) if 1 in numbers else OK

    fallback = Scripted()
    delivery = make(Scripted(slow_if_1), fallback=fallback, batch_size=1)
    capture(delivery, 1, 2)
    while pending_numbers(delivery) != [1]:
        delivery.flush(0.1)
    assert delivery.close(2.0).replaced(elapsed=0) == FlushReport(parked=1)


# ---------------------------------------------------------------------- a long outage


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


# ---------------------------------------------------------------------- a buffer that fills up


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


# ---------------------------------------------------------------------- a fallback that fails


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


# ---------------------------------------------------------------------- what else belongs to it


def test_the_log_says_once_where_events_are_parked(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """And how they are sent later, if they are in a store; at the next outage it says so again."""
    backend, fallback = Scripted(RETRY), Scripted()
    fallback.destination = "file:///mnt/a%20b"  # type: ignore[attr-defined]
    given = Settings(flush_timeout=5.0, fallback="file:///mnt/a%20b", batch_size=1)
    delivery = Delivery(backend, given, fallback=fallback)
    for number in range(3):
        capture(delivery, number)
        delivery.flush(5, last=True)
    lines = [record.getMessage() for record in caplog.records if "parked" in record.getMessage()]
    assert len(lines) == 1
    assert (
        "is being parked in file:///mnt/a%20b. To send it later: zespan-serverless replay file:///mnt/a%20b" in lines[0]
    )
    backend.from_now_on(OK)
    capture(delivery, 3)
    delivery.flush(5, probe=True)
    backend.from_now_on(RETRY)
    capture(delivery, 4)
    delivery.flush(5, last=True)
    assert len([record for record in caplog.records if "being parked" in record.getMessage()]) == 2
    delivery.reset()


def test_an_exporter_of_the_users_is_not_said_to_be_replayed(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The command reads stores only."""
    delivery = make(Scripted(RETRY), fallback=Scripted())
    capture(delivery, 1)
    delivery.flush(5, last=True)
    lines = [record.getMessage() for record in caplog.records if "parked" in record.getMessage()]
    assert [text_of(line) for line in lines] == [
        "telemetry that the backend cannot have now is being parked in the fallback"
    ]


@pytest.mark.slow
def test_the_log_says_once_that_events_cannot_be_parked(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """And again when it has worked in between."""
    fallback = Scripted(OSError("disk full"), OSError("disk full"), OK, OSError("disk full"), OK)
    delivery = make(Scripted(RETRY), fallback=fallback)
    for number in range(3):
        capture(delivery, number)
        while delivery.flush(0.2, last=True).pending:
            pass
    lines = [record.getMessage() for record in caplog.records if "cannot be parked" in record.getMessage()]
    assert [text_of(line) for line in lines] == [
        "telemetry cannot be parked in the fallback for now: OSError: disk full"
    ] * 2


def test_what_is_parked_leaves_the_journal(tmp_path: Path) -> None:
    """The next process does not send it again."""
    journal = Journal(str(tmp_path), "test", "key", 1_000_000)
    backend, fallback = Scripted(RETRY), Scripted()
    delivery = Delivery(backend, Settings(flush_timeout=5.0), journal, fallback=fallback)
    capture(delivery, 1, 2)
    assert delivery.flush(5, last=True).parked == 2
    delivery.close_at_exit(5)
    assert [*tmp_path.iterdir()] == []
    delivery.reset()


def test_events_do_not_wake_the_sender_one_by_one(make: Make) -> None:
    """As without a fallback; only when there is something to park."""
    delivery = make(Scripted(), fallback=Scripted(), max_events=20)
    capture(delivery, 0)
    delivery.flush(5.0)
    eventually(lambda: sender_of(delivery).job is None)
    with mock.patch.object(accounts_of(delivery).wakeups, "notify_all") as wakes:
        capture(delivery, *range(18))
        assert wakes.call_count == 0
        capture(delivery, 18)
        assert wakes.call_count > 0


def preparing(*script: Any) -> tuple[Scripted, list[float], Any]:
    """Return a backend, the timeouts that its fallback has been prepared with, and that fallback."""
    prepared: list[float] = []
    fallback: Any = Scripted()
    fallback.prepare = prepared.append
    return Scripted(*script), prepared, fallback


def test_the_fallback_is_prepared_when_the_backend_fails(make: Make) -> None:
    """In the background, before it is needed: the last flush may be too short to import an SDK and to connect."""
    backend, prepared, fallback = preparing(RETRY)
    delivery = make(backend, fallback=fallback)
    assert prepared == []
    capture(delivery, 1)
    delivery.flush(0.05)
    eventually(lambda: prepared)
    delivery.flush(0.05)
    assert len(prepared) == 1


@pytest.mark.parametrize("needs_time", [True, False])
def test_a_backend_that_hangs_at_first_leaves_time_to_prepare_the_fallback(make: Make, needs_time: bool) -> None:
    """Before the flush returns: the process may be frozen then, and end. A directory needs no time, and takes none."""

    def until_its_time_is_over(exporter: Scripted, _: list[int]) -> Outcome:
        time.sleep(exporter.timeouts[-1])
        return RETRY

    backend, prepared, fallback = preparing(until_its_time_is_over)
    fallback.needs_time = needs_time
    delivery = make(backend, fallback=fallback)
    capture(delivery, 1)
    delivery.flush(4.0)
    assert (backend.timeouts[0] < 3.5) is needs_time
    assert bool(prepared) or not needs_time
    assert delivery.flush(1.0, last=True).parked == 1


def test_the_fallback_is_prepared_after_the_first_delivery(make: Make) -> None:
    """The outage may begin with the last flush. It happens once, in the background, and not before the function's."""
    backend, prepared, fallback = preparing(OK)
    delivery = make(backend, fallback=fallback)
    delivery.ensure_sender()
    capture(delivery, 1)
    time.sleep(0.3)
    assert prepared == []
    delivery.flush(5)
    eventually(lambda: prepared)
    capture(delivery, 2)
    delivery.flush(5)
    time.sleep(0.3)
    assert len(prepared) == 1


@pytest.mark.parametrize("ending", ["close", "close_at_exit"])
def test_a_process_of_one_flush_prepares_no_fallback(make: Make, ending: str) -> None:
    """It would import an SDK for nothing, at its end."""
    backend, prepared, fallback = preparing(OK)
    delivery = make(backend, fallback=fallback)
    capture(delivery, 1)
    assert getattr(delivery, ending)(5) is None or delivery.delivered == 1
    time.sleep(0.3)
    assert prepared == []


def test_a_flush_that_is_too_short_for_the_fallback_is_no_failure_of_it(make: Make, at_once: None) -> None:
    """The next flush, which has time, parks at once."""
    delivery, _, fallback = away(make, fallback_after=0.0)
    delivery.flush(5)
    fallback.from_now_on(hang)
    capture(delivery, 1)
    assert delivery.flush(0.03).pending == 1
    eventually(lambda: sender_of(delivery).job is None)
    fallback.from_now_on(OK)
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(parked=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_closes_the_fallback_of_its_parent(make: Make) -> None:
    """Its connections are the parent's; and the child parks events of its own."""
    delivery, _, fallback = away(make)
    child = os.fork()
    if not child:
        code = 1
        try:
            delivery.reset()
            closes = fallback.closes
            capture(delivery, 7)
            parked = delivery.close(5).parked
            code = 0 if (parked, fallback.closes > closes, fallback.delivered) == (1, True, [7]) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert delivery.pending == 1


def test_after_a_reset_nothing_is_left_of_an_outage(make: Make, at_once: None) -> None:
    """Neither counters nor pauses."""
    delivery, backend, fallback = away(make, fallback_after=0.0)
    fallback.from_now_on(RETRY)
    delivery.flush(0.2, last=True)
    delivery.reset()
    assert (delivery.parked, breaker_of(delivery).is_open) == (0, False)
    backend.from_now_on(RETRY)
    fallback.from_now_on(OK)
    capture(delivery, 1)
    assert delivery.close(5).parked == 1


def test_the_fallback_gets_the_bytes_that_the_backend_would_get(make: Make) -> None:
    """The same events with the same ids."""
    sent: list[list[bytes]] = []

    class Bytes(Scripted):
        def send(self, batch: Any, timeout: float) -> Any:
            sent.append([*batch])
            return super().send(batch, timeout)

    delivery = make(Bytes(RETRY), fallback=Bytes())
    delivery.capture(event({"n": 1, "event_id": "same"}))
    assert delivery.close(5).parked == 1
    assert sent[0] == sent[-1]
    assert json.loads(sent[-1][0]) == {"n": 1, "event_id": "same"}
    assert_balanced(delivery)


def test_debug_shows_how_many_were_parked(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The report of each flush is logged."""
    delivery = make(Scripted(RETRY), fallback=Scripted(), debug=True)
    capture(delivery, 1)
    with caplog.at_level(logging.WARNING):
        delivery.flush(5, last=True)
    assert "parked=1" in caplog.text
