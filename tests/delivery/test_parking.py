"""What is said of parked events, when a fallback is prepared, and what a child or a reset leaves of it."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.delivery.support import (
    OK,
    RETRY,
    Make,
    Scripted,
    accounts_of,
    assert_balanced,
    away,
    breaker_of,
    capture,
    event,
    eventually,
    hang,
    sender_of,
)
from tests.support import text_of
from zespan_serverless._base.reports import FlushReport
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless.exporters import Outcome
from zespan_serverless.settings import Settings


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
