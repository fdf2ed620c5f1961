"""Flushes in the background, and before the process is copied."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.delivery.support import (
    OK,
    RETRY,
    Gate,
    Make,
    Scripted,
    balance,
    capture,
    eventually,
    hang,
    in_thread,
    lock_of,
)
from zespan_serverless._base.reports import FlushReport

Threads = Callable[[str], set[threading.Thread]]


@pytest.fixture
def threads() -> Threads:
    """Those of a name that were not there before."""
    before = set(threading.enumerate())
    return lambda name: {thread for thread in threading.enumerate() if thread.name == name} - before


def test_flush_in_background_returns_while_exporter_is_busy(make: Make, threads: Threads) -> None:
    """It returns while the exporter is busy; whatever is captured meanwhile is sent after that, by one thread."""
    gate = Gate()
    exporter = Scripted(gate, OK)
    delivery = make(exporter)
    for number in range(5):
        capture(delivery, number)
        delivery.flush_in_background(5.0)
    assert gate.entered.acquire(timeout=5)
    assert exporter.delivered == []
    assert len(threads("zespan-flush")) == 1
    gate.open.set()
    eventually(lambda: exporter.delivered == list(range(5)))


def test_background_flush_repeats_until_all_is_delivered(make: Make) -> None:
    """What hangs is cut off, what fails is repeated, until all is delivered."""
    exporter = Scripted(hang, RETRY, OK)
    delivery = make(exporter, flush_interval=0.05)
    capture(delivery, 1)
    delivery.flush_in_background(0.1)
    eventually(lambda: exporter.delivered == [1])
    assert exporter.cancels


def test_follower_aborts_and_repeats_a_hanging_attempt(make: Make) -> None:
    """The sender also retries on its own, but only a waiting flush can abort a request that hangs."""
    exporter = Scripted(hang, hang, hang, OK)
    delivery = make(exporter, flush_interval=0.05)
    capture(delivery, 1)
    delivery.flush_in_background(0.1)
    eventually(lambda: exporter.cancels, 5)
    eventually(lambda: len(exporter.batches) >= 3, 5)


def test_second_request_for_a_background_flush_takes_no_lock(make: Make) -> None:
    """While a flush in the background is to come, another call neither takes the lock nor starts a thread."""
    exporter = Scripted()
    delivery = make(exporter)
    capture(delivery, 1)
    delivery.flush_in_background(5.0)
    with lock_of(delivery):
        for _ in range(1000):
            asking = in_thread(lambda: delivery.flush_in_background(5.0))
            asking.join(5)
            if not asking.is_alive():
                break
    eventually(lambda: exporter.delivered == [1], 3)


def test_new_events_do_not_wait_for_the_interval_after_a_failure(make: Make) -> None:
    """A new event is sent at once, also after a failed attempt."""
    reports: list[FlushReport] = []
    exporter = Scripted(hang)  # once: three failures would open the breaker
    delivery = make(exporter, flush_interval=3600.0, on_flush=reports.append)
    capture(delivery, 1)
    delivery.flush_in_background(0.1)
    eventually(lambda: reports and reports[0].pending == 1)
    exporter.from_now_on(OK)
    time.sleep(0.05)  # until the thread waits
    capture(delivery, 2)
    delivery.flush_in_background(5.0)
    eventually(lambda: sorted(exporter.delivered) == [1, 2])


def test_background_flush_calls_on_flush(make: Make) -> None:
    """`on_flush` is called as after any other flush."""
    reports: list[FlushReport] = []
    delivery = make(Scripted(), on_flush=reports.append)
    capture(delivery, 1)
    delivery.flush_in_background(5.0)
    eventually(lambda: [report.delivered for report in reports] == [1])


def test_without_threads_the_caller_flushes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without threads, the calling thread has to wait after all."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    exporter = Scripted()
    delivery = make(exporter)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    capture(delivery, 1)
    delivery.flush_in_background(5.0)
    assert exporter.delivered == [1]


def test_without_threads_wait_false_leaves_events_pending(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not be kept waiting is not: what is pending is for the next flush."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    exporter = Scripted()
    delivery = make(exporter)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    capture(delivery, 1)
    delivery.flush_in_background(5.0, wait=False)
    assert exporter.delivered == []
    assert delivery.flush(5.0).delivered == 1


@pytest.mark.parametrize("busy", [False, True])
def test_stop_threads_ends_both_threads(make: Make, threads: Threads, busy: bool) -> None:
    """Both, whatever they are doing; the next event has new ones."""
    exporter = Scripted(hang, OK) if busy else Scripted()
    delivery = make(exporter)
    capture(delivery, 1)
    delivery.flush_in_background(5.0)
    eventually(lambda: exporter.batches)
    assert delivery.stop_threads(5.0)
    assert not threads("zespan-flush")
    assert not threads("zespan-sender")
    capture(delivery, 2)
    delivery.flush_in_background(5.0)
    delivery.flush(5.0, probe=True)
    assert sorted(exporter.delivered) == [1, 2]


def test_stop_threads_returns_false_in_time_for_a_stuck_sender(make: Make) -> None:
    """A sender that nothing can cut off is said to be there, in time."""
    gate = Gate()
    delivery = make(Scripted(gate, OK))
    capture(delivery, 1)
    delivery.flush_in_background(5.0)
    assert gate.entered.acquire(timeout=5)
    assert not delivery.stop_threads(0.1)
    gate.open.set()


ISOLATED = """
import sys
sys.path[:0] = {path!r}
from zespan_serverless import settings as _settings
from zespan_serverless._base import reports as exporters
from zespan_serverless._delivery import delivery as _delivery
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._trace import new_span
class Sink:
    sent = []
    def encode(self, record): return b"x"
    def send(self, batch, timeout):
        self.sent.extend(batch)
        return exporters.Outcome("delivered")
    def cancel(self): pass
    def close(self): pass
settings = _settings.Settings(exporter=Sink())
delivery = _delivery.Delivery(Sink(), settings)
record = Record(new_span(), Resource(settings), "general", "x")
delivery.capture(record)
delivery.flush_in_background(5.0)
delivery.capture(record)
assert not delivery.flush(5.0).pending
assert len(Sink.sent) == 2
delivery.close(1.0)
"""


def test_in_an_isolated_interpreter_the_caller_flushes() -> None:
    """Where no daemon thread can be had, the caller's own thread delivers."""
    interpreters: Any = pytest.importorskip("_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")
    isolated = interpreters.create(*(["isolated"] if sys.version_info >= (3, 13) else []))
    try:
        failed = interpreters.run_string(isolated, ISOLATED.format(path=sys.path))
        assert failed is None
    finally:
        interpreters.destroy(isolated)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_background_thread_ends_with_the_delivery(make: Make, threads: Threads, end: str) -> None:
    """The thread ends when the delivery is closed, and not before."""
    exporter = Scripted()
    delivery = make(exporter)
    capture(delivery, 1)
    delivery.flush_in_background(5.0)
    eventually(lambda: exporter.delivered == [1])
    assert len(threads("zespan-flush")) == 1
    if end == "close":
        delivery.close(1.0)
    else:
        delivery.reset()
    eventually(lambda: not threads("zespan-flush"))


def test_pause_flushes_and_gives_up_threads_and_connection(make: Make, threads: Threads) -> None:
    """All is sent, and then there is neither thread nor connection; what comes later has new ones."""
    exporter = Scripted()
    delivery = make(exporter)
    capture(delivery, 1)
    closes = exporter.closes
    delivery.pause(5.0)
    assert exporter.delivered == [1]
    assert exporter.closes == closes + 1
    assert not threads("zespan-sender")
    capture(delivery, 2)
    assert delivery.flush(5.0).delivered == 1
    assert len(exporter.threads) == 2


def test_pause_gives_up_a_connection_that_is_being_opened(make: Make, threads: Threads) -> None:
    """A connection that is still being opened, for events to come, is given up as well."""
    connecting = threading.Event()

    class Slow(Scripted):
        def prepare(self, timeout: float) -> None:
            connecting.set()
            assert self.cut.wait(10)

    exporter = Slow()
    delivery = make(exporter)
    delivery.ensure_sender()
    assert connecting.wait(5)
    delivery.pause(5.0)
    assert not threads("zespan-sender")
    assert exporter.cancels


def test_pause_keeps_events_and_forgets_failures(make: Make) -> None:
    """What cannot be sent now is kept, and tried at once when asked for: what was known of the backend is forgotten."""
    exporter = Scripted(RETRY)
    delivery = make(exporter)
    capture(delivery, 1)
    for _ in range(5):
        delivery.flush(5.0)
    delivery.pause(0.2)
    exporter.from_now_on(OK)
    delivery.resume()
    assert delivery.flush(5.0).delivered == 1
    assert exporter.delivered == [1]


def test_pause_abandons_a_stuck_sender(make: Make) -> None:
    """A sender that cannot be aborted is abandoned. Its result is ignored, and its events are sent again."""
    gate = Gate()
    exporter = Scripted(gate, OK)
    delivery = make(exporter)
    capture(delivery, 1)
    delivery.pause(0.1)
    assert gate.entered.acquire(blocking=False)
    assert balance(delivery) == (1, 0, 1, 0)
    gate.open.set()
    report: Any = delivery.flush(5.0)
    assert (report.delivered, report.pending) == (1, 0)
    assert exporter.batches == [[1], [1]]
