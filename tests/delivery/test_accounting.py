"""No event is lost silently: at every moment captured = delivered + pending + dropped, each drop with a reason."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.delivery.support import (
    OK,
    PARTLY,
    REFUSED,
    RETRY,
    UNAUTHORIZED,
    Gate,
    Scripted,
    assert_balanced,
    assert_sizes,
    balance,
    breaker_of,
    buffer_of,
    capture,
    event,
    eventually,
    in_thread,
    is_idle,
    lock_of,
    mark_closed,
    notices_of,
    pauses,
    pending_numbers,
    sender_of,
)
from zespan_serverless._delivery import notices
from zespan_serverless._delivery import worker as _worker
from zespan_serverless._delivery.buffer import Item
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.settings import Settings
from zespan_serverless.testing import Backend

Make = Callable[..., Delivery]
ROOT = Path(__file__).parents[2]
OUTCOMES = [OK, OK, PARTLY, RETRY, REFUSED, UNAUTHORIZED, Outcome("retry", "HTTP 429", 0.001), OSError("made up")]


# ---------------------------------------------------------------------- the books


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("capture"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["large", "odd"]), st.just(1)),
        st.tuples(st.just("flush"), st.sampled_from([0, 5, -5])),
    ),
    max_size=25,
)


class Picky(Scripted):
    """Cannot encode everything."""

    def encode(self, record: Any) -> bytes:
        if record.fields["n"] == -1:
            raise ValueError("odd")
        return super().encode(record)


@pauses(0.0)
@mock.patch.object(_worker, "ABORT_GRACE", 5.0)  # no thread is abandoned here, however busy the machine is
@settings(deadline=None)
@given(STEPS, st.lists(st.sampled_from(OUTCOMES), max_size=25), st.integers(1, 6), st.sampled_from([0, 5]))
def test_counters_balance_after_any_outcomes(
    steps: list[tuple[str, int]], script: list[Any], batch_size: int, closing: float
) -> None:
    """Events are delivered in order, and once as far as we know."""
    exporter = Picky(*script, OK)
    small = Settings(batch_size=batch_size, batch_bytes=1024, max_events=10, max_bytes=500, flush_timeout=5)
    delivery = Delivery(exporter, small)
    number = itertools.count()
    captured = 0
    for step, amount in steps:
        if step == "flush":
            report = delivery.flush(abs(amount), probe=amount < 0)
            assert min(report.delivered, report.dropped, report.pending) >= 0
            assert not report.pending or report.reason
            assert report.elapsed < 3  # no thread sleeps while there is something to do
        else:
            captured += amount
            for n in itertools.islice(number, amount):
                odd, large = step == "odd", step == "large"
                delivery.capture(event({"n": -1 if odd else n, "x": "x" * 1100 * large}))
        assert_balanced(delivery)
    delivery.close(closing)
    capture(delivery, next(number))
    assert balance(delivery)[0::2] == (captured + 1, 0)
    assert_balanced(delivery)
    assert exporter.delivered == sorted(set(exporter.delivered))
    assert delivery.delivered == len(exporter.delivered)
    delivery.reset()


@pauses(0.0005)
def test_counters_balance_at_every_moment_under_threads(make: Make) -> None:
    """Threads that capture, flush and look on, with a backend that does everything wrong that it can."""
    dice = random.Random(5)

    def anything(exporter: Scripted, numbers: list[int]) -> Outcome:
        time.sleep(dice.random() * 0.002)
        outcome = dice.choice(OUTCOMES)
        if isinstance(outcome, OSError):
            raise outcome
        assert isinstance(outcome, Outcome)
        return outcome

    exporter = Scripted(anything)
    told: list[Dropped] = []
    delivery = make(exporter, batch_size=7, max_events=200, on_error=told.append)
    seen = 0
    stop = threading.Event()
    wrong: list[object] = []

    def look() -> None:
        nonlocal seen
        while not stop.is_set():
            captured, *parts = balance(delivery)
            seen += 1
            if captured != sum(parts):
                wrong.append((captured, parts))

    def work(first: int) -> None:
        for n in range(first, first + 100):
            capture(delivery, n)
            if n % 10 == 0:
                report = delivery.flush(0.02, probe=True)
                if min(report.delivered, report.dropped, report.pending) < 0:
                    wrong.append(report)

    looking = in_thread(look)
    workers = [in_thread(lambda first=1000 * i: work(first)) for i in range(8)]  # type: ignore[misc]
    for worker in workers:
        worker.join(20)
    exporter.from_now_on(OK)
    for _ in range(100):
        if not delivery.flush(5, probe=True).pending:
            break
        time.sleep(0.01)
    stop.set()
    looking.join(5)
    assert wrong == []
    assert seen > 50
    captured, delivered, pending, dropped = balance(delivery)
    assert (captured, pending) == (800, 0)
    assert delivered == len(exporter.delivered) == len(set(exporter.delivered))
    assert dropped == sum(one.events for one in told)


# ---------------------------------------------------------------------- bounds


@pytest.mark.parametrize(("rejected", "taken"), [(2, [0]), (3, []), (9, []), (-1, [0, 1, 2]), (None, [0, 1, 2])])
def test_rejected_events_are_dropped_and_the_others_delivered(make: Make, rejected: Any, taken: list[int]) -> None:
    """They count as the last ones of the batch, whatever number an exporter says, and are never sent again."""
    told: list[Dropped] = []
    outcome = Outcome("delivered", "too old", rejected=rejected)
    exporter = Scripted(lambda exporter, numbers: outcome)
    delivery = make(exporter, on_error=told.append)
    for number in range(3):
        capture(delivery, number)
    report = delivery.flush(5)
    lost = 3 - len(taken)
    assert (report.delivered, report.dropped, report.pending) == (len(taken), lost, 0)
    assert delivery.flush(5).pending == 0
    eventually(lambda: sum(one.events for one in told) == lost)
    assert {(one.reason, one.detail) for one in told} == ({("refused", "too old")} if lost else set())
    assert_balanced(delivery)


def test_a_full_buffer_drops_the_oldest(make: Make) -> None:
    """The oldest by number are dropped, counted and reported."""
    told: list[Dropped] = []
    exporter = Scripted(RETRY)
    delivery = make(exporter, max_events=10, on_error=told.append)
    capture(delivery, 0)
    delivery.flush(5)  # the breaker is open now
    capture(delivery, *range(1, 25))
    assert balance(delivery) == (25, 0, 10, 15)
    assert delivery.dropped == {"buffer_full": 15}
    eventually(lambda: sum(dropped.events for dropped in told) == 15)
    assert [json.loads(payload)["n"] for dropped in told for payload in dropped.payloads] == list(range(15))
    exporter.from_now_on(OK)
    assert delivery.flush(5, probe=True).delivered == 10
    assert exporter.delivered == list(range(15, 25))


def test_a_full_buffer_is_bounded_in_bytes(make: Make) -> None:
    """The bound holds also for what comes back from a failed attempt."""
    gate = Gate(RETRY)
    exporter = Scripted(gate)
    delivery = make(exporter, max_bytes=1000, batch_size=5)
    for n in range(5):
        delivery.capture(event({"n": n, "x": "x" * 150}))
    assert gate.entered.acquire(timeout=5)
    for n in range(5, 9):
        delivery.capture(event({"n": n, "x": "x" * 150}))
    assert balance(delivery) == (9, 0, 9, 0)
    gate.open.set()
    delivery.flush(0.5)
    captured, delivered, pending, dropped = balance(delivery)
    assert (captured, delivered) == (9, 0)
    assert (pending, dropped) == (6, 3)
    assert_sizes(buffer_of(delivery))
    assert buffer_of(delivery)._bytes <= 1000
    assert pending_numbers(delivery) == [3, 4, 5, 6, 7, 8]


def test_too_large_event_is_shortened_or_dropped(make: Make) -> None:
    """It is dropped if shortening is not enough. An event that just fits is sent as it is."""
    exporter = Scripted()
    delivery = make(exporter, batch_bytes=1024)
    room = 1024 - len(b'{"n":1,"x":""}')
    delivery.capture(event({"n": 1, "x": "x" * room}))
    delivery.capture(event({"n": 2, "x": "x" * (room + 1)}))
    delivery.capture(event({"n": 3, **dict.fromkeys(map(str, range(200)), "x")}))
    delivery.flush(5)
    assert delivery.dropped == {"too_large": 1}
    assert exporter.delivered == [1, 2]


def test_event_larger_than_the_buffer_is_dropped_alone(make: Make) -> None:
    """Events that fit are not dropped with it."""
    delivery = make(Scripted(), max_bytes=1024)
    delivery.capture(event({"n": 1, **dict.fromkeys(map(str, range(200)), "x")}))
    assert delivery.dropped == {"buffer_full": 1}
    capture(delivery, 2)
    assert delivery.flush(5).delivered == 1


def test_a_batch_keeps_within_its_bytes(make: Make) -> None:
    """Newlines between events included: four of a quarter of it are too many."""
    exporter = Scripted()
    delivery = make(exporter, batch_bytes=1024)
    quarter = 1024 // 4 - len(b'{"n":10,"x":""}')
    with lock_of(delivery):  # so that nothing is sent in between
        for n in range(10, 30):
            delivery.capture(event({"n": n, "x": "x" * quarter}))
    delivery.flush(5)
    assert exporter.delivered == list(range(10, 30))
    assert max(map(len, exporter.batches)) == 3


@pytest.mark.parametrize("fields", [{"n": -1}, {}])
def test_unencodable_event_is_counted_and_reported(make: Make, fields: Any) -> None:
    """`on_error` gets it without a payload."""
    told: list[Dropped] = []
    delivery = make(Picky(), on_error=told.append)
    delivery.capture(event(fields))
    delivery.flush(5)
    assert delivery.dropped == {"unencodable": 1}
    assert [(dropped.events, dropped.reason, dropped.payloads) for dropped in told] == [(1, "unencodable", ())]


def test_on_error_does_not_wait_for_a_flush(make: Make) -> None:
    """What is dropped at once is told at once, even if it is all that there ever was."""
    told: list[Dropped] = []
    delivery = make(Scripted(), batch_bytes=10, on_error=told.append)
    delivery.capture(event({"n": "x" * 100}))
    eventually(lambda: told)


def test_exporter_that_encodes_to_no_bytes_drops_the_event(make: Make) -> None:
    """No bytes, no event; and no exception."""

    class Odd(Scripted):
        def encode(self, record: Any) -> Any:
            return None

    delivery = make(Odd())
    capture(delivery, 1)
    assert delivery.dropped == {"unencodable": 1}


def test_exporter_whose_exceptions_have_no_text_is_survived(make: Make) -> None:
    """An exception whose text is an exception, in both of its methods."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    class Failing(Picky):
        def encode(self, record: Any) -> bytes:
            if record.fields["n"] == -1:
                raise Mute
            return super().encode(record)

    delivery = make(Failing(Mute(), OK))
    capture(delivery, -1, 1)
    assert delivery.flush(5).delivered == 1
    assert delivery.dropped == {"unencodable": 1}


def test_waiting_drops_are_bounded(make: Make) -> None:
    """While on_error hangs, what it has not been told does not fill the memory; it is told of all, in one call."""
    entered, over = threading.Event(), threading.Event()
    told: list[Dropped] = []

    def hang(dropped: Dropped) -> None:
        told.append(dropped)
        entered.set()
        assert over.wait(10)

    delivery = make(Scripted(), max_events=1, batch_size=500, on_error=hang)
    capture(delivery, *range(3))
    assert entered.wait(5)
    capture(delivery, *range(2 * notices.NOTICES_MAX))
    assert len(notices_of(delivery)._drops) == 1
    assert sum(delivery.dropped.values()) == 2 * notices.NOTICES_MAX + 2
    over.set()
    eventually(lambda: sum(dropped.events for dropped in told) == 2 * notices.NOTICES_MAX + 2)
    assert len(told) == 2
    assert len(told[-1].payloads) == notices.NOTICES_MAX


def test_kinds_of_waiting_drops_are_bounded() -> None:
    """A backend that gives another reason for each event fills no memory, and none of them goes uncounted."""
    news = notices.Notices(Settings(on_error=(told := list[Dropped]()).append))
    for number in range(2 * notices.NOTICES_MAX):
        news.dropped([Item(b"x", 0.0)], "refused", str(number))
    assert len(news._drops) <= notices.NOTICES_MAX + 2
    while news:
        news.drain()()
    assert sum(dropped.events for dropped in told) == 2 * notices.NOTICES_MAX


# ---------------------------------------------------------------------- the end


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


# ---------------------------------------------------------------------- odd moments


class Finalized:
    """Captures when the garbage collector comes round, wherever that is."""

    def __init__(self, delivery: Delivery, count: Iterator[int]) -> None:
        self.delivery, self.count, self.itself = delivery, count, self

    def __del__(self) -> None:
        next(self.count)
        capture(self.delivery, 1_000_000)


@pytest.mark.slow
def test_capture_from_a_finalizer(make: Make) -> None:
    """An unreferenced stream is finalised during our own work: no deadlock, no lost count."""
    exporter = Scripted(OK, RETRY, OK, REFUSED, OK)
    delivery = make(exporter, max_events=30, batch_size=5, flush_timeout=0.5)
    finalized = itertools.count()
    threshold = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for n in range(300):
            Finalized(delivery, finalized)
            capture(delivery, n)
            if n % 20 == 0:
                exporter.from_now_on(RETRY, OK, REFUSED, OK)
                delivery.flush(1, probe=True)
            assert buffer_of(delivery)._bytes >= 0
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    count = next(finalized)
    assert count > 250
    delivery.flush(5, probe=True)
    eventually(lambda: is_idle(delivery))
    with lock_of(delivery):
        assert delivery.captured == 300 + count
        assert_sizes(buffer_of(delivery))
    assert_balanced(delivery)


def test_capture_while_the_same_thread_holds_the_lock_waits_in_the_intake(make: Make) -> None:
    """What a finalizer does, without the luck."""
    delivery = make(Scripted(), batch_size=2)
    with lock_of(delivery):
        capture(delivery, 1, 2, 3)
        assert delivery.pending == 3
    delivery.flush(5)
    assert balance(delivery) == (3, 3, 0, 0)


def test_log_handler_that_captures_does_not_deadlock(make: Make) -> None:
    """It holds its own lock while it does, and so may another thread that is about to log: no deadlock."""
    delivery = make(Scripted(RETRY), max_events=1)
    inside, go_on = threading.Event(), threading.Event()

    class Capturing(logging.Handler):
        """Logs become events: the very thing people build."""

        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "someone":
                inside.set()
                assert go_on.wait(5)
            capture(delivery, 7)

    handler = Capturing()
    loggers = [logging.getLogger(name) for name in ("someone", "zespan_serverless")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        logging_thread = in_thread(lambda: loggers[0].warning("x"))
        assert inside.wait(5)  # holds the handler's lock, wants the delivery's next
        capture(delivery, 1, 2, 3)  # drops, which wants to be logged
        in_thread(lambda: delivery.flush(0.2))
        eventually(lambda: not is_idle(delivery))
        go_on.set()
        logging_thread.join(5)
        assert not logging_thread.is_alive()
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    eventually(lambda: is_idle(delivery))
    delivery.reset()


def test_capture_from_many_threads_is_quick_while_the_backend_hangs(make: Make) -> None:
    """Capturing never waits for a socket, a flush, on_error or the log."""
    gate, over = Gate(RETRY), threading.Event()
    delivery = make(Scripted(gate), max_events=5, on_error=lambda dropped: over.wait(10))
    capture(delivery, 1)
    in_thread(lambda: delivery.flush(5))
    assert gate.entered.acquire(timeout=5)
    began = time.monotonic()
    threads = [in_thread(lambda: capture(delivery, *range(100))) for _ in range(8)]
    for thread in threads:
        thread.join(5)
    assert time.monotonic() - began < 3
    assert balance(delivery)[0] == 801
    gate.open.set()
    over.set()


# ---------------------------------------------------------------------- in the background


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


# ---------------------------------------------------------------------- fork


FORK = """
import os, threading, time
import zespan_serverless
from tests.delivery.support import lock_of
from zespan_serverless._process import container as _container
from zespan_serverless.testing import Backend

with Backend() as backend:
    zespan_serverless.init(base_url=backend.url, flush_interval=60, batch_size=500)
    delivery = _container.current().delivery
    zespan_serverless.capture({"operation": "sent by the parent"})
    assert zespan_serverless.flush().delivered == 1

    # At the moment of the fork a request is under way, an event is waiting, and a thread holds the lock.
    backend.mode = "hang"
    zespan_serverless.capture({"operation": "being sent by the parent"})
    reports = []
    flushing = threading.Thread(target=lambda: reports.append(zespan_serverless.flush(10)))
    flushing.start()
    while len(backend.requests) < 2:
        time.sleep(0.01)
    zespan_serverless.capture({"operation": "waiting in the parent"})
    entered, leave = threading.Event(), threading.Event()
    def hold():
        with lock_of(delivery):
            entered.set()
            leave.wait()
    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()

    child = os.fork()
    if child == 0:
        assert (delivery.captured, delivery.pending) == (0, 0)
        zespan_serverless.capture({"operation": "of the child"})
        os._exit(0 if zespan_serverless.flush(10).delivered == 1 else 1)
    leave.set()
    while len(backend.requests) < 3:
        time.sleep(0.01)
    backend.mode = "ok"
    flushing.join()
    assert reports[0].delivered == 1
    assert zespan_serverless.flush().delivered == 1
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    print(sorted(event["operation"] for event in backend.events), backend.connections)
"""
OPERATIONS = ["being sent by the parent", "of the child", "sent by the parent", "waiting in the parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_forked_child_has_its_own_lock_sender_and_events() -> None:
    """The child has a lock, a connection and a sender of its own, no event of the parent's; and that one goes on."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == ""
    assert done.stdout == f"{OPERATIONS} 2\n"


def test_an_event_that_could_not_be_built_is_counted(make: Make) -> None:
    """Code that builds events can count one as dropped, with its own reason."""
    drops: list[Dropped] = []
    delivery = make(Scripted(), on_error=drops.append)
    delivery.drop_unencodable("TypeError: items() of a mapping raised")
    eventually(lambda: drops)
    assert delivery.dropped == {"unencodable": 1}
    assert drops == [Dropped(1, "unencodable", "TypeError: items() of a mapping raised", ())]


class Raises(dict[str, Any]):
    """A mapping of the user's that fails at one of its methods."""

    def __init__(self, method: str, error: BaseException) -> None:
        super().__init__(n=1)
        self.method, self.error = method, error

    def _do(self, method: str, *args: Any) -> Any:
        if method == self.method:
            raise self.error
        return getattr(super(), method)(*args)

    def values(self) -> Any:
        return self._do("values")

    def items(self) -> Any:
        return self._do("items")


@pytest.mark.parametrize("error", [RuntimeError("changed size"), SystemExit("odd")])
@pytest.mark.parametrize("method", ["values"])
def test_event_that_raises_while_encoded_is_counted(make: Make, method: str, error: BaseException) -> None:
    """Whatever it is that fails, the event is in the books; what is no Exception goes on to whom it is meant for."""
    delivery = make(Scripted())
    with contextlib.suppress(SystemExit):
        delivery.capture(event(Raises(method, error)))
    assert delivery.captured == 1
    assert delivery.dropped == {"unencodable": 1}


def test_event_changed_by_another_thread_is_delivered_or_counted(make: Make) -> None:
    """It arrives, or is counted; there is no third way."""
    delivery, stop = make(Scripted(), max_events=100_000), threading.Event()
    fields: dict[str, Any] = {"n": 1, "metadata": {}}

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            fields["metadata"][str(number % 50)] = number
            fields.pop("x", None) if number % 2 else fields.update(x=1)
            if number % 50 == 0:
                fields["metadata"].clear()

    changing = in_thread(change)
    for _ in range(500):
        delivery.capture(event(fields))
    stop.set()
    changing.join(5)
    assert delivery.flush(20).pending == 0
    assert delivery.captured == 500
    assert delivery.delivered + delivery.dropped["unencodable"] == 500
