"""A flush returns when its own events are settled, or at its deadline, whatever the rest of the world does."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable
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
    event,
    eventually,
    hang,
    in_thread,
    pending_flushes,
    retry_now,
    sender_of,
)
from zespan_serverless._base.reports import FlushReport
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.testing import Backend


@pytest.fixture
def stuck_resolver(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Names do not resolve until the event is set, and there is no telling anybody."""
    resolve, answer = socket.getaddrinfo, threading.Event()

    def stuck(*args: Any, **kwargs: Any) -> Any:
        assert answer.wait(10)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    return answer


@pytest.fixture
def senders() -> Callable[[], int]:
    """How many senders there are, but for those that earlier tests have left behind."""
    before = set(threading.enumerate())
    return lambda: sum(t.name == "zespan-sender" and t not in before for t in threading.enumerate())


# ---------------------------------------------------------------------- what it reports


def test_flush_delivers_all_events_in_order(make: Make) -> None:
    """They are sent in one request, and the report counts them."""
    exporter = Scripted()
    delivery = make(exporter)
    capture(delivery, 1, 2, 3)
    report = delivery.flush(5)
    assert report.replaced(elapsed=0) == FlushReport(delivered=3)
    assert 0 < report.elapsed < 1
    assert exporter.batches == [[1, 2, 3]]
    assert balance(delivery) == (3, 3, 0, 0)


def test_flush_without_events_returns_at_once(make: Make) -> None:
    """Nothing captured, nothing sent, nothing waited for."""
    exporter = Scripted()
    delivery = make(exporter)
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport()
    capture(delivery, 1)
    delivery.flush(5)
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport()
    assert exporter.batches == [[1]]


@pytest.mark.parametrize("timeout", [0, -1, -math.inf, math.nan])
def test_flush_without_time_sends_nothing(make: Make, timeout: float) -> None:
    """Without any time nothing is sent, and all is kept."""
    exporter = Scripted()
    delivery = make(exporter)
    capture(delivery, 1, 2)
    assert delivery.flush(timeout).replaced(elapsed=0) == FlushReport(pending=2, reason="no_time")
    assert exporter.batches == []
    assert delivery.flush(5).delivered == 2


def test_infinite_timeout_is_valid(make: Make) -> None:
    """Infinity is a timeout too."""
    delivery = make(Scripted(RETRY, OK))
    capture(delivery, 1)
    assert delivery.flush(math.inf).delivered == 1


def test_report_counts_events_captured_before_the_flush(make: Make) -> None:
    """What is captured during a flush is not its business, and does not hold it up."""
    late: list[int] = []

    def busy(exporter: Scripted, numbers: list[int]) -> Any:
        capture(delivery, 100 + len(late))
        late.append(1)
        return OK

    exporter = Scripted(busy)
    delivery = make(exporter)
    capture(delivery, 1, 2)
    report = delivery.flush(5)
    assert (report.delivered, report.pending) == (2, 0)
    assert exporter.delivered[:2] == [1, 2]


@pytest.mark.slow
def test_delivered_dropped_and_pending_in_one_report(make: Make, at_once: None) -> None:
    """Every event is one of the three."""

    def refuse_once_asked(exporter: Scripted, numbers: list[int]) -> Outcome:
        eventually(lambda: pending_flushes(delivery))  # a full batch is sent before anybody flushes
        return REFUSED

    exporter = Scripted(refuse_once_asked, OK, REFUSED, hang)
    delivery = make(exporter, batch_size=2)
    capture(delivery, 1, 2, 3)
    report = delivery.flush(1)
    assert report.replaced(elapsed=0) == FlushReport(delivered=1, dropped=1, pending=1, reason="deadline")
    assert (exporter.delivered, delivery.dropped) == ([1], {"refused": 1})


def test_debug_says_what_a_flush_did(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """With `debug` each report is logged."""
    delivery = make(Scripted(), debug=True)
    capture(delivery, 1)
    delivery.flush(5)
    assert "flush: FlushReport(delivered=1," in caplog.text


# ---------------------------------------------------------------------- many at a time


def test_flush_waits_for_its_events_in_a_request_of_another_flush(make: Make) -> None:
    """Each flush waits for its own events, also for those in a request that another one asked for."""
    gate = Gate()
    exporter = Scripted(gate)
    delivery = make(exporter)
    reports: dict[str, FlushReport] = {}
    capture(delivery, 1)
    first = in_thread(lambda: reports.update(first=delivery.flush(5)))
    assert gate.entered.acquire(timeout=5)
    same = in_thread(lambda: reports.update(same=delivery.flush(5)))
    capture(delivery, 2)
    second = in_thread(lambda: reports.update(second=delivery.flush(5)))
    eventually(lambda: pending_flushes(delivery) == 3)
    time.sleep(0.05)
    assert reports == {}
    gate.open.set()
    for thread in (first, same, second):
        thread.join(5)
    assert [reports[name].delivered for name in ("first", "same", "second")] == [1, 1, 2]
    assert exporter.batches == [[1], [2]]


def test_many_flushes_share_requests(backend: Backend, to: Make) -> None:
    """Fifty threads that capture and flush at once need a few requests, and each finds its event delivered."""
    backend.latency = 0.05
    delivery = to()
    start = threading.Barrier(50)
    missing: list[int] = []

    def work(number: int) -> None:
        start.wait()
        capture(delivery, number)
        if delivery.flush(5).pending or number not in [event["n"] for event in backend.events]:
            missing.append(number)

    threads = [in_thread(lambda n=n: work(n)) for n in range(50)]  # type: ignore[misc]
    for thread in threads:
        thread.join(10)
    assert missing == []
    assert sorted(event["n"] for event in backend.events) == list(range(50))
    assert len(backend.requests) <= 10
    assert backend.connections == 1


def test_a_short_flush_leaves_a_longer_one_its_request(make: Make) -> None:
    """Who has no time left goes; the request goes on for who has."""
    gate = Gate()
    exporter = Scripted(gate)
    delivery = make(exporter)
    capture(delivery, 1)
    reports: list[FlushReport] = []
    long = in_thread(lambda: reports.append(delivery.flush(5)))
    assert gate.entered.acquire(timeout=5)
    assert delivery.flush(0.05).replaced(elapsed=0) == FlushReport(pending=1, reason="deadline")
    assert exporter.cancels == 0
    gate.open.set()
    long.join(5)
    assert reports[0].delivered == 1


# ---------------------------------------------------------------------- the deadline


def quick(elapsed: float, deadline: float) -> bool:
    return deadline <= elapsed + 0.001 and elapsed < deadline + 1


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_deadline_holds_against_a_dripping_server(
    backend: Backend, to: Make, mode: Any, senders: Callable[[], int]
) -> None:
    """Also against a server that sends a byte now and then; the events stay, and are delivered when it recovers."""
    backend.mode = mode
    delivery = to()
    capture(delivery, 1, 2)
    began = time.monotonic()
    report = delivery.flush(0.3)
    assert quick(time.monotonic() - began, 0.3)
    assert (report.pending, report.reason) == (2, "deadline")
    assert sender_of(delivery).stuck == []  # its socket was cut, and it came back
    backend.mode = "ok"
    assert delivery.flush(5).delivered == 2
    assert {event["n"] for event in backend.events} == {1, 2}
    assert senders() == 1


def test_hanging_name_resolution_is_abandoned(
    backend: Backend, to: Make, stuck_resolver: threading.Event, senders: Callable[[], int]
) -> None:
    """Name resolution has no timeout: a thread in it is abandoned, at most one, and flushes end in time."""
    delivery = to()
    capture(delivery, 1)
    for _ in range(2):
        began = time.monotonic()
        report = delivery.flush(0.2)
        assert quick(time.monotonic() - began, 0.2)
        assert (report.pending, report.reason) == (1, "deadline")
    # The sender and its replacement are both in there: a third would not fare better.
    assert senders() == 2
    for _ in range(5):
        capture(delivery, 2)
        report = delivery.flush(5)
        assert (report.pending, report.reason) == (delivery.captured, "stuck")
        assert report.elapsed < 2
    assert senders() == 2
    assert balance(delivery) == (6, 0, 6, 0)
    stuck_resolver.set()
    eventually(lambda: sender_of(delivery).stuck == [])
    assert delivery.flush(5, probe=True).delivered == 6
    assert len(backend.events) == 6  # those left behind have sent nothing
    eventually(lambda: senders() == 1)


def test_late_outcome_of_a_stuck_sender_is_ignored(make: Make) -> None:
    """Its event lets the next one pass, and is delivered once as far as the books go."""
    gate = Gate()
    exporter = Scripted(gate, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    assert delivery.flush(0.1).pending == 1
    capture(delivery, 2)
    assert delivery.flush(5).delivered == 2
    gate.open.set()
    eventually(lambda: sender_of(delivery).stuck == [])
    assert balance(delivery) == (2, 2, 0, 0)
    assert exporter.batches == [[1], [2], [1]]


def test_a_stuck_sender_that_comes_back_is_a_sender_again(make: Make, at_once: None) -> None:
    """Two that hang are the limit, and it is not reached for ever."""
    gates = [Gate(), Gate()]
    exporter = Scripted(*gates, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    assert [delivery.flush(0.1).reason for _ in range(3)] == ["deadline", "deadline", "stuck"]
    gates[1].open.set()  # the replacement, which is still the sender
    eventually(lambda: len(sender_of(delivery).stuck) == 1)
    assert delivery.flush(5, probe=True).delivered == 1
    assert len(exporter.threads) == 2
    gates[0].open.set()


def test_a_sender_that_is_stuck_beside_a_stuck_one_is_replaced_when_that_one_is_back(make: Make, at_once: None) -> None:
    """One that never comes back does not end delivery."""
    gates = [Gate(), Gate()]
    exporter = Scripted(*gates, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    assert [delivery.flush(0.1).reason for _ in range(3)] == ["deadline", "deadline", "stuck"]
    gates[0].open.set()  # the first, which has been replaced
    eventually(lambda: len(sender_of(delivery).stuck) == 1)
    assert delivery.flush(5, probe=True).delivered == 1
    assert len(exporter.threads) == 3
    gates[1].open.set()


def test_cancel_is_repeated_until_the_exporter_returns(make: Make) -> None:
    """An exporter that was compressing when it was told to stop is told again."""
    exporter = Scripted()

    def compress_then_hang(exporter: Scripted, numbers: list[int]) -> Any:
        eventually(lambda: exporter.cancels)
        return hang(exporter, numbers)  # forgets the first cancel

    exporter.from_now_on(compress_then_hang)
    delivery = make(exporter)
    capture(delivery, 1)
    assert delivery.flush(0.1).pending == 1
    assert exporter.cancels > 1
    assert sender_of(delivery).stuck == []


def test_exception_of_cancel_is_contained(make: Make) -> None:
    """Its exception stays with it."""

    class Rude(Scripted):
        def cancel(self) -> None:
            raise RuntimeError("no")

        def close(self) -> None:
            raise RuntimeError("no")

    gate = Gate()
    delivery = make(Rude(gate))
    capture(delivery, 1)
    assert delivery.flush(0.1).reason == "deadline"
    gate.open.set()
    delivery.close(0.1)


def test_attempt_gets_the_time_of_the_longest_flush(make: Make) -> None:
    """Without a flush it gets `flush_timeout`."""
    exporter = Scripted()
    delivery = make(exporter, flush_timeout=0.7, batch_size=1)
    capture(delivery, 1)
    eventually(lambda: exporter.delivered)
    capture(delivery, 2)
    retry_now(delivery)
    delivery.flush(3)
    assert exporter.timeouts[0] == pytest.approx(0.7, abs=0.01)


# ---------------------------------------------------------------------- on_error and the log


def test_on_error_is_called_before_flush_returns(make: Make) -> None:
    """The process may be frozen the next moment."""
    told: list[Dropped] = []

    def slowly(dropped: Dropped) -> None:
        time.sleep(0.1)
        told.append(dropped)

    delivery = make(Scripted(Outcome("unauthorized", "HTTP 401")), on_error=slowly)
    capture(delivery, 1, 2)
    assert delivery.flush(5).dropped == 2
    assert told == [Dropped(2, "unauthorized", "HTTP 401", (b'{"n":1}', b'{"n":2}'))]


def test_flush_without_events_still_calls_on_error(make: Make) -> None:
    """Drops from before the flush are reported, also if nothing is left to send."""
    told: list[Dropped] = []
    delivery = make(Scripted(), on_error=told.append, batch_bytes=10)
    delivery.capture(event({"n": "x" * 100}))
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport()
    assert [(dropped.events, dropped.reason) for dropped in told] == [(1, "too_large")]


def test_on_error_is_called_while_the_backend_is_unreachable(make: Make) -> None:
    """A flush that has nothing to wait for but that waits for it."""
    told: list[Dropped] = []

    def slowly(dropped: Dropped) -> None:
        time.sleep(0.05)
        told.append(dropped)

    delivery = make(Scripted(RETRY), max_events=2, on_error=slowly)
    capture(delivery, 1)
    assert delivery.flush(5).reason == "breaker_open"
    capture(delivery, 2, 3, 4, 5)
    assert delivery.flush(5).replaced(elapsed=0) == FlushReport(pending=2, reason="breaker_open")
    assert sum(dropped.events for dropped in told) == 3


def test_raising_on_error_is_logged_once_and_called_again(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The sender survives it, and calls it for the next drop."""
    calls: list[Dropped] = []

    def fails(dropped: Dropped) -> None:
        calls.append(dropped)
        raise RuntimeError("oh no")

    delivery = make(Scripted(Outcome("unauthorized")), on_error=fails)
    for number in (1, 2):
        capture(delivery, number)
        assert delivery.flush(5).dropped == 1
    assert len(calls) == 2
    assert caplog.text.count("oh no") == 1


@pytest.mark.slow
@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_on_error_that_ends_its_thread_is_replaced_by_a_new_sender(make: Make, error: BaseException) -> None:
    """There is a sender again at the next occasion."""

    def leave(dropped: Dropped) -> None:
        raise error

    exporter = Scripted(Outcome("unauthorized"), OK)
    delivery = make(exporter, on_error=leave)
    capture(delivery, 1)
    assert delivery.flush(5).dropped == 1
    (sender,) = exporter.threads
    sender.join(5)
    capture(delivery, 2)
    assert delivery.flush(5).delivered == 1


def test_on_error_that_flushes_returns_at_once(make: Make) -> None:
    """A flush inside `on_error` returns at once, because it would wait for itself."""
    reports: list[FlushReport] = []

    def again(dropped: Dropped) -> None:
        capture(delivery, 9)
        reports.append(delivery.flush(5))

    exporter = Scripted(Outcome("unauthorized"), OK)
    delivery = make(exporter, on_error=again)
    capture(delivery, 1)
    began = time.monotonic()
    assert delivery.flush(5).dropped == 1
    assert time.monotonic() - began < 3
    assert reports[0].replaced(elapsed=0) == FlushReport(pending=1, reason="stuck")
    assert delivery.flush(5).delivered == 1


def test_on_error_that_closes_returns_at_once(make: Make) -> None:
    """The same for shutdown."""
    reports: list[FlushReport] = []

    def end(dropped: Dropped) -> None:
        if not reports:
            reports.append(delivery.close(5))

    delivery = make(Scripted(Outcome("unauthorized"), OK), on_error=end)
    capture(delivery, 1)
    began = time.monotonic()
    delivery.flush(5)
    eventually(lambda: reports)
    assert time.monotonic() - began < 3
    assert delivery.closed


def test_hanging_on_error_costs_one_flush_its_time(make: Make) -> None:
    """It costs its flush the time there is, and the next one nothing: another thread has taken over."""
    hangs, over = threading.Event(), threading.Event()

    def hang_once(dropped: Dropped) -> None:
        if not hangs.is_set():
            hangs.set()
            assert over.wait(10)

    delivery = make(Scripted(Outcome("unauthorized"), OK), on_error=hang_once)
    capture(delivery, 1)
    report = delivery.flush(0.2)
    assert quick(report.elapsed, 0.2)
    assert (report.dropped, report.pending, report.reason) == (1, 0, "")
    capture(delivery, 2)
    assert delivery.flush(5).delivered == 1
    over.set()


def test_exporter_that_flushes_returns_at_once(make: Make) -> None:
    """An instrumented client inside `send` may do what it likes."""
    reports: list[FlushReport] = []

    def nested(exporter: Scripted, numbers: list[int]) -> Any:
        reports.append(delivery.flush(5))
        return OK

    delivery = make(Scripted(nested))
    capture(delivery, 1)
    assert delivery.flush(5).delivered == 1
    assert reports[0].reason == "stuck"


# ---------------------------------------------------------------------- without threads


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "zespan-sender":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_without_threads_a_flush_sends_for_itself(make: Make, no_threads: None) -> None:
    """Where no thread can be started; with retries, within its deadline."""
    exporter = Scripted(RETRY, OK)
    delivery = make(exporter)
    delivery.ensure_sender()
    capture(delivery, 1, 2)
    assert delivery.flush(5).delivered == 2
    assert exporter.threads == {threading.current_thread()}
    assert exporter.batches == [[1, 2], [1, 2]]


def test_without_threads_the_flush_calls_on_error(make: Make, no_threads: None) -> None:
    """Where no thread can be started, `on_error` is called by the flush, and may flush as well."""
    told: list[str] = []

    def tell(dropped: Dropped) -> None:
        told.append(dropped.reason)
        delivery.flush(5)

    delivery = make(Scripted(Outcome("unauthorized")), on_error=tell, batch_bytes=20)
    capture(delivery, 1)
    delivery.capture(event({"n": "x" * 100}))
    assert told == []  # not in the request's path
    assert delivery.flush(5).dropped == 1
    assert sorted(told) == ["too_large", "unauthorized"]


def test_without_threads_the_breaker_opens(make: Make, no_threads: None, at_once: None) -> None:
    """Three failures, and the flush returns."""
    exporter = Scripted(ConnectionRefusedError())
    delivery = make(exporter)
    capture(delivery, 1)
    assert delivery.flush(5).reason == "breaker_open"
    assert len(exporter.batches) == 3


def test_without_threads_sending_blocks_no_other_thread(make: Make, no_threads: None) -> None:
    """No lock is held meanwhile: others capture, wait for the same request, and leave at their deadlines."""
    gate = Gate()
    exporter = Scripted(gate, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    reports: list[FlushReport] = []
    sending = in_thread(lambda: reports.append(delivery.flush(5)))
    assert gate.entered.acquire(timeout=5)
    capture(delivery, 2)
    assert balance(delivery) == (2, 0, 2, 0)
    assert delivery.flush(0.05).reason == "deadline"
    waiting = in_thread(lambda: reports.append(delivery.flush(5)))
    gate.open.set()
    sending.join(5)
    waiting.join(5)
    assert sorted(report.delivered for report in reports) == [1, 2]
    assert exporter.batches == [[1], [2]]


def test_new_sender_leaves_the_request_of_a_flush_alone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that starts while a flush sends for itself leaves that request alone."""
    start, allowed = threading.Thread.start, False

    def maybe(thread: threading.Thread) -> None:
        if thread.name == "zespan-sender" and not allowed:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", maybe)
    gate = Gate()
    exporter = Scripted(gate, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    reports: list[FlushReport] = []
    sending = in_thread(lambda: reports.append(delivery.flush(5)))
    assert gate.entered.acquire(timeout=5)
    allowed = True
    capture(delivery, 2)
    assert sender_of(delivery).thread is not None
    gate.open.set()
    sending.join(5)
    assert delivery.flush(5).pending == 0
    assert exporter.delivered == [1, 2] or exporter.batches == [[1], [2]]
    assert balance(delivery) == (2, 2, 0, 0)


def test_an_interrupted_flush_loses_nothing(make: Make, no_threads: None) -> None:
    """Control-C in the middle of a request: it reaches the user, and the events are still there."""
    delivery = make(Scripted(KeyboardInterrupt(), OK))
    capture(delivery, 1)
    with pytest.raises(KeyboardInterrupt):
        delivery.flush(5)
    assert balance(delivery) == (1, 0, 1, 0)
    assert delivery.flush(5).delivered == 1
