"""A signal handler of the user's that raises an exception, as timeouts by SIGALRM do, may end any of our code in the
main thread: the exception reaches the user, no lock stays held, and every event is in the books."""

from __future__ import annotations

import dis
import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import zespan_serverless
from tests.delivery.support import (
    OK,
    RETRY,
    Scripted,
    assert_balanced,
    assert_sizes,
    buffer_of,
    capture,
    event,
    in_thread,
    lock_of,
)
from zespan_serverless import init, testing
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless._process.container import current
from zespan_serverless.exporters import Dropped
from zespan_serverless.settings import Settings

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no signals on this platform"),
    pytest.mark.loss,
]

ROOT = Path(__file__).parents[2]
POINTS_MAX = 400  # of one case
PACKAGE = str(Path(zespan_serverless.__file__).parent)


class Alarm(Exception):
    """What the user's handler raises."""


def on_alarm(number: int, frame: FrameType | None) -> None:
    raise Alarm


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, on_alarm)
    yield
    signal.signal(signal.SIGALRM, before)


@cache
def checked(code: CodeType) -> frozenset[int]:
    """Where in a function CPython looks for signals: after a call, at its beginning, and at the head of a loop."""
    places, previous = set(), ""
    for instruction in dis.get_instructions(code):
        if previous.startswith("CALL") or previous == "RESUME":
            places.add(instruction.offset)
        if instruction.opname.startswith("JUMP_BACKWARD"):
            places.add(instruction.argval)
        previous = instruction.opname
    return frozenset(places)


@cache
def entry(code: CodeType) -> int:
    """Where a function is after the look at its beginning."""
    instructions = iter(dis.get_instructions(code))
    next(one for one in instructions if one.opname == "RESUME")
    return next(instructions).offset


class Interrupted:
    """Runs code whose n-th look for signals, of those in our package, finds one."""

    def __init__(self, at: int) -> None:
        self.left, self.looks = at, 0

    def run(self, work: Callable[[], object]) -> BaseException | None:
        """Return what has come out of it."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            work()
        except BaseException as error:
            return error
        finally:
            sys.settrace(before)
        return None

    def _enter(self, frame: FrameType, event: str, arg: object) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE) or file.endswith("_guard.py"):  # which asks who has raised an exception
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "opcode" and frame.f_lasti in checked(frame.f_code):
            self.left -= 1
            self.looks += 1
            if self.left == 0:
                on_alarm(signal.SIGALRM, frame)
        return self._step


class Case:
    """Something that a main thread does with a delivery."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.exporter, self.fallback = Scripted(), Scripted(RETRY, OK)
        self.told: list[Dropped] = []
        given = Settings(exporter=self.exporter, flush_timeout=5.0, on_error=self.told.append, flush_interval=3600.0)
        journal = Journal(str(folder), "there", "key", 1_000_000) if settings.pop("journal", False) else None
        fallback = self.fallback if settings.pop("fallback", False) else None
        self.delivery = Delivery(self.exporter, given.replaced(**settings), journal, fallback=fallback)
        self.begun: list[int] = []
        self.returned: list[int] = []

    def capture(self, *numbers: int) -> None:
        for number in numbers:
            self.begun.append(number)
            capture(self.delivery, number)
            self.returned.append(number)


def captures(case: Case) -> None:
    case.capture(1, 2, 3)


def flushes(case: Case) -> None:
    case.capture(1, 2, 3)
    case.delivery.flush(5)


def fills_the_buffer(case: Case) -> None:
    case.capture(*range(1, 8))


def closes(case: Case) -> None:
    case.capture(1, 2)
    case.delivery.close(5)


def is_away(case: Case) -> None:
    case.exporter.from_now_on(RETRY, OK)
    case.capture(1, 2)
    case.delivery.flush(5)


def parks(case: Case) -> None:
    case.exporter.from_now_on(RETRY, OK)
    case.capture(1, 2, 3)
    case.delivery.flush(5, last=True)
    case.delivery.flush(5, last=True)


CASES: list[tuple[Callable[[Case], None], dict[str, Any], bool]] = [
    (captures, {}, True),
    (captures, {"journal": True}, True),
    (flushes, {}, True),
    (flushes, {"journal": True, "batch_size": 2}, False),
    (fills_the_buffer, {"max_events": 2, "batch_size": 2}, True),
    (closes, {}, True),
    (is_away, {}, False),
    (parks, {"fallback": True, "journal": True}, True),
    (parks, {"fallback": True}, False),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Exception ignored while closing generator")  # Python 3.14 says what was struck
@pytest.mark.parametrize(
    ("work", "settings", "threads"),
    CASES,
    ids=[f"{work.__name__}-{'-'.join(settings)}{'' if threads else '-alone'}" for work, settings, threads in CASES],
)
def test_interrupt_at_any_point_loses_no_event(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Case], None],
    settings: dict[str, Any],
    threads: bool,
) -> None:
    """Wherever it strikes: with a sender of its own, and where the main thread has to send, as no thread can be had."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("zespan-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    if not threads:
        monkeypatch.setattr(threading.Thread, "start", refuse)
    case, whole = Case(tmp_path / "whole", **settings), Interrupted(0)
    assert whole.run(lambda: work(case)) is None
    check(case, 0)
    assert whole.looks > 20
    for at in range(1, whole.looks + 1, 1 + whole.looks // POINTS_MAX):
        case = Case(tmp_path / str(at), **settings)
        error = Interrupted(at).run(lambda case=case: work(case))  # type: ignore[misc]
        assert isinstance(error, Alarm | None), (at, error)
        check(case, at)


def check(case: Case, at: int) -> None:
    delivery = case.delivery
    other = in_thread(lambda: capture(delivery, 100))
    other.join(5)
    assert not other.is_alive(), f"a lock is held after {at}"
    closed = delivery.closed
    assert delivery.flush(5, probe=True).pending == 0, at
    assert_balanced(delivery)
    with lock_of(delivery):
        assert_sizes(buffer_of(delivery), at)
    assert len(case.returned) <= delivery.captured - 1 <= len(case.begun), at
    arrived = {*case.exporter.delivered, *case.fallback.delivered}
    assert delivery.captured == len(arrived) + sum(delivery.dropped.values()), at
    if not delivery.dropped and not closed:
        assert {*case.returned, 100} <= arrived <= {*case.begun, 100}, at
    delivery.reset()


RANDOM = """
import random, signal, sys, threading, time
from tests.delivery.support import Scripted, capture, OK, RETRY
from zespan_serverless import init, testing
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless.settings import Settings

class Alarm(Exception): pass

def on_alarm(number, frame):
    raise Alarm

def interrupted():
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00005, 0.002))
            work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Alarm:
        return True
    return False

def work():
    global begun, returned
    for _ in range(100):
        begun += 1
        capture(delivery, begun)
        returned += 1
        if begun % 50 == 0:
            delivery.flush(0.01, probe=True)
        if begun % 70 == 0:
            delivery.flush_in_background(1.0)

chance = random.Random(int(sys.argv[2]))
exporter = Scripted(OK, RETRY, *[OK] * 50)
settings = Settings(exporter=exporter, flush_interval=0.05, max_events=50, batch_size=10)
delivery = Delivery(exporter, settings, Journal(sys.argv[1], "there", "key", 1_000_000))
begun = returned = struck = 0
signal.signal(signal.SIGALRM, on_alarm)
until = time.monotonic() + 4
while time.monotonic() < until:
    struck += interrupted()
other = threading.Thread(target=capture, args=(delivery, 0), daemon=True)
other.start()
other.join(5)
assert not other.is_alive(), "a lock is held"
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
report = delivery.flush(20, probe=True)
assert not report.pending, report
dropped = sum(delivery.dropped.values())
books = begun, returned, struck, delivery.captured - 1, delivery.delivered, delivery.pending, dropped
print(*books)
assert delivery.captured == delivery.delivered + delivery.pending + dropped, books
assert returned <= delivery.captured - 1 <= begun, books
assert struck > 100 and returned > 1000, books
"""


@pytest.mark.slow
def test_interrupts_at_random_keep_counters_balanced(tmp_path: Path) -> None:
    """Thousands of captures with a signal every millisecond: the books balance, and other threads can capture."""
    for seed in ("1", "2"):
        command = [sys.executable, "-c", RANDOM, str(tmp_path / seed), seed]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its sys.settrace reports the opcodes of every second run")
def test_a_signal_at_the_entry_of_a_function_that_takes_an_event() -> None:
    """Nothing of the function has run, but its caller has accounted for the event."""
    wanted = {"Delivery.capture", "Intake.item", "Intake.receive"}
    struck: set[str] = set()
    for _ in range(5):  # what the sender does meanwhile shifts the looks, so that one may be passed over
        if not wanted <= struck:
            struck |= _struck_at_the_entry()
    assert wanted <= struck


def _struck_at_the_entry() -> set[str]:
    """Strike each look during a capture. Returns the functions that were struck at their entry."""
    struck: set[str] = set()
    for at in itertools.count(2):  # 1 is the entry of `Container.capture`: the event is not accounted for yet
        testing.reset()
        init(exporter="memory", enabled=True)
        container = current()
        assert container is not None
        container.delivery.ensure_sender()
        interrupted = Interrupted(at)
        error = interrupted.run(partial(container.capture, partial(event, {"n": 1})))
        if error is None:
            break
        places: list[tuple[CodeType, int]] = []
        trace = error.__traceback__
        while trace is not None:
            if PACKAGE in trace.tb_frame.f_code.co_filename:
                places.append((trace.tb_frame.f_code, trace.tb_lasti))
            trace = trace.tb_next
        code, offset = places[-1]
        if offset <= entry(code):
            struck.add(code.co_qualname)
            assert container.delivery.captured == 1, code
    return struck
