"""`on_flush` hears what the flush of each invocation came to, and can do no harm."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.delivery.support import OK, RETRY, Scripted, event, eventually, hang, sender_of
from zespan_serverless import FlushReport, capture, flush, testing, zespan_lambda
from zespan_serverless._delivery import notices
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless.settings import Settings


@zespan_lambda
def handler(count: Any, context: Any) -> str:
    for number in range(count):
        capture({"span_kind": "tool", "metadata": {"number": number}})
    return "done"


class Numbered(Scripted):
    """Takes any event; what it records of each is 0."""

    def encode(self, record: Any) -> bytes:
        return super().encode(event({"n": 0}))


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What an `on_flush` hangs on; opened after the test."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_on_flush_is_called_once_per_invocation() -> None:
    """Once, when its events are settled and before its return, with what the flush came to."""
    reports: list[FlushReport] = []
    with testing.recording(on_flush=reports.append):
        for number in (0, 2):
            assert handler(number, testing.LambdaContext()) == "done"
            assert len(reports) == (1 if number == 0 else 2)
    assert [report.replaced(elapsed=0) for report in reports] == [FlushReport(1), FlushReport(3)]
    assert all(report.elapsed > 0 for report in reports)


def test_flush_by_hand_does_not_call_on_flush() -> None:
    """Who flushes himself has the report already."""
    reports: list[FlushReport] = []
    with testing.recording(on_flush=reports.append):
        capture({})
        assert flush().delivered == 1
    assert reports == []


@pytest.mark.slow
def test_on_flush_reports_pending_events() -> None:
    """It is called also for a flush that has used up its time, and the next flush does not wait for that."""
    reports: list[FlushReport] = []
    with testing.recording(exporter=Numbered(hang), on_flush=reports.append, flush_timeout=0.05):
        handler(1, testing.LambdaContext())
        eventually(lambda: reports)
    assert [(report.pending, report.reason) for report in reports] == [(2, "deadline")]


def test_invocation_without_time_does_not_wait_for_on_flush(gate: threading.Event) -> None:
    """An invocation at its deadline ends, whatever `on_flush` does."""
    reports: list[FlushReport] = []

    def slowly(report: FlushReport) -> None:
        assert gate.wait(10)
        reports.append(report)

    with testing.recording(on_flush=slowly):
        assert handler(0, testing.LambdaContext(timeout=0.1)) == "done"
        assert reports == []
        gate.set()
        eventually(lambda: reports)
    assert reports[0].reason == "no_time"


@pytest.mark.parametrize("error", [RuntimeError("oh no"), SystemExit("oh no"), KeyboardInterrupt("oh no")])
def test_raising_on_flush_is_logged_once(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """The same sender calls it again the next time."""
    calls: list[threading.Thread] = []

    def fails(report: FlushReport) -> None:
        calls.append(threading.current_thread())
        raise error

    with testing.recording(on_flush=fails) as events:
        for _ in range(3):
            assert handler(0, testing.LambdaContext()) == "done"
    assert len(calls) == len(events) == 3
    assert len(set(calls)) == 1
    assert caplog.text.count("oh no") == 1


@pytest.mark.parametrize(("hangs_after", "lines"), [(0.0, 1), (60.0, 0)])
def test_hanging_on_flush_costs_one_flush_its_time(
    gate: threading.Event,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    hangs_after: float,
    lines: int,
) -> None:
    """Later invocations do not wait, their events arrive, and it gets their reports when it has returned.

    That it hangs is logged once, if it is not merely busy.
    """
    monkeypatch.setattr(notices, "HANGS_AFTER", hangs_after)
    calls: list[FlushReport] = []

    def hangs(report: FlushReport) -> None:
        calls.append(report)
        assert gate.wait(10)

    with testing.recording(on_flush=hangs, flush_timeout=0.2) as events:
        for number in range(1, 6):
            assert handler(0, testing.LambdaContext()) == "done"
            assert len(events) == number
        assert len(calls) == 1
        assert caplog.text.count("on_flush has not returned") == lines
        gate.set()
        handler(0, testing.LambdaContext())
        eventually(lambda: len(calls) == 6)
        assert [report.delivered for report in calls] == [1] * 6


def test_on_flush_that_flushes_and_invokes_returns_at_once() -> None:
    """A flush or an invocation inside `on_flush` does not wait for itself."""
    inner: list[FlushReport] = []

    def again(report: FlushReport) -> None:
        if not inner:
            inner.append(flush(5))
            inner.append(report)
            handler(1, testing.LambdaContext())

    began = time.monotonic()
    with testing.recording(on_flush=again, flush_timeout=5.0) as events:
        assert handler(0, testing.LambdaContext()) == "done"
        flush(5)
        assert len(events) == 3
    assert inner[0].pending == 0
    assert time.monotonic() - began < 4


def test_on_flush_is_skipped_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without threads `on_flush` is not called, because it could not be abandoned; the events are sent."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "zespan-sender":
            raise RuntimeError("can't start new thread")
        start(thread)

    reports: list[FlushReport] = []
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with testing.recording(on_flush=reports.append) as events:
        assert handler(0, testing.LambdaContext()) == "done"
        assert len(events) == 1
    assert reports == []


def test_on_flush_is_not_called_after_shutdown() -> None:
    """What is closed starts nothing any more."""
    reports: list[FlushReport] = []
    delivery = Delivery(Scripted(OK), Settings(on_flush=reports.append))
    delivery.close(1)
    delivery.notify(FlushReport(), 1)
    assert sender_of(delivery).thread is None
    assert reports == []


def test_waiting_for_on_flush_sends_no_events() -> None:
    """Waiting for it is not a second flush: what is pending stays until the next."""
    exporter, reports = Scripted(RETRY), list[FlushReport]()
    delivery = Delivery(exporter, Settings(exporter=exporter, on_flush=reports.append))
    delivery.capture(event({"n": 1}))
    report = delivery.flush(0.2)
    tried = len(exporter.batches)
    delivery.notify(report, 5)
    assert reports == [report]
    assert len(exporter.batches) == tried
    delivery.reset()
