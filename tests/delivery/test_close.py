"""The end of a delivery: what is left is sent, or dropped and counted."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.delivery.support import (
    OK,
    REFUSED,
    RETRY,
    Gate,
    Make,
    Scripted,
    balance,
    capture,
    eventually,
    in_thread,
    mark_closed,
)
from zespan_serverless.exporters import Dropped


def test_close_delivers_and_drops_later_events(make: Make) -> None:
    """What comes later is counted, and told at once: there is no later occasion."""
    told: list[Dropped] = []
    exporter = Scripted()
    delivery = make(exporter, on_error=told.append)
    capture(delivery, 1, 2)
    assert delivery.close(5).delivered == 2
    assert delivery.closed
    assert exporter.closes == 2  # once at the beginning
    capture(delivery, 3)
    assert delivery.dropped == {"closed": 1}
    assert told == [Dropped(1, "closed", "", (b'{"n":3}',))]
    assert delivery.flush(5).pending == 0
    delivery.ensure_sender()
    eventually(lambda: all(not thread.is_alive() for thread in exporter.threads))


def test_close_drops_what_it_cannot_deliver(make: Make) -> None:
    """Counted as `closed`, with the halves of a refused batch."""
    told: list[Dropped] = []
    exporter = Scripted(REFUSED, RETRY)
    delivery = make(exporter, on_error=told.append, batch_size=4)
    capture(delivery, 1, 2, 3, 4, 5)
    report = delivery.close(0.001)
    assert (report.dropped, report.pending, report.reason) == (5, 0, "")
    assert balance(delivery) == (5, 0, 0, 5)
    assert delivery.dropped == {"closed": 5}
    assert sum(dropped.events for dropped in told) == 5


def test_close_does_not_wait_for_a_longer_flush(make: Make) -> None:
    """Nor for a sender that nothing can cut off; and nothing is left pending, whatever comes back later."""
    gate = Gate()
    exporter = Scripted(gate)
    delivery = make(exporter)
    capture(delivery, 1)
    reports: list[Any] = []
    longer = in_thread(lambda: reports.append(delivery.flush(5)))
    assert gate.entered.acquire(timeout=5)
    began = time.monotonic()
    delivery.close(0.05)
    assert time.monotonic() - began < 3
    longer.join(3)
    assert (reports[0].dropped, reports[0].pending) == (1, 0)
    gate.open.set()
    eventually(lambda: all(not thread.is_alive() for thread in exporter.threads))
    assert balance(delivery) == (1, 0, 0, 1)


def test_no_flush_sends_while_the_delivery_closes(make: Make) -> None:
    """Not by a flush either that comes between the end of the last request and the dropping of the rest."""
    exporter = Scripted()
    delivery = make(exporter)
    capture(delivery, 1)
    mark_closed(delivery)
    assert delivery.flush(0.1).pending == 1
    assert exporter.batches == []


def test_reset_logs_nothing(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Between tests: events, counts and threads are gone, and there is no word about it."""
    gate = Gate()
    exporter = Scripted(gate, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    waiting = in_thread(lambda: delivery.flush(0.5))
    assert gate.entered.acquire(timeout=5)
    capture(delivery, 2)
    delivery.reset()
    assert balance(delivery) == (0, 0, 0, 0)
    assert exporter.cancels
    gate.open.set()
    waiting.join(5)
    eventually(lambda: not any(thread.is_alive() for thread in exporter.threads))
    capture(delivery, 3)
    assert delivery.flush(5).delivered == 1
    assert caplog.records == []
