"""The last flush parks what the backend cannot have."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.delivery.support import (
    OK,
    RETRY,
    WAYS_TO_FAIL,
    Gate,
    Make,
    Scripted,
    accounts_of,
    assert_balanced,
    away,
    breaker_of,
    capture,
    eventually,
    hang,
    in_thread,
    pending_numbers,
    sender_of,
)
from zespan_serverless._base.reports import FlushReport
from zespan_serverless.exporters import Dropped, Outcome


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
