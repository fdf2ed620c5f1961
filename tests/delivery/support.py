"""Exporters that do as they are told, and the only look into a delivery: what it is made of is named here alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest import mock

import pytest

from zespan_serverless._delivery import (
    accounts,
    background,
    delivery,
    flushing,
    intake,
    parking,
    sending,
    waiters,
    worker,
)
from zespan_serverless._delivery.accounts import Accounts
from zespan_serverless._delivery.breaker import Breaker
from zespan_serverless._delivery.buffer import Buffer
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless._delivery.notices import Notices
from zespan_serverless._delivery.several import Several
from zespan_serverless._delivery.worker import Wakeups, Worker
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._record.values import encode
from zespan_serverless._trace import Span
from zespan_serverless.exporters import Outcome
from zespan_serverless.settings import Settings

Step = Outcome | BaseException | Callable[["Scripted", list[int]], Outcome]
Make = Callable[..., Delivery]

OK = Outcome("delivered")
RETRY = Outcome("retry", "made up")
REFUSED = Outcome("refused", "HTTP 400")
UNAUTHORIZED = Outcome("unauthorized", "HTTP 401")
PARTLY = Outcome("delivered", "too old", rejected=2)


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

    def encode(self, record: Record) -> bytes:
        return encode(record.fields)

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
            rejected = outcome.rejected if type(outcome.rejected) is int else 0
            self.delivered += numbers[: max(len(numbers) - rejected, 0)]
        return outcome  # or whatever else the script says

    def from_now_on(self, *script: Step) -> None:
        self._script[:] = script

    def cancel(self) -> None:
        self.cancels += 1
        self.cut.set()

    def close(self) -> None:
        self.closes += 1


class Picky(Scripted):
    """Cannot encode everything."""

    def encode(self, record: Any) -> bytes:
        if record.fields["n"] == -1:
            raise ValueError("odd")
        return super().encode(record)


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


def event(fields: Mapping[str, Any]) -> Record:
    """Return a record with these fields. `Scripted` sends nothing else of it."""
    record = Record(
        Span("t", name if isinstance(name := fields.get("span_id"), str) else ""), Resource(Settings()), "general", "x"
    )
    record.fields = fields
    return record


def begun(span_id: str) -> Record:
    """Return the record of a span that begins, of the trace "t"."""
    return event({"span_id": span_id})


def capture(delivery: Delivery | Several, *numbers: int) -> None:
    for number in numbers:
        delivery.capture(event({"n": number}))


def balance(delivery: Delivery) -> tuple[int, int, int, int]:
    """(captured, delivered or parked, pending, dropped) at one moment."""
    with lock_of(delivery):
        settled = delivery.delivered + delivery.parked
        return delivery.captured, settled, delivery.pending, sum(delivery.dropped.values())


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


# ---------------------------------------------------------------------- the look inside

LOOK_AT_THE_CLOCK = [
    accounts,
    background,
    flushing,
    intake,
    parking,
    sending,
    waiters,
]  # modules that schedule by `time`
WAIT = [delivery, accounts, background, flushing, intake, sending, waiters, worker]  # modules that wait for a deadline


def accounts_of(delivery: Delivery | Several) -> Accounts:
    """Return what is counted for one destination."""
    assert isinstance(delivery, Delivery)
    return delivery._accounts


def lock_of(delivery: Delivery | Several) -> threading.RLock:
    return accounts_of(delivery).lock


def sender_of(delivery: Delivery | Several) -> Worker:
    """Return the thread that sends, its job, and those that hang."""
    return accounts_of(delivery).worker


def pending_flushes(delivery: Delivery | Several) -> int:
    """Flushes that a thread waits for."""
    return len(accounts_of(delivery).waiters)


def buffer_of(delivery: Delivery) -> Buffer:
    return accounts_of(delivery).buffer


def breaker_of(delivery: Delivery) -> Breaker:
    return accounts_of(delivery).breaker


def notices_of(delivery: Delivery | Several) -> Notices:
    return accounts_of(delivery).notices


def wakeups_of(delivery: Delivery) -> Wakeups:
    return accounts_of(delivery).wakeups


def open_spans(delivery: Delivery | Several) -> dict[str, Record]:
    """Return what is known of spans under way."""
    return accounts_of(delivery).open_spans


def intake_bytes(delivery: Delivery) -> int:
    """Return bytes of the events that have been captured while the lock was held."""
    return sum(item.size for item in accounts_of(delivery).intake)


def journal_of(delivery: Delivery) -> Journal:
    journal = accounts_of(delivery).journal
    assert journal is not None
    return journal


def without_journal(delivery: Delivery) -> Journal:
    """Take its journal from it."""
    taken, accounts_of(delivery).journal = journal_of(delivery), None
    return taken


def retry_now(delivery: Delivery) -> None:
    """End the pause after a failure."""
    accounts_of(delivery).retry_at = 0.0


def part(delivery: Delivery, name: str) -> Any:
    """Return the part that something is to go wrong in."""
    return {
        "breaker": accounts_of(delivery).breaker,
        "waiters": accounts_of(delivery).waiters,
        "buffer": accounts_of(delivery).buffer,
        "notices": accounts_of(delivery).notices,
    }[name]


def is_idle(delivery: Delivery) -> bool:
    """Whether the sender has no job."""
    return sender_of(delivery).job is None


def pauses(seconds: float) -> mock._patch[mock.Mock]:
    """Return a patch: the pause after a failure, in seconds."""
    return mock.patch.object(sending, "backoff", mock.Mock(return_value=seconds))


def mark_closed(delivery: Delivery) -> None:
    """As `close` does, and no more than that."""
    accounts_of(delivery).closed = True


def before_notices_of_close(delivery: Delivery, then: Callable[[], object]) -> mock._patch[Any]:
    """A patch: do this once, when `close` has dropped events in the calling thread and has not reported it yet."""
    caller, release = threading.get_ident(), Accounts.after_release
    todo = [then]

    def after_release(these: Accounts) -> None:
        release(these)
        if these is accounts_of(delivery) and these.dropped["closed"] and todo and threading.get_ident() == caller:
            todo.pop()()

    return mock.patch.object(Accounts, "after_release", after_release)


def assert_sizes(buffer: Buffer, case: object = None) -> None:
    """What the buffer knows of its size is right."""
    assert buffer._bytes == sum(item.size for item in buffer._waiting), case
    assert buffer._slow_bytes == sum(item.size for item in buffer._slow), case


def pending_numbers(delivery: Delivery) -> list[int]:
    """Return the numbers of pending events, in their order."""
    with lock_of(delivery):
        return [json.loads(item.data)["n"] for item in buffer_of(delivery)._items()]


def away(make: Callable[..., Delivery], **settings: Any) -> tuple[Delivery, Scripted, Scripted]:
    """Return a delivery whose breaker is open, its backend, and its fallback."""
    backend, fallback = Scripted(RETRY), Scripted()
    delivery = make(backend, fallback=fallback, **settings)
    capture(delivery, 0)
    while not breaker_of(delivery).is_open:
        delivery.flush(5)
    return delivery, backend, fallback


MADE_UP = OSError("connection refused")
WAYS_TO_FAIL = [pytest.param(MADE_UP, id="refuses"), pytest.param(RETRY, id="500"), pytest.param(hang, id="hangs")]
