"""What becomes of a batch that was not simply taken: tried again, now or later; singled out; dropped."""

from __future__ import annotations

import email.utils
import itertools
import json
import logging
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.delivery.conftest import Clock
from tests.delivery.support import (
    OK,
    REFUSED,
    RETRY,
    Make,
    Scripted,
    assert_balanced,
    balance,
    breaker_of,
    capture,
    eventually,
    hang,
    pauses,
    pending_flushes,
    sender_of,
    when,
)
from zespan_serverless._base import log
from zespan_serverless._base.reports import FlushReport
from zespan_serverless._delivery.breaker import Breaker
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.settings import Settings
from zespan_serverless.testing import Backend


def numbers(backend: Backend) -> list[int]:
    return [event["n"] for event in backend.events]


def answered(backend: Backend) -> bool:
    return any(request.answered for request in backend.requests)


# ---------------------------------------------------------------------- tried again


@pytest.mark.parametrize("status", [404, 408, 409, 418, 425, 429, 500, 502, 503, 504, 307])
def test_temporary_status_is_retried(backend: Backend, to: Make, status: int) -> None:
    """The event arrives within one flush, once, when the backend answers otherwise."""
    backend.mode = status
    delivery = to()
    capture(delivery, 1, 2)
    recovery = when(lambda: answered(backend), lambda: setattr(backend, "mode", "ok"))
    report = delivery.flush(5)
    recovery.join()
    assert (report.delivered, report.pending) == (2, 0)
    assert numbers(backend) == [1, 2]
    assert backend.requests[0].status == status


@pytest.mark.parametrize("mode", ["drop", "refuse"])
def test_connection_faults_are_retried(backend: Backend, to: Make, mode: Any) -> None:
    """A connection that is closed without an answer, or refused."""
    backend.mode = mode
    delivery = to()
    capture(delivery, 1)
    recovery = when(lambda: breaker_of(delivery).failures, lambda: setattr(backend, "mode", "ok"))
    assert delivery.flush(5).delivered == 1
    recovery.join()
    assert numbers(backend) == [1]


def test_a_500_then_ok_is_one_flush(make: Make) -> None:
    """There is a short pause between the attempts."""
    exporter = Scripted(Outcome("retry", "HTTP 500"), OK)
    delivery = make(exporter)
    capture(delivery, 1, 2)
    report = delivery.flush(5)
    assert report.delivered == 2
    assert report.elapsed < 1
    assert exporter.batches == [[1, 2], [1, 2]]


def test_a_stale_connection_is_replaced_at_once(backend: Backend, to: Make) -> None:
    """What a load balancer closed while the sandbox was frozen costs no flush and no failure."""
    delivery = to()
    capture(delivery, 1)
    delivery.flush(5)
    backend.close_connections()
    capture(delivery, 2)
    report = delivery.flush(5)
    assert (report.delivered, report.elapsed < 1) == (1, True)
    assert (backend.connections, breaker_of(delivery).failures) == (2, 0)
    assert numbers(backend) == [1, 2]


def test_a_failed_batch_goes_back_to_the_front(make: Make) -> None:
    """Order and event ids stay."""
    exporter = Scripted(RETRY, OK)
    delivery = make(exporter, batch_size=2)
    capture(delivery, 1, 2, 3)
    assert delivery.flush(5).delivered == 3
    assert exporter.batches == [[1, 2], [1, 2], [3]]


def test_exception_of_the_exporter_is_retried(make: Make, at_once: None, caplog: pytest.LogCaptureFixture) -> None:
    """This holds for exceptions that are no OSError, too. They are logged once."""
    exporter = Scripted(OSError("no route"), ZeroDivisionError("oops"), OK)
    delivery = make(exporter)
    capture(delivery, 1)
    assert delivery.flush(5).delivered == 1
    assert caplog.text.count("telemetry cannot be delivered") == 1
    assert "OSError: no route" in caplog.text


@pytest.mark.parametrize("answer", [None, True, 200, "delivered"])
def test_invalid_outcome_is_retried(make: Make, answer: Any, at_once: None, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what `send` returned, and no event is lost."""
    exporter = Scripted(lambda exporter, numbers: answer, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    assert delivery.flush(5).delivered == 1
    assert f"send() returned {answer!r}" in caplog.text


def test_every_outage_is_logged_once(make: Make, at_once: None, caplog: pytest.LogCaptureFixture) -> None:
    """Away, back, away again: two lines, not twenty."""
    delivery = make(Scripted(RETRY, RETRY, OK, RETRY, RETRY, OK))
    for number in (1, 2):
        capture(delivery, number)
        assert delivery.flush(5).delivered == 1
    assert caplog.text.count("telemetry cannot be delivered") == 2


# ---------------------------------------------------------------------- Retry-After


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_without_waiting(
    backend: Backend, to: Make, clock: Clock, status: int, form: str
) -> None:
    """No flush waits for it: flushes return at once, also explicit ones, until the time has come."""
    backend.mode = status
    backend.retry_after = "30" if form == "seconds" else email.utils.formatdate(time.time() + 31, usegmt=True)
    delivery = to()
    capture(delivery, 1)
    report = delivery.flush(5)
    assert (report.pending, report.reason, report.elapsed < 1) == (1, "retry_after", True)
    backend.mode = "ok"
    clock.ahead = 25
    assert delivery.flush(5).reason == "retry_after"
    assert delivery.flush(5, probe=True).replaced(elapsed=0) == FlushReport(pending=1, reason="retry_after")
    assert len(backend.requests) == 1
    clock.ahead = 32
    assert delivery.flush(5).delivered == 1
    assert (len(backend.requests), breaker_of(delivery).failures) == (2, 0)


@pytest.mark.parametrize(("asked", "after"), [("86400", 60.0), ("inf", 60.0), ("1e9", 60.0)])
def test_retry_after_is_clamped(backend: Backend, to: Make, clock: Clock, asked: str, after: float) -> None:
    """A backend cannot switch telemetry off for a day."""
    backend.mode, backend.retry_after = 429, asked
    delivery = to()
    capture(delivery, 1)
    assert delivery.flush(5).reason == "retry_after"
    backend.mode, clock.ahead = "ok", after - 1
    assert delivery.flush(5).reason == "retry_after"
    clock.ahead = after + 1
    assert delivery.flush(5).delivered == 1


@pytest.mark.parametrize("asked", ["0", "-5", "nan", "soon", "", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 200])
def test_retry_after_that_asks_for_nothing_is_an_ordinary_failure(backend: Backend, to: Make, asked: str) -> None:
    """The batch is sent again soon."""
    backend.mode, backend.retry_after = 429, asked
    delivery = to()
    capture(delivery, 1)
    recovery = when(lambda: answered(backend), lambda: setattr(backend, "mode", "ok"))
    assert delivery.flush(5).delivered == 1
    recovery.join()


def test_retry_after_ends_when_the_clock_is_set_back(make: Make, clock: Clock) -> None:
    """A sandbox restored from a snapshot does not wait for a time that has been."""
    delivery = make(Scripted(Outcome("retry", "HTTP 429", 30), OK))
    capture(delivery, 1)
    assert delivery.flush(5).reason == "retry_after"
    clock.ahead = -3600
    assert delivery.flush(5).delivered == 1


def test_flush_notices_that_retry_after_has_just_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender was a moment too early, and the flush that waits for it just in time."""
    delivery = make(Scripted())
    blocked, early = breaker_of(delivery).blocked, [True]

    def too_early(now: float) -> str:
        if pending_flushes(delivery) and threading.current_thread() is sender_of(delivery).thread and early:
            early.pop()
            return "retry_after"
        return blocked(now)

    monkeypatch.setattr(breaker_of(delivery), "blocked", too_early)
    capture(delivery, 1)
    report = delivery.flush(3)
    assert (report.delivered, early, report.elapsed < 1) == (1, [], True)


# ---------------------------------------------------------------------- refused


def test_only_the_poisoned_event_is_dropped(backend: Backend, to: Make) -> None:
    """The rest of its batch arrives, in order; on_error is told which one it was."""
    told: list[Dropped] = []
    backend.reject = lambda event: bool(event["n"] == 13)
    delivery = to(on_error=told.append)
    capture(delivery, *range(20))
    report = delivery.flush(5)
    assert (report.delivered, report.dropped, report.pending) == (19, 1, 0)
    assert numbers(backend) == [n for n in range(20) if n != 13]
    ((dropped),) = told
    assert (dropped.events, dropped.reason, dropped.detail) == (1, "refused", f"HTTP 400 from {backend.url}")
    assert [json.loads(data)["n"] for data in dropped.payloads] == [13]
    assert delivery.dropped == {"refused": 1}


@pytest.mark.parametrize("status", [400, 413, 422])
def test_event_refused_alone_is_dropped(backend: Backend, to: Make, status: int) -> None:
    """Halves are tried before; and a backend that refuses is no backend that is unavailable."""
    backend.mode = status
    delivery = to()
    capture(delivery, 1, 2, 3)
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(dropped=3)
    assert [[event["n"] for event in r.events] for r in backend.requests] == [[1, 2, 3], [1], [2, 3], [2], [3]]
    assert (delivery.dropped, breaker_of(delivery).failures) == ({"refused": 3}, 0)


@given(st.sets(st.integers(0, 19)), st.integers(1, 25))
def test_exactly_the_poisoned_events_are_dropped(poisoned: set[int], batch_size: int) -> None:
    """Exactly the poisoned ones are dropped, the rest arrives in order, each once."""
    exporter = Scripted(lambda e, ns: REFUSED if poisoned & set(ns) else OK)
    delivery = Delivery(exporter, Settings(batch_size=batch_size, batch_bytes=10**6))
    capture(delivery, *range(20))
    assert delivery.flush(5).pending == 0
    assert exporter.delivered == [n for n in range(20) if n not in poisoned]
    assert balance(delivery) == (20, 20 - len(poisoned), 0, len(poisoned))
    delivery.reset()


def test_halving_continues_in_the_next_flush(make: Make, at_once: None) -> None:
    """What one flush has not singled out the next one does, with order and books kept."""
    exporter = Scripted(REFUSED, hang, lambda e, ns: REFUSED if 3 in ns else OK)
    delivery = make(exporter)
    capture(delivery, 1, 2, 3, 4)
    report = delivery.flush(0.2)
    assert (report.pending, report.reason) == (4, "deadline")
    capture(delivery, 5)
    assert_balanced(delivery)
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(delivered=4, dropped=1)
    assert exporter.delivered == [1, 2, 4, 5]


def test_refused_halves_do_not_wait_for_a_flush(make: Make) -> None:
    """A background send that was refused goes on by itself."""
    exporter = Scripted(lambda e, ns: REFUSED if 2 in ns else OK)
    delivery = make(exporter, batch_size=3)
    capture(delivery, 1, 2, 3)
    eventually(lambda: delivery.pending == 0)
    assert exporter.delivered == [1, 3]


# ---------------------------------------------------------------------- the key


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_drops_events_and_is_logged_once(
    backend: Backend, to: Make, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Events are dropped at once, and the log never shows the key."""
    caplog.set_level(logging.DEBUG)
    backend.mode = status
    told: list[Dropped] = []
    delivery = to(on_error=told.append, debug=True)
    for n in (1, 2):
        capture(delivery, n, n)
        report = delivery.flush(5)
        assert (report.dropped, report.pending) == (2, 0)
    assert delivery.dropped == {"unauthorized": 4}
    assert [dropped.reason for dropped in told] == ["unauthorized", "unauthorized"]
    assert caplog.text.count(f"unauthorized HTTP {status} from {backend.url} for the key given") == 1
    assert f"HTTP {status}" in caplog.text
    assert "zsp_key" not in caplog.text + repr(told) + repr(vars(delivery))


def test_a_redirect_is_not_followed(backend: Backend, to: Make, at_once: None) -> None:
    """Neither key nor prompts are sent to an address that is not configured."""
    backend.mode = "redirect"
    delivery = to()
    capture(delivery, 1)
    assert delivery.flush(5).pending == 1
    assert {request.path for request in backend.requests} == {"/v1/ingest"}
    assert balance(delivery) == (1, 0, 1, 0)


# ---------------------------------------------------------------------- the breaker


def test_three_failures_open_the_breaker(backend: Backend, to: Make, clock: Clock) -> None:
    """Then flushes return at once and keep their events, until a probe may be made."""
    backend.mode = 500
    delivery = to()
    capture(delivery, 1)
    report = delivery.flush(5)
    assert (report.pending, report.reason) == (1, "breaker_open")
    assert report.elapsed < 1
    assert len(backend.requests) == 3
    for n in range(2, 10):
        capture(delivery, n)
        report = delivery.flush(5)
        assert (report.pending, report.reason) == (n, "breaker_open")
        assert report.elapsed < 1
    clock.ahead = 4.5
    assert delivery.flush(5).reason == "breaker_open"
    assert len(backend.requests) == 3
    backend.mode, clock.ahead = "ok", 5.5
    assert delivery.flush(5).delivered == 9
    assert numbers(backend) == list(range(1, 10))
    assert not breaker_of(delivery).is_open


def test_probe_is_one_attempt(make: Make, clock: Clock) -> None:
    """Each that fails doubles the time to the next, up to a minute; however many flushes there are."""
    exporter = Scripted(RETRY)
    delivery = make(exporter)
    capture(delivery, 1)
    delivery.flush(5)
    attempts = [len(exporter.batches)]
    for seconds in range(0, 300, 2):
        clock.ahead = seconds
        delivery.flush(5)
        attempts.append(len(exporter.batches))
    probes = [2 * i for i, (a, b) in enumerate(itertools.pairwise(attempts)) if b > a]
    assert attempts[-1] == 3 + len(probes)
    gaps = [b - a for a, b in itertools.pairwise([0, *probes])]
    assert [round(gap / 10) * 10 for gap in gaps] == [10, 10, 20, 40, 60, 60, 60]


def test_flush_by_hand_probes_an_open_breaker(make: Make) -> None:
    """Who asks wants to know; with one attempt."""
    exporter = Scripted(RETRY, RETRY, RETRY, RETRY, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    assert delivery.flush(5).reason == "breaker_open"
    assert delivery.flush(5, probe=True).reason == "breaker_open"
    assert len(exporter.batches) == 4
    assert delivery.flush(0.1).reason == "breaker_open"
    assert delivery.flush(5, probe=True).delivered == 1


@pauses(30.0)
def test_flush_by_hand_ends_the_pause_after_a_failure(make: Make) -> None:
    """At SIGTERM there are 250 ms, and a pause after a failure may be longer."""
    exporter = Scripted(RETRY, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    report = delivery.flush(5)
    assert (report.reason, report.elapsed < 2) == ("deadline", True)  # no point in waiting
    assert delivery.flush(1, probe=True).delivered == 1


@pauses(30.0)
def test_an_open_breaker_needs_no_pause(make: Make, clock: Clock) -> None:
    """A pause is measured while the sandbox is awake: after a minute in the freezer it would still be ahead."""
    delivery = make(Scripted(RETRY, RETRY, RETRY, OK))
    capture(delivery, 1)
    assert [delivery.flush(1, probe=True).pending for _ in range(3)] == [1, 1, 1]
    clock.ahead = 60
    assert delivery.flush(1).delivered == 1


def test_without_time_a_flush_by_hand_changes_nothing(make: Make) -> None:
    """Asking for nothing does not close a breaker."""
    exporter = Scripted(RETRY)
    delivery = make(exporter)
    capture(delivery, 1)
    delivery.flush(5)
    assert delivery.flush(0, probe=True).reason == "no_time"
    assert delivery.flush(5).reason == "breaker_open"
    assert len(exporter.batches) == 3


def test_timeouts_open_the_breaker(make: Make, at_once: None) -> None:
    """A backend that hangs costs three flushes, not all."""
    exporter = Scripted(hang)
    delivery = make(exporter)
    capture(delivery, 1)
    assert [delivery.flush(0.05).reason for _ in range(5)] == ["deadline"] * 3 + ["breaker_open"] * 2


def test_one_success_closes_the_breaker(make: Make, clock: Clock, at_once: None) -> None:
    """Later failures are counted from the beginning."""
    exporter = Scripted(RETRY, RETRY, RETRY, OK, RETRY, RETRY, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    assert delivery.flush(5).reason == "breaker_open"
    clock.ahead = 6
    assert delivery.flush(5).delivered == 1
    capture(delivery, 2)
    assert delivery.flush(5).delivered == 1


def test_breaker_on_a_clock_of_its_own() -> None:
    """The breaker opens, probes and closes by the times that it is given."""
    breaker = Breaker()
    breaker.failed(100)
    breaker.failed(100)
    assert (breaker.blocked(100), breaker.is_open) == ("", False)
    breaker.failed(100)
    assert (breaker.blocked(100), breaker.is_open) == ("breaker_open", True)
    assert (breaker.blocked(104.9), breaker.blocked(105)) == ("breaker_open", "")
    breaker.failed(105)
    assert (breaker.blocked(114.9), breaker.blocked(115)) == ("breaker_open", "")
    assert breaker.blocked(99) == ""  # the clock was set back
    breaker.silence(200, 30)
    assert (breaker.blocked(229), breaker.blocked(230)) == ("retry_after", "")
    breaker.probe_now()
    assert (breaker.blocked(120), breaker.blocked(229)) == ("", "retry_after")
    breaker.succeeded()
    assert (breaker.blocked(229), breaker.is_open, breaker.failures) == ("", False, 0)


def test_open_breaker_is_logged_once(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """However many events wait."""
    log.reset()
    delivery = make(Scripted(RETRY))
    for n in range(20):
        capture(delivery, n)
        delivery.flush(1)
    assert len(caplog.records) == 1
