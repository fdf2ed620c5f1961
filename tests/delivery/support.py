"""Exporters that do as they are told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._record.event import encode
from zespan_serverless.exporters import Outcome

Step = Outcome | BaseException | Callable[["Scripted", list[int]], Outcome]

OK = Outcome("delivered")
RETRY = Outcome("retry", "made up")
REFUSED = Outcome("refused", "HTTP 400")
UNAUTHORIZED = Outcome("unauthorized", "HTTP 401")


class Scripted:
    """Each `send` takes the next step of the script, and the last one from then on. Events are {"n": a number}."""

    def __init__(self, *script: Step) -> None:
        self._script: list[Step] = list(script) or [OK]
        self.batches: list[list[int]] = []  # as tried
        self.delivered: list[int] = []
        self.threads: set[threading.Thread] = set()
        self.timeouts: list[float] = []
        self.cancels = self.closes = 0
        self.cut = threading.Event()  # set by cancel

    def encode(self, event: Mapping[str, Any]) -> bytes:
        return encode(event)

    def send(self, batch: Sequence[bytes], timeout: float) -> Any:
        numbers = [json.loads(data)["n"] for data in batch]
        self.batches.append(numbers)
        self.threads.add(threading.current_thread())
        self.timeouts.append(timeout)
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(step, BaseException):
            raise step
        outcome: Any = step if isinstance(step, Outcome) else step(self, numbers)
        if isinstance(outcome, Outcome) and outcome.verdict == "delivered":
            self.delivered += numbers
        return outcome  # or whatever else the script says

    def from_now_on(self, *script: Step) -> None:
        self._script[:] = script

    def cancel(self) -> None:
        self.cancels += 1
        self.cut.set()

    def close(self) -> None:
        self.closes += 1


def hang(exporter: Scripted, numbers: list[int]) -> Outcome:
    """Until it is cut off, as a socket does."""
    exporter.cut.clear()
    assert exporter.cut.wait(10)
    raise ConnectionError("cut off")


class Gate:
    """A step that waits until it is opened, whatever anybody cancels: a name that does not resolve."""

    def __init__(self, outcome: Outcome = OK) -> None:
        self.outcome = outcome
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self, exporter: Scripted, numbers: list[int]) -> Outcome:
        self.entered.release()
        assert self.open.wait(10)
        return self.outcome


def capture(delivery: Delivery, *numbers: int) -> None:
    for number in numbers:
        delivery.capture({"n": number})


def balance(delivery: Delivery) -> tuple[int, int, int, int]:
    """(captured, delivered, pending, dropped) at one moment."""
    with delivery._lock:
        return delivery.captured, delivery.delivered, delivery.pending, sum(delivery.dropped.values())


def assert_balanced(delivery: Delivery) -> None:
    captured, *parts = balance(delivery)
    assert captured == sum(parts), parts


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for what another thread is about to do."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not happen"
        time.sleep(0.002)


def when(condition: Callable[[], object], then: Callable[[], object]) -> threading.Thread:
    """Do something as soon as something else has happened."""

    def work() -> None:
        eventually(condition)
        then()

    return in_thread(work)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
