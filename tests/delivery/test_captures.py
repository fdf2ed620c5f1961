"""Captures at odd moments, and of events that cannot be encoded."""

from __future__ import annotations

import contextlib
import gc
import itertools
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
    Gate,
    Make,
    Scripted,
    assert_balanced,
    assert_sizes,
    balance,
    buffer_of,
    capture,
    event,
    eventually,
    in_thread,
    is_idle,
    lock_of,
)
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless.exporters import Dropped


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
