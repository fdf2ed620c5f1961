"""A delivery without threads: accounts as always, and no flush relies on another one."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from tests.delivery.support import (
    OK,
    REFUSED,
    RETRY,
    UNAUTHORIZED,
    Scripted,
    assert_balanced,
    balance,
    breaker_of,
    capture,
    is_idle,
    lock_of,
)
from zespan_serverless._delivery.aio import flush_async
from zespan_serverless._delivery.in_loop import LoopDelivery, LoopFlushing
from zespan_serverless._delivery.several import Several
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.settings import Settings
from zespan_serverless.types import FlushReport


class Awaited(Scripted):
    """Sends in the event loop; if it `is_silent`, without ever getting an answer."""

    is_silent = False

    async def send_async(self, batch: Sequence[bytes], timeout: float) -> Outcome:  # noqa: ASYNC109
        outcome: Outcome = self.send(batch, timeout)
        await asyncio.sleep(60 if self.is_silent else 0)
        return outcome


def made(exporter: Scripted, **settings: object) -> LoopDelivery:
    return LoopDelivery(exporter, Settings(flush_timeout=10.0).replaced(**settings))


def flushed(delivery: LoopDelivery, seconds: float = 10.0) -> FlushReport:
    """Flush in an event loop of its own."""
    return asyncio.run(delivery.flush_in_loop(seconds))


@pytest.mark.parametrize("kind", [Awaited, Scripted])
def test_a_flush_sends(kind: type[Scripted]) -> None:
    """In this thread, also with an exporter that has only `send`."""
    exporter = kind()
    delivery = made(exporter)
    capture(delivery, 1, 2, 3)
    assert flushed(delivery).replaced(elapsed=0.0) == FlushReport(delivered=3)
    assert (exporter.batches, exporter.threads) == ([[1, 2, 3]], {threading.current_thread()})
    assert balance(delivery) == (3, 3, 0, 0)


@pytest.mark.parametrize("step", [RETRY, OSError("reset"), Outcome("retry", "HTTP 429", 30.0)])
def test_what_cannot_be_sent_waits_for_the_next_flush(step: Outcome | OSError) -> None:
    """It is pending until the backend is well, and the order stays."""
    exporter = Awaited(step)
    delivery = made(exporter)
    capture(delivery, 1)
    report = flushed(delivery, 0.3)
    assert (report.pending, bool(report.reason)) == (1, True)
    exporter.from_now_on(OK)
    capture(delivery, 2)
    delivery.resume()  # else the breaker would pause
    assert flushed(delivery).delivered == 2
    assert (exporter.delivered, balance(delivery)) == ([1, 2], (2, 2, 0, 0))


def test_drops_are_reported() -> None:
    """A refused event is dropped alone, a refused key drops all; `on_error` and `on_flush` are called."""
    dropped: list[Dropped] = []
    reports: list[FlushReport] = []
    exporter = Awaited(REFUSED, REFUSED, OK, UNAUTHORIZED)
    delivery = made(exporter, on_error=dropped.append, on_flush=reports.append)
    capture(delivery, 1, 2)
    assert flushed(delivery).dropped == 1
    capture(delivery, 3)

    async def in_background() -> None:
        delivery.flush_in_background(10.0)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    asyncio.run(in_background())
    assert [(one.events, one.reason) for one in dropped] == [(1, "refused"), (1, "unauthorized")]
    assert [report.dropped for report in reports] == [1]
    assert balance(delivery) == (3, 1, 0, 2)


def test_no_answer_ends_at_the_deadline() -> None:
    """The flush returns, and the events wait."""
    exporter = Awaited()
    exporter.is_silent = True
    delivery = made(exporter)
    capture(delivery, 1)
    assert flushed(delivery, 0.2).pending == 1
    assert_balanced(delivery)


def test_a_request_that_has_died_is_not_waited_for() -> None:
    """What it had in flight is sent by the next flush: here, the event loop of the first one never runs again."""
    exporter = Awaited()
    exporter.is_silent = True
    delivery = made(exporter)
    capture(delivery, 1)
    dead = asyncio.new_event_loop()

    async def begin() -> None:
        delivery.flush_in_background(0.2)
        while not exporter.batches:  # noqa: ASYNC110
            await asyncio.sleep(0)

    dead.run_until_complete(begin())
    exporter.is_silent = False
    capture(delivery, 2)
    assert flushed(delivery, 30.0).delivered == 2
    assert (sorted(exporter.delivered), balance(delivery)) == ([1, 1, 2], (2, 2, 0, 0))
    for task in asyncio.all_tasks(dead):
        task.cancel()
    dead.run_until_complete(asyncio.sleep(0))
    dead.close()
    assert balance(delivery) == (2, 2, 0, 0)


def test_flushes_at_the_same_time_send_each_event_once() -> None:
    """One of them sends, the others look again until their events are delivered."""
    exporter = Awaited()
    delivery = made(exporter)

    async def several() -> list[FlushReport]:
        capture(delivery, 1, 2)
        return await asyncio.gather(*(delivery.flush_in_loop(10.0) for _ in range(5)))

    assert [report.delivered for report in asyncio.run(several())] == [2] * 5
    assert exporter.batches == [[1, 2]]


def test_a_full_batch_is_sent_early() -> None:
    """Before anybody flushes; without an event loop it waits."""
    exporter = Awaited()
    delivery = made(exporter, batch_size=3)
    capture(delivery, 1, 2, 3)
    assert (exporter.batches, delivery.pending) == ([], 3)

    async def busy() -> None:
        capture(delivery, 4, 5, 6)
        while delivery.pending:  # noqa: ASYNC110
            await asyncio.sleep(0)

    asyncio.run(busy())
    assert exporter.batches == [[1, 2, 3], [4, 5, 6]]


def test_a_flush_that_may_not_wait_sends_nothing() -> None:
    """Nor does it fail: without JSPI, a function that is no coroutine cannot wait for a promise."""
    delivery = made(exporter := Awaited())
    capture(delivery, 1)
    assert delivery.flush(10.0).replaced(elapsed=0.0) == FlushReport(pending=1, reason="no_time")
    assert exporter.batches == []
    assert delivery.close(10.0).dropped == 1
    assert balance(delivery) == (1, 0, 0, 1)


def test_one_request_of_a_task() -> None:
    """A task that asks for several flushes in one turn gets one."""
    exporter = Awaited(RETRY)
    delivery = made(exporter)
    capture(delivery, 1)

    async def ask() -> int:
        for _ in range(3):
            delivery.flush_in_background(0.0)
        return len(asyncio.all_tasks()) - 1

    assert asyncio.run(ask()) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_others_can_await_a_flush(count: int) -> None:
    """The asynchronous flush of the hosts works as with threads, also to several destinations."""
    exporters = [Awaited() for _ in range(count)]
    deliveries = [made(exporter) for exporter in exporters]
    whole = Several(deliveries) if count > 1 else deliveries[0]
    for delivery in deliveries:
        capture(delivery, 1)
    asyncio.run(flush_async(whole, 10.0))
    assert [exporter.delivered for exporter in exporters] == [[1]] * count


def test_encoded_events_are_what_is_sent() -> None:
    """`send_async` gets the same bytes as `send`."""
    seen: list[bytes] = []

    class Noting(Awaited):
        async def send_async(self, batch: Sequence[bytes], timeout: float) -> Outcome:  # noqa: ASYNC109
            seen.extend(batch)
            return OK

    delivery = made(Noting())
    capture(delivery, 7)
    flushed(delivery)
    assert [json.loads(data) for data in seen] == [{"n": 7}]


def test_a_flush_that_runs_out_of_time_reports_what_it_has_delivered() -> None:
    """The second batch gets no answer; `on_flush` is told of the first."""
    reports: list[FlushReport] = []

    def falls_silent(exporter: Scripted, _: list[int]) -> Outcome:
        exporter.is_silent = True  # type: ignore[attr-defined]
        return OK

    exporter = Awaited(OK, falls_silent)
    delivery = made(exporter, batch_size=1, on_flush=reports.append)
    capture(delivery, 1, 2)

    async def flush() -> None:
        await flush_async(delivery, 0.2)

    asyncio.run(flush())
    assert [(report.delivered, report.pending, report.reason) for report in reports] == [(1, 1, "deadline")]
    assert_balanced(delivery)


def test_cancelled_flushes_are_no_failures_of_the_backend() -> None:
    """Clients that disconnect do not open the breaker, and the events wait."""
    exporter = Awaited()
    exporter.is_silent = True
    delivery = made(exporter)
    capture(delivery, 1)

    async def cancelled() -> None:
        flush, tries = asyncio.create_task(delivery.flush_in_loop(10.0)), len(exporter.batches)
        while len(exporter.batches) == tries:  # noqa: ASYNC110
            await asyncio.sleep(0)
        flush.cancel()
        await asyncio.wait([flush])

    for _ in range(4):
        asyncio.run(cancelled())
    assert (breaker_of(delivery).failures, balance(delivery)) == (0, (1, 0, 1, 0))
    exporter.is_silent = False
    assert flushed(delivery).delivered == 1


def test_a_dead_request_that_is_collected_in_the_middle_of_something_ends_after_that() -> None:
    """The garbage collector may end its coroutine while the same thread holds the lock."""
    exporter = Awaited()
    exporter.is_silent = True
    delivery = made(exporter)
    capture(delivery, 1)
    loop, dead = asyncio.new_event_loop(), delivery.flush_in_loop(10.0)

    async def begin() -> asyncio.Task[FlushReport]:
        task = asyncio.create_task(dead)
        while not exporter.batches:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return task

    task = loop.run_until_complete(begin())
    with lock_of(delivery):
        dead.close()
        assert not is_idle(delivery)
    capture(delivery, 2)
    assert (is_idle(delivery), balance(delivery)) == (True, (2, 0, 2, 0))
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    assert isinstance(task.exception(), RuntimeError)  # its coroutine is gone
    loop.close()


def test_an_on_flush_that_captures_does_not_keep_flushing() -> None:
    """What it captures is sent after a pause."""

    def on_flush(_: FlushReport) -> None:
        capture(delivery, 2)
        delivery.flush_in_background(10.0)

    delivery = made(exporter := Awaited(), on_flush=on_flush)
    capture(delivery, 1)

    async def request() -> None:
        delivery.flush_in_background(10.0)
        await asyncio.sleep(0.1)

    asyncio.run(request())
    assert len(exporter.batches) < 5
    assert_balanced(delivery)


def test_several_destinations_send_in_the_loop() -> None:
    """Early if a batch is full, and when a background flush is asked for: in tasks, as a single destination does."""
    exporters = [Awaited(), Awaited()]
    whole = Several([made(exporter, batch_size=2) for exporter in exporters])

    async def request() -> None:
        capture(whole, 1, 2)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
        capture(whole, 3)
        whole.flush_in_background(10.0)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    asyncio.run(request())
    assert [exporter.batches for exporter in exporters] == [[[1, 2], [3]]] * 2


def test_a_send_that_suspends_the_stack_is_waited_for() -> None:
    """With JSPI, other requests go on during the `send` of a custom exporter, in the same thread."""
    reasons: list[str | None] = []

    class Suspended(Scripted):
        def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
            flushing = delivery.flushing
            assert isinstance(flushing, LoopFlushing)
            waiter, reason = flushing.begin(10.0)
            reasons.append(reason)
            flushing.remove(waiter)
            return OK

    delivery = made(Suspended())
    capture(delivery, 1)
    assert flushed(delivery).delivered == 1
    assert reasons == [None]


def test_an_error_of_our_own_does_not_reach_the_caller() -> None:
    """Such as one about an outcome with nonsense in it. The events wait."""
    nonsense: Any = "soon"
    delivery = made(exporter := Awaited(Outcome("retry", "HTTP 429", nonsense)))
    capture(delivery, 1)
    report = flushed(delivery)
    assert (report.pending, report.reason, balance(delivery)) == (1, "breaker_open", (1, 0, 1, 0))
    exporter.from_now_on(OK)
    delivery.resume()
    assert flushed(delivery).delivered == 1
