"""What is sent without a flush."""

from __future__ import annotations

import time

import pytest

from tests.delivery.support import (
    OK,
    RETRY,
    Make,
    Scripted,
    breaker_of,
    capture,
    event,
    eventually,
    is_idle,
    sender_of,
)
from zespan_serverless.exporters import Outcome
from zespan_serverless.testing import Backend


def test_a_full_batch_is_sent_without_a_flush(make: Make) -> None:
    """It is sent as soon as it is full."""
    exporter = Scripted()
    delivery = make(exporter, batch_size=3, flush_interval=60.0)
    capture(delivery, 1, 2)
    time.sleep(0.05)
    assert exporter.batches == []
    capture(delivery, 3)
    eventually(lambda: exporter.delivered == [1, 2, 3])


def test_batch_full_by_bytes_is_sent_without_a_flush(make: Make) -> None:
    """What one request could not take is not waited for."""
    exporter = Scripted()
    delivery = make(exporter, batch_bytes=1024, flush_interval=60.0)
    for n in range(6):
        delivery.capture(event({"n": n, "x": "x" * 200}))
    eventually(lambda: exporter.delivered)


@pytest.mark.slow
def test_the_interval_sends_in_the_background(make: Make) -> None:
    """Events of a long invocation, or of a script that never flushes, are sent when the interval is over."""
    sent: list[float] = []

    def send(exporter: Scripted, numbers: list[int]) -> Outcome:
        sent.append(time.time())
        return OK

    delivery = make(Scripted(send), flush_interval=1.5)
    delivery.ensure_sender()
    time.sleep(0.15)
    before = time.time()
    capture(delivery, 1)
    eventually(lambda: sent)
    assert 1.5 <= sent[0] - before < 2.5


def test_open_breaker_blocks_background_sends(make: Make) -> None:
    """A dead backend is not asked at every event."""
    exporter = Scripted(RETRY)
    delivery = make(exporter, batch_size=2, flush_interval=0.1)
    capture(delivery, *range(6))
    eventually(lambda: breaker_of(delivery).is_open)
    tried = len(exporter.batches)
    capture(delivery, *range(50))
    time.sleep(0.3)
    assert len(exporter.batches) == tried


def test_ensure_sender_opens_the_connection(backend: Backend, to: Make) -> None:
    """The sender opens it while the function is busy, and the first flush uses it."""
    delivery = to()
    delivery.ensure_sender()
    eventually(lambda: backend.connections == 1)
    eventually(lambda: is_idle(delivery))
    delivery.ensure_sender()
    capture(delivery, 1)
    assert delivery.flush(5).delivered == 1
    assert backend.connections == 1


def test_failure_to_open_the_connection_in_advance_is_not_logged(
    backend: Backend, to: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not count as a failure of the backend."""
    backend.mode = "refuse"
    delivery = to()
    delivery.ensure_sender()
    eventually(lambda: sender_of(delivery).thread is not None and sender_of(delivery).job is None)
    time.sleep(0.05)
    assert (breaker_of(delivery).failures, caplog.records) == (0, [])
