"""What the log and `on_error` hear: every episode, in time, whatever the one does to the other, in bounded memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.delivery.support import (
    OK,
    REFUSED,
    RETRY,
    UNAUTHORIZED,
    Make,
    Scripted,
    before_notices_of_close,
    capture,
    event,
    eventually,
    in_thread,
    intake_bytes,
    lock_of,
)
from zespan_serverless._base import log
from zespan_serverless._delivery import notices, worker
from zespan_serverless._delivery.buffer import Item
from zespan_serverless.exporters import Dropped
from zespan_serverless.settings import Settings

DROPPED = "telemetry events are being dropped: "


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What an `on_error` hangs on; opened after the test."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_second_outage_is_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A full buffer is said once in each outage, so that an alarm on the line hears the next one."""
    exporter = Scripted()
    delivery = make(exporter, max_events=3, flush_interval=3600.0)
    for number in (1, 2, 3):
        exporter.from_now_on(RETRY)
        capture(delivery, *range(10))
        eventually(lambda number=number: caplog.text.count(f"{DROPPED}buffer_full") == number)  # type: ignore[misc]
        exporter.from_now_on(OK)
        assert delivery.flush(5, probe=True).delivered == 3


@pytest.mark.parametrize("outcome", [REFUSED, UNAUTHORIZED])
def test_second_refusal_after_a_delivery_is_logged(make: Make, caplog: pytest.LogCaptureFixture, outcome: Any) -> None:
    """A refusal, or a key that is not accepted, is said again after events have got through."""
    delivery = make(Scripted(outcome, outcome, OK, outcome, OK))
    for number in range(5):
        capture(delivery, number)
        delivery.flush(5)
    eventually(lambda: caplog.text.count(f"{DROPPED}{outcome.verdict}") == 2)


def test_frequent_episodes_do_not_fill_the_log(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Every second event is refused: that is said some times, and not a thousand times."""
    delivery = make(Scripted(*[REFUSED, OK] * 50))
    for number in range(100):
        capture(delivery, number)
        delivery.flush(5)
    assert 2 <= caplog.text.count(DROPPED) <= notices.LINES_MAX


def test_many_warnings_hide_no_drops(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The number of different warnings is bounded; drops do not count among them."""
    for number in range(500):
        log.warn_once("x", "warning %d", number)
    delivery = make(Scripted(REFUSED))
    capture(delivery, 1)
    delivery.flush(5)
    eventually(lambda: f"{DROPPED}refused" in caplog.text)


def test_hanging_on_error_hides_no_log_line(
    make: Make, caplog: pytest.LogCaptureFixture, gate: threading.Event
) -> None:
    """The log comes first, and has senders of its own; when on_error returns it is told the rest."""
    told: list[Dropped] = []

    def hangs(dropped: Dropped) -> None:
        told.append(dropped)
        assert gate.wait(20)

    delivery = make(Scripted(REFUSED, OK, REFUSED, OK, UNAUTHORIZED, OK), on_error=hangs)
    for number in range(6):
        capture(delivery, number)
        delivery.flush(0.2)
    eventually(lambda: delivery.delivered == 3)
    assert caplog.text.count(f"{DROPPED}refused") == 2
    assert caplog.text.count(f"{DROPPED}unauthorized") == 1
    assert len(told) == 1
    gate.set()
    eventually(lambda: sum(dropped.events for dropped in told) == 3)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), RuntimeError("oh no")])
def test_exiting_on_error_ends_neither_log_nor_sender(
    make: Make, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """The log line is written, and the sender goes on."""

    def exits(dropped: Dropped) -> None:
        assert f"{DROPPED}refused" in caplog.text
        raise error

    exporter = Scripted(REFUSED, OK)
    delivery = make(exporter, on_error=exits)
    for number in range(2):
        capture(delivery, number)
        delivery.flush(5)
    assert exporter.delivered == [1]
    assert len(exporter.threads) == 1
    assert "on_error failed" in caplog.text


@pytest.mark.slow
def test_on_error_that_causes_drops_is_called_after_a_pause(make: Make) -> None:
    """What it drops itself, by capturing into a full buffer, it is told after a pause."""
    calls: list[Dropped] = []

    def captures(dropped: Dropped) -> None:
        calls.append(dropped)
        capture(delivery, 1)

    delivery = make(Scripted(RETRY), max_events=1, on_error=captures)
    capture(delivery, 1, 2)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        time.sleep(0.05)
    assert 1 <= len(calls) <= 4


def test_payloads_are_bounded_in_bytes() -> None:
    """While on_error hangs, what it has not been told is within max_bytes, whatever the size of events."""
    news = notices.Notices(Settings(on_error=(told := list[Dropped]()).append, max_bytes=1_000_000))
    for number in range(500):
        news.dropped([Item(bytes(100_000), 0.0)], "refused", f"{number % 7}" + "x" * 100_000)
    held = sum(len(data) for _, data in news._payloads)
    assert held == news._size <= 1_000_000
    assert sum(len(detail) for _, detail in news._drops) < 10_000
    while news:
        news.drain()()
    assert sum(dropped.events for dropped in told) == 500
    assert sum(len(data) for dropped in told for data in dropped.payloads) == held


def test_captures_of_finalizers_are_bounded_in_bytes(make: Make) -> None:
    """What comes while this very thread holds the lock waits, within max_bytes; the rest is counted."""
    delivery = make(Scripted(), max_bytes=100_000)
    with lock_of(delivery):
        for number in range(100):
            delivery.capture(event({"n": number, "text": "x" * 10_000}))
        assert intake_bytes(delivery) <= 100_000
    delivery.flush(5)
    assert (delivery.captured, delivery.pending) == (100, 0)
    assert delivery.dropped["buffer_full"] > 80


def test_log_line_explains_closed(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Who reads it need not know our words for reasons; no line ends in a blank."""
    delivery = make(Scripted(OK))
    delivery.close(1)
    capture(delivery, 1)
    delivery.flush(1)
    eventually(lambda: f"{DROPPED}closed (" in caplog.text)
    assert "shutdown()" in caplog.text
    news = notices.Notices(Settings())
    news.dropped([Item(b"x", 0.0)], "torn", "")
    news.drain()()
    assert caplog.records[-1].getMessage() == f"zespan-serverless: {DROPPED}torn (docs/log-lines.md#dropped-torn)"


def test_close_waits_for_an_on_error_that_another_thread_calls(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads close at a time, as at SIGTERM during the exit: neither returns before the loss has been reported."""
    monkeypatch.setattr(worker, "ABORT_GRACE", 10.0)
    exporter, entered, told = Scripted(), threading.Event(), []

    def on_error(dropped: Dropped) -> None:
        exporter.cut.clear()
        entered.set()
        exporter.cut.wait(5)  # `cancel` is called by the one that waits
        told.append(dropped.events)

    def close_too() -> None:
        in_thread(lambda: delivery.close(0))
        assert entered.wait(5)

    delivery = make(exporter, on_error=on_error)
    capture(delivery, 1, 2)
    with before_notices_of_close(delivery, close_too):
        delivery.close(0)
    assert told == [2]


def test_close_does_not_wait_for_an_on_error_that_hangs_in_another_thread(make: Make, gate: threading.Event) -> None:
    """It has a moment, and then the caller goes on."""
    entered, left = threading.Event(), threading.Event()

    def on_error(dropped: Dropped) -> None:
        entered.set()
        gate.wait(20)
        left.set()

    def close_too() -> None:
        in_thread(lambda: delivery.close(0))
        assert entered.wait(5)

    delivery = make(Scripted(), on_error=on_error)
    capture(delivery, 1)
    with before_notices_of_close(delivery, close_too):
        delivery.close(0)
    assert not left.is_set()


def test_log_line_names_the_destination(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A log line about a refused key or an unreachable backend names the address."""

    class Named(Scripted):
        destination = "https://ingest.example"

    delivery = make(Named(RETRY, UNAUTHORIZED))
    capture(delivery, 1)
    delivery.flush(5)
    eventually(lambda: DROPPED in caplog.text)
    away, dropped = (record.getMessage() for record in caplog.records)
    assert away.startswith("zespan-serverless: telemetry cannot be delivered for now")
    said = f"zespan-serverless: {DROPPED}unauthorized HTTP 401 from https://ingest.example"
    assert dropped == f"{said} (docs/log-lines.md#dropped-unauthorized)"
    assert "https://ingest.example" in away


class Fails(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)


def test_log_lines_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Texts that embed large values are neither kept nor written as a whole."""
    before = [*log._claimed]
    for number in range(100):
        log.warn_once("x", "failed: %s", f"{number}" + "x" * 1_000_000)
        log.warn_once("x", "failed: %r", Fails(f"{number}" + "x" * 1_000_000))
    assert max(len(record.getMessage()) for record in caplog.records) < 3000
    assert all(type(mark) is int for mark in log._claimed)
    assert len(log._claimed) <= 200 + len(before)
    assert len(log.describe(Fails("x" * 1_000_000))) <= log.TEXT_MAX


def test_log_record_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Control characters in names of the user's are written as escapes; other letters are as they were."""
    log.warn_once("x", "span %s not captured", "a\r\nERROR forged \x1b[31m\x9b\u202e\u2028 Grüße 語")
    (record,) = caplog.records
    assert record.getMessage() == (
        "zespan-serverless: span a\\r\\nERROR forged \\x1b[31m\\x9b\\u202e\\u2028 Grüße 語 not captured"
        " (docs/log-lines.md#x)"
    )


def test_value_without_a_repr_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    """A value whose repr raises does no harm, at any level of the log."""

    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no words")

    log.logger.warning("mute %r", Mute())
    assert caplog.records[0].getMessage() == "zespan-serverless: mute %r"
    assert caplog.records[0].levelno == logging.WARNING
