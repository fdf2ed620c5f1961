"""No foreign code runs while our lock is held: if it waited for a thread that captures, it would wait for ever."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.support import (
    OK,
    REFUSED,
    RETRY,
    UNAUTHORIZED,
    Scripted,
    begun,
    capture,
    event,
    eventually,
    hang,
    in_thread,
    lock_of,
)
from zespan_serverless._base import log
from zespan_serverless._base.reports import FlushReport
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless._record.record import Record
from zespan_serverless.exporters import Dropped
from zespan_serverless.settings import Settings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no journal elsewhere")


class Watch:
    """Looks, in whatever is called, whether another thread can have the lock of the delivery."""

    def __init__(self) -> None:
        self.delivery: Delivery | None = None
        self.called: dict[str, int] = {}
        self.wrong: list[str] = []

    def look(self, name: str) -> None:
        self.called[name] = self.called.get(name, 0) + 1
        delivery = self.delivery
        if delivery is None:
            return
        had = threading.Event()

        def have() -> None:
            with lock_of(delivery):
                had.set()

        threading.Thread(target=have, daemon=True, name="looking").start()
        if not had.wait(3):
            self.wrong.append(name)


class Looking(Scripted):
    """An exporter all of whose methods look."""

    def __init__(self, watch: Watch, *script: Any) -> None:
        super().__init__(*script)
        self.watch = watch

    @property
    def destination(self) -> str:
        self.watch.look("destination")
        return "https://somewhere"

    def encode(self, record: Record) -> bytes:
        self.watch.look("encode")
        return super().encode(record)

    def prepare(self, timeout: float) -> None:
        self.watch.look("prepare")

    def send(self, batch: Sequence[bytes], timeout: float) -> Any:
        self.watch.look("send")
        return super().send(batch, timeout)

    def cancel(self) -> None:
        self.watch.look("cancel")
        super().cancel()

    def close(self) -> None:
        self.watch.look("close")
        super().close()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    watch = Watch()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            watch.look("log")

    start = threading.Thread.start

    def patched(thread: threading.Thread) -> None:
        if thread.name.startswith("zespan-"):
            watch.look("start")
        start(thread)

    handler = Handler()
    log.logger.addHandler(handler)
    monkeypatch.setattr(threading.Thread, "start", patched)
    yield watch
    log.logger.removeHandler(handler)


Begin = Callable[..., Delivery]


@pytest.fixture
def begin(watch: Watch, tmp_path: Path) -> Iterator[Begin]:
    """begin(*script, **settings): a delivery, and whatever is called by it looks."""
    made: list[Delivery] = []

    def on_error(dropped: Dropped) -> None:
        watch.look("on_error")

    def on_flush(report: FlushReport) -> None:
        watch.look("on_flush")

    def begin(*script: Any, **settings: Any) -> Delivery:
        exporter = Looking(watch, *script)
        given = Settings(exporter=exporter, flush_timeout=5.0, flush_interval=3600.0, on_error=on_error)
        journal = Journal(str(tmp_path / "journal"), "there", "key", 1_000_000)
        given = given.replaced(on_flush=on_flush, **settings)
        watch.delivery = Delivery(exporter, given, journal, fallback=settings.get("fallback"))
        made.append(watch.delivery)
        return watch.delivery

    yield begin
    for delivery in made:
        delivery.reset()
    assert watch.wrong == []


def test_failing_journal_is_logged_without_the_lock(
    begin: Begin, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is told without the lock."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    delivery = begin()
    capture(delivery, 1)
    monkeypatch.setattr(os, "pwrite", full)
    capture(delivery, 2)
    delivery.record_open(begun("ab" * 8))
    eventually(lambda: watch.called.get("log"))


def test_drops_are_reported_without_the_lock(begin: Begin, watch: Watch) -> None:
    """A full buffer, a refused event, a key that is not accepted, an event that cannot be encoded, a shutdown."""
    delivery = begin(REFUSED, UNAUTHORIZED, RETRY, max_events=2)
    capture(delivery, *range(5))
    delivery.capture(event({"n": type("Odd", (), {"__repr__": lambda _: 1 / 0})()}))
    delivery.flush(5)
    capture(delivery, 6)
    delivery.flush(0.1)
    delivery.close(0.1)
    capture(delivery, 7)
    assert {"encode", "send", "close", "log", "on_error"} <= {*watch.called}


def test_the_fallback_is_called_without_the_lock(begin: Begin, watch: Watch) -> None:
    """It is asked for its name, prepared, used, cut off, and closed; and the log says so."""
    fallback = Looking(watch, hang, OK)
    delivery = begin(RETRY, fallback=fallback, flush_interval=0.05, max_events=4)
    assert watch.called == {"destination": 2, "close": 2}
    delivery.ensure_sender()
    eventually(lambda: watch.called.get("prepare"))
    capture(delivery, 1)
    delivery.flush(0.2, last=True)
    assert fallback.cut.is_set()
    eventually(lambda: watch.called["prepare"] == 2)
    capture(delivery, 2)
    delivery.close(5)
    assert delivery.parked == 2
    assert fallback.closes > 0
    assert "log" in watch.called


def test_hanging_backend_is_aborted_without_the_lock(begin: Begin, watch: Watch) -> None:
    """What is under way is cut off, by a flush and at the end."""
    delivery = begin(hang, hang, OK, flush_interval=0.05)
    delivery.ensure_sender()
    eventually(lambda: watch.called.get("prepare"))
    capture(delivery, 1)
    delivery.flush(0.1)
    delivery.notify(FlushReport(), 5)
    capture(delivery, 2)
    delivery.flush_in_background(0.1)
    eventually(lambda: not delivery.pending)
    delivery.pause(0.1)
    assert {"start", "prepare", "cancel", "log", "on_flush"} <= {*watch.called}


def test_asynchronous_flush_ends_without_the_lock(begin: Begin, watch: Watch) -> None:
    """The callback at its end may belong to the user's event loop."""
    delivery = begin(OK, RETRY)
    over = threading.Event()

    def done() -> None:
        watch.look("done")
        over.set()

    delivery.begin_flush(5, done)()
    for number in range(4):
        over.clear()
        capture(delivery, number)
        end = delivery.begin_flush(5, done)
        if number:
            for _ in range(3):  # the third failure opens the breaker
                delivery.flush(0.2, probe=True)
        assert over.wait(5)
        end()
    assert watch.called["done"] >= 4


def test_leftovers_are_taken_over_without_the_lock(begin: Begin, watch: Watch, tmp_path: Path) -> None:
    """Events of dead processes are taken over, those that are too old given up."""
    dead = Journal(str(tmp_path / "journal"), "there", "other key", 1_000_000)
    dead.append_event(b"x" * 100)
    dead.release()
    (file,) = (tmp_path / "journal").iterdir()
    os.utime(file, (1, 1))
    delivery = begin()
    delivery.ensure_sender()
    eventually(lambda: not file.exists() and watch.called.get("log"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_fork_does_not_wait_for_a_lock_of_the_exporter() -> None:
    """A child is not kept waiting for it: nothing of the exporter's is called at the fork, but before it sends."""
    lock, inside, leave = threading.Lock(), threading.Event(), threading.Event()

    class Locked(Scripted):
        def send(self, batch: Sequence[bytes], timeout: float) -> Any:
            with lock:
                inside.set()
                assert leave.wait(20)
            return OK

        def close(self) -> None:
            with lock:
                super().close()

    exporter = Locked()
    delivery = Delivery(exporter, Settings(exporter=exporter, flush_timeout=1.0))
    capture(delivery, 1)
    flushing = in_thread(lambda: delivery.flush(10))
    assert inside.wait(5)
    child = os.fork()
    if child == 0:
        delivery.reset()
        capture(delivery, 2)
        os._exit(delivery.captured)
    ended: list[int] = []
    in_thread(lambda: ended.append(os.waitpid(child, 0)[1])).join(10)
    if not ended:
        os.kill(child, 9)
    leave.set()
    flushing.join(5)
    assert [os.waitstatus_to_exitcode(status) for status in ended] == [1]
    delivery.reset()
