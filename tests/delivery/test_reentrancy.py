"""Captures and flushes in the midst of our own work: finalizers run wherever the garbage collector comes round, signal
handlers wherever the main thread is, and user code called by the sender may fork."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.delivery.support import (
    OK,
    Gate,
    Make,
    Scripted,
    assert_balanced,
    balance,
    buffer_of,
    capture,
    eventually,
    in_thread,
    lock_of,
    pending_numbers,
    sender_of,
    wakeups_of,
)
from zespan_serverless._delivery import journal as _journal
from zespan_serverless._delivery import journal_format
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.settings import Settings

AWAY = Outcome("retry", "made up", 60)


class Abandoned:
    """The user's generator without references, which only the garbage collector finds."""

    def __init__(self, finalize: Callable[[], object]) -> None:
        self.finalize, self.itself = finalize, self

    def __del__(self) -> None:
        self.finalize()


def collected(finalize: Callable[[], object], inside: Callable[..., Any]) -> Callable[..., Any]:
    """`inside`, in the midst of which the garbage collector comes round, once."""
    armed = [True]

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        result = inside(*args, **kwargs)
        if armed:
            armed.clear()
            Abandoned(finalize)
            gc.collect()
        return result

    return interrupted


@pytest.fixture
def journaled(tmp_path: Path) -> Callable[[], tuple[Delivery, Any]]:
    """A delivery with a journal and a backend that is unavailable, and that journal."""

    def begin() -> tuple[Delivery, Any]:
        exporter = Scripted(AWAY)
        settings = Settings(exporter=exporter, max_events=100_000, batch_size=1)
        journal = _journal.Journal(str(tmp_path / "journal"), "there", "zsp_key", 1_000_000)
        return Delivery(exporter, settings, journal), journal

    return begin


def on_disk(journal: Any) -> list[int]:
    """Return what the next process would find: the numbers of the events that are not settled."""
    data = Path(journal._file.path).read_bytes()
    offset = journal_format.settled_before(journal_format.HEADER.unpack_from(data)[2])
    left = journal_format.parse_records(data, offset, 0.0, cut=False)
    assert left.broken == 0
    return [json.loads(event)["n"] for event in left.events]


@pytest.mark.skipif(sys.platform == "win32", reason="no journal")
@pytest.mark.parametrize("method", ["append_event", "_created"])
def test_a_capture_while_the_journal_is_written(journaled: Callable[[], tuple[Delivery, Any]], method: str) -> None:
    """Both events are on disk, whole, in the order in which they wait; and no file of the user's is closed."""
    delivery, journal = journaled()
    capture(delivery, 0)
    delivery.flush(0.2)
    theirs: list[Any] = []

    def finalize() -> None:
        capture(delivery, 100)
        theirs.append(Path(__file__).open())  # noqa: SIM115

    setattr(journal, method, collected(finalize, getattr(journal, method)))
    journal._limit = 100  # so that it is written anew
    capture(delivery, 1, 2, 3)
    delivery.flush(0.2)
    assert delivery.pending == 5
    assert on_disk(journal) == pending_numbers(delivery)
    assert theirs[0].readline()
    theirs[0].close()
    delivery.reset()


def item_number(item: Any) -> int:
    number: int = json.loads(item.data)["n"]
    return number


@pytest.mark.skipif(sys.platform == "win32", reason="no journal")
def test_captures_by_finalizers_reach_the_journal_once(journaled: Callable[[], tuple[Delivery, Any]]) -> None:
    """Whenever the garbage collector runs, every event is on disk once."""
    delivery, journal = journaled()
    threshold, count = gc.get_threshold(), 0

    def finalize() -> None:
        nonlocal count
        count += 1
        capture(delivery, -count)

    gc.set_threshold(5)
    try:
        for n in range(1500):
            Abandoned(finalize)
            capture(delivery, n)
            if n % 100 == 0:
                journal._limit = journal.size // 2
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    capture(delivery, 1500)
    assert count > 1000
    assert delivery.pending == 1501 + count
    assert sorted(on_disk(journal)) == sorted([*range(1501), *range(-count, 0)])
    delivery.reset()


def test_a_finalizer_that_flushes_in_the_senders_thread(make: Make) -> None:
    """It does not wait for itself, and no other flush waits for it."""
    delivery, reports = make(Scripted()), []

    def finalize() -> None:
        capture(delivery, 2)
        reports.append(delivery.flush(3))

    worker = sender_of(delivery)
    setattr(worker, "_next_job", collected(finalize, worker._next_job))  # noqa: B010
    capture(delivery, 1)
    assert delivery.flush(2).pending == 0
    eventually(lambda: reports)
    assert reports[0].reason in ("", "stuck")
    assert reports[0].elapsed < 1


def test_shutdown_in_a_signal_handler_during_our_work_returns_stuck(make: Make) -> None:
    """The report says that the delivery cannot be closed at this moment."""
    delivery = make(Scripted())
    capture(delivery, 1)
    with lock_of(delivery):
        capture(delivery, 2)
        assert delivery.close(5).reason == "stuck"
    assert delivery.flush(5).delivered == 2
    assert_balanced(delivery)


def test_flush_continues_with_a_new_sender_after_a_pause(make: Make) -> None:
    """A flush goes on with another sender, at once."""
    gate, reports = Gate(), []
    delivery = make(Scripted(gate, OK), flush_interval=30.0)
    capture(delivery, 1)
    waiting = in_thread(lambda: reports.append(delivery.flush(20)))
    assert gate.entered.acquire(timeout=5)
    delivery.pause(0.1)
    waiting.join(5)
    assert reports
    assert reports[0].delivered == 1
    gate.open.set()


def test_full_buffer_does_not_wake_the_sender(make: Make) -> None:
    """While the backend is unreachable, an event costs no more than itself."""
    delivery = make(Scripted(AWAY), max_events=10, batch_size=1)
    capture(delivery, *range(20))
    delivery.flush(0.5)
    with mock.patch.object(wakeups_of(delivery), "notify_all", wraps=wakeups_of(delivery).notify_all) as notified:
        capture(delivery, *range(500))
    assert notified.call_count == 0
    assert balance(delivery) == (520, 0, 10, 510)


def test_asynchronous_flush_ends_after_an_error_of_our_own(make: Make) -> None:
    """It ends as it does when the backend fails."""
    delivery, done = make(Scripted()), threading.Event()
    with mock.patch.object(buffer_of(delivery), "next_batch", side_effect=RuntimeError("ours")):
        capture(delivery, 1)
        end = delivery.begin_flush(20, done.set)
        assert done.wait(5)
    assert end().reason == "breaker_open"
    assert delivery.flush(5, probe=True).delivered == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_that_on_error_forks_has_one_sender() -> None:
    """The thread that has forked, and is the sender's copy, ends with that."""
    said, say = os.pipe()
    at_once = [0, 0]

    def send(exporter: Scripted, numbers: list[int]) -> Outcome:
        at_once[0] += 1
        at_once[1] = max(at_once)
        time.sleep(0.05)
        at_once[0] -= 1
        return Outcome("unauthorized" if numbers == [-1] else "delivered")

    def on_error(drop: Dropped) -> None:
        if os.fork() == 0:
            delivery.reset()
            threading.Thread(target=child, daemon=True).start()
            threading.Timer(10, os._exit, (1,)).start()

    def child() -> None:
        for number in range(10):
            capture(delivery, number)
            delivery.flush(2)
        os.write(say, f"{delivery.delivered} {at_once[1]}".encode())
        os._exit(0)

    exporter = Scripted(send)
    delivery = Delivery(exporter, Settings(exporter=exporter, on_error=on_error))
    capture(delivery, -1)
    delivery.flush(5)
    os.close(say)
    assert os.read(said, 100) == b"10 1"
    os.close(said)
    delivery.reset()
