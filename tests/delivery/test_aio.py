"""A flush that is awaited: on asyncio's loops, and on trio's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
import trio

from tests.delivery.support import OK, Make, Scripted, capture, eventually, hang, pending_flushes
from zespan_serverless import FlushReport
from zespan_serverless._delivery.aio import flush_async
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless.exporters import Outcome

Run = Callable[[Delivery, float], object]


def on_asyncio(delivery: Delivery, budget: float) -> object:
    return asyncio.run(flush_async(delivery, budget))


def on_trio(delivery: Delivery, budget: float) -> object:
    return trio.run(partial(flush_async, delivery, budget))


def too_slow(exporter: Scripted, numbers: list[int]) -> Outcome:
    """Gives up when its time is over, as a socket does."""
    exporter.cut.wait(exporter.timeouts[-1])
    raise TimeoutError("no answer")


every_loop = pytest.mark.parametrize("run", [on_asyncio, on_trio])


@every_loop
def test_it_ends_when_all_is_delivered_and_is_reported(run: Run, make: Make) -> None:
    """No task waits for it any more, and on_flush gets one report."""
    reports: list[FlushReport] = []
    delivery = make(Scripted(OK), on_flush=reports.append)
    capture(delivery, 1)
    run(delivery, 30.0)
    eventually(lambda: [(report.delivered, report.pending) for report in reports] == [(1, 0)])
    assert not pending_flushes(delivery)


@every_loop
def test_it_ends_at_its_deadline_and_is_reported(run: Run, make: Make) -> None:
    """The sender waits for it no longer, and the report has what is pending."""
    reports: list[FlushReport] = []
    delivery = make(Scripted(too_slow, OK), on_flush=reports.append)
    capture(delivery, 1)
    run(delivery, 0.2)
    eventually(lambda: [(report.pending, report.reason) for report in reports] == [(1, "deadline")])
    assert not pending_flushes(delivery)


@every_loop
def test_a_hanging_exporter_is_aborted_at_the_deadline(run: Run, make: Make) -> None:
    """As by a flush that waits in a thread: what is captured later is not held back."""
    reports: list[FlushReport] = []
    delivery = make(Scripted(hang, OK), on_flush=reports.append)
    capture(delivery, 1)
    run(delivery, 0.2)
    eventually(lambda: reports, 3.0)
    capture(delivery, 2)
    assert delivery.flush(5.0, probe=True).pending == 0
