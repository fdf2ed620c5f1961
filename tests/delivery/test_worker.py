"""Internal failures while sending: no event is lost, and no caller is affected."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from tests.delivery.support import (
    OK,
    RETRY,
    WAIT,
    Gate,
    Make,
    Scripted,
    assert_balanced,
    buffer_of,
    capture,
    eventually,
    in_thread,
    part,
    sender_of,
)
from zespan_serverless._base.reports import FlushReport


def test_error_in_the_sender_counts_as_a_failure_of_the_backend(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A flush gives up when it has failed three times, with one thread for all of them; later it goes on."""
    delivery, started = make(Scripted()), []
    start = threading.Thread.start

    def counted(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    with (
        mock.patch.object(threading.Thread, "start", counted),
        mock.patch.object(buffer_of(delivery), "next_batch", side_effect=RuntimeError("ours")),
    ):
        capture(delivery, 1, 2)
        report = delivery.flush(5)
    assert (report.pending, report.reason, len(started)) == (2, "breaker_open", 1)
    assert report.elapsed < 2
    assert "RuntimeError: ours" in caplog.text
    assert delivery.flush(5, probe=True).replaced(elapsed=0) == FlushReport(delivered=2)


def test_deadline_holds_while_the_clock_stands_still(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline holds by what has been waited, also for a job that nothing can cut off."""
    gate = Gate()
    delivery = make(Scripted(gate, OK))
    now = time.monotonic()
    still = SimpleNamespace(time=time.time, sleep=time.sleep, monotonic=lambda: now)
    for module in WAIT:
        monkeypatch.setattr(module, "time", still)
    capture(delivery, 1)
    reports: list[Any] = []
    in_thread(lambda: reports.append(delivery.flush(0.2))).join(5)
    assert [report.reason for report in reports] == ["deadline"]
    gate.open.set()
    monkeypatch.undo()
    assert delivery.flush(5, probe=True).pending == 0


@pytest.mark.parametrize(
    ("outcome", "owner", "name"),
    [
        (OK, "breaker", "succeeded"),
        (OK, "waiters", "pop_finished"),
        (OK, "buffer", "mark_settled"),
        (RETRY, "breaker", "failed"),
        (RETRY, "notices", "unreachable"),
        (RETRY, "", "urandom"),
    ],
)
def test_events_are_accounted_for_before_anything_can_fail(make: Make, outcome: Any, owner: str, name: str) -> None:
    """Whatever fails after a response: each event is in one place, and is delivered once."""
    exporter = Scripted(outcome, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    where: Any = part(delivery, owner) if owner else os
    works = [] if name == "pop_finished" else mock.DEFAULT
    with mock.patch.object(where, name, side_effect=[RuntimeError("ours")] + [works] * 20) as struck:
        delivery.flush(0.3)
        eventually(lambda: struck.called and sender_of(delivery).job is None)
        assert_balanced(delivery)
        assert delivery.pending + delivery.delivered == 1
    delivery.flush(5, probe=True)
    assert exporter.delivered == [1]
