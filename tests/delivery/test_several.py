"""Several destinations: every event goes to each, and what goes wrong at one is of no concern to the others."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.delivery.support import (
    OK,
    REFUSED,
    RETRY,
    UNAUTHORIZED,
    Gate,
    Scripted,
    assert_balanced,
    event,
    eventually,
    hang,
    open_spans,
    pauses,
    pending_flushes,
    sender_of,
    when,
    without_journal,
)
from tests.delivery.test_interrupts import Alarm, Interrupted, on_alarm
from zespan_serverless import FlushReport
from zespan_serverless._delivery.aio import flush_async
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless._delivery.several import Several, _SharedWakeup
from zespan_serverless._delivery.worker import Wakeups
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.settings import Settings

Make = Callable[..., Several]
LONG = 30.0  # seconds of a flush that is not to use them


@pytest.fixture
def make() -> Iterator[Make]:
    """make(*exporters, **settings): deliveries called "0", "1" and so on; each balances when the test is over."""
    made: list[Several] = []

    def make(*exporters: Any, **given: Any) -> Several:
        own = Settings(flush_timeout=5.0).replaced(**given)
        made.append(Several([Delivery(one, own, None, str(n)) for n, one in enumerate(exporters)], debug=own.debug))
        return made[-1]

    yield make
    for several in made:
        for one in several.deliveries:
            assert_balanced(one)
        several.reset()


def outcomes(report: FlushReport) -> list[tuple[str, int, int, int, str]]:
    """(destination, delivered, dropped, pending, reason) of each."""
    return [(one.destination, one.delivered, one.dropped, one.pending, one.reason) for one in report.destinations]


def feed(several: Several, *numbers: int) -> None:
    for number in numbers:
        several.capture(event({"n": number}))


def test_it_has_the_methods_of_a_delivery() -> None:
    """`Several` has the interface of a delivery, except for what serves its parts only."""
    inner = {"flushing", "close_after", "stop_threads", "leave", "wait_for_reports"}
    public = {name: getattr(Delivery, name) for name in vars(Delivery) if not name.startswith("_")}
    for name, theirs in public.items():
        if name not in inner:
            ours = inspect.getattr_static(Several, name)
            assert isinstance(ours, property) == isinstance(theirs, property), name
            if not isinstance(ours, property):
                assert inspect.signature(ours) == inspect.signature(theirs), name


def test_every_event_goes_to_each_destination(make: Make) -> None:
    """Each encodes it by itself. In the sums an event counts once for each destination."""
    exporters = [Scripted(), Scripted(), Scripted()]
    several = make(*exporters)
    feed(several, 1, 2)
    report = several.flush(LONG)
    assert [exporter.delivered for exporter in exporters] == [[1, 2]] * 3
    assert outcomes(report) == [(name, 2, 0, 0, "") for name in "012"]
    assert (report.delivered, report.dropped, report.pending, report.reason) == (6, 0, 0, "")
    assert (several.captured, several.delivered, several.pending, several.lost) == (6, 6, 0, 0)
    assert report.destination == ""


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("step", "end"),
    [
        (hang, (0, 0, 3, "deadline")),
        (RETRY, (0, 0, 3, "breaker_open")),
        (Outcome("retry", "HTTP 429", 60.0), (0, 0, 3, "retry_after")),
        (REFUSED, (0, 3, 0, "")),
        (UNAUTHORIZED, (0, 3, 0, "")),
        (ValueError("a mistake in an exporter"), (0, 0, 3, "breaker_open")),
    ],
    ids=["hang", "retry", "429", "refused", "unauthorized", "raises"],
)
@pauses(0.0)
def test_trouble_at_one_does_not_concern_the_other(make: Make, place: int, step: Any, end: tuple[Any, ...]) -> None:
    """The other gets every event, in the same flush, whatever the one does with it."""
    bad, good = Scripted(step), Scripted()
    several = make(*([bad, good] if place == 0 else [good, bad]), batch_size=2)
    feed(several, 1, 2, 3)
    report = several.flush(1.0)
    while report.destinations[place].reason not in (end[-1], "deadline"):  # three failures open the breaker
        report = several.flush(1.0)
    assert good.delivered == [1, 2, 3]
    one, other = several.deliveries[place], several.deliveries[1 - place]
    assert (one.delivered, one.lost, one.pending) == end[:3]
    assert (other.delivered, other.lost, other.pending) == (3, 0, 0)
    assert [report.destinations[place].reason, report.destinations[1 - place].reason] == [report.reason, ""]


@pytest.mark.slow
def test_all_that_hang_do_so_at_the_same_time(make: Make) -> None:
    """A flush takes the time of one, however many use it up; the one that works is done long before."""
    good = Scripted()
    several = make(*(Scripted(hang) for _ in range(7)), good)
    feed(several, 1)
    began = time.monotonic()
    report = several.flush(1.0)
    assert time.monotonic() - began < 4  # seconds; 7 one after the other
    assert [one.reason for one in report.destinations] == ["deadline"] * 7 + [""]
    assert report.destinations[-1].elapsed < min(one.elapsed for one in report.destinations[:-1])
    assert good.delivered == [1]


def test_senders_that_cannot_be_interrupted_are_abandoned_together(make: Make) -> None:
    """Neither of two that hang in name resolution keeps the flush, and both send later."""
    gates = [Gate(), Gate()]
    exporters = [Scripted(gate, OK) for gate in gates]
    several = make(*exporters)
    feed(several, 1)
    assert [one.pending for one in several.flush(0.3).destinations] == [1, 1]
    report = several.flush(LONG, probe=True)
    assert outcomes(report) == [("0", 1, 0, 0, ""), ("1", 1, 0, 0, "")]
    for gate in gates:
        gate.open.set()


@pytest.mark.slow
def test_senders_that_leave_no_time_to_park_are_abandoned_together() -> None:
    """One after the other, most destinations would have no time left for their fallback."""
    gate, count = Gate(), 24
    several = Several([Delivery(Scripted(gate), Settings(), None, str(n), Scripted()) for n in range(count)])
    feed(several, 1)
    assert several.flush(2.0, probe=True, last=True).parked == count
    gate.open.set()
    eventually(lambda: not any(sender_of(one).stuck for one in several.deliveries))
    several.reset()


def test_a_change_between_two_registrations_is_not_forgotten() -> None:
    """One delivery may tell of a change before the next one has the wakeup, or at the same moment as the next one."""
    wakeup, first, second = _SharedWakeup(), Wakeups(), Wakeups()
    wakeup.arm()
    first.register(wakeup)  # type: ignore[arg-type]
    first.notify_all()
    second.register(wakeup)  # type: ignore[arg-type]
    assert wakeup.wait(0)
    assert not wakeup.wait(0)
    second.notify_all()
    wakeup.release()
    assert wakeup.wait(0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@mock.patch.object(threading, "excepthook", mock.Mock())
def test_what_a_flush_does_for_one_does_not_wait_for_another(make: Make) -> None:
    """The thread that waits also starts a sender anew that has ended: at once, while another destination hangs."""
    dying = Scripted(SystemExit("in an exporter"), OK)
    several = make(Scripted(hang), dying, flush_interval=3600.0)
    feed(several, 1)
    assert [one.pending for one in several.flush(3.0).destinations] == [1, 0]
    assert dying.delivered == [1]


def test_no_wakeup_is_forgotten(make: Make) -> None:
    """Whichever of them is done first, and at whatever moment, the flush goes on at once."""
    several = make(*(Scripted() for _ in range(4)))
    for number in range(300):
        feed(several, number)
        report = several.flush(LONG)
        assert report.pending == 0
        assert report.elapsed < LONG / 2


def test_drops_are_reported_by_destination(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """`on_error` gets its name, and so do the line in the log, and the fields of logs in JSON."""
    told: list[Dropped] = []
    several = make(Scripted(), Scripted(REFUSED), on_error=told.append)
    with caplog.at_level(logging.WARNING, "zespan_serverless"):
        feed(several, 1)
        assert several.flush(LONG).dropped == 1
    (one,) = told
    assert (one.destination, one.reason, one.events, one.payloads) == ("1", "refused", 1, (b'{"n":1}',))
    assert several.dropped == {"refused": 1}
    (line,) = caplog.records
    assert "zespan-serverless: 1: telemetry events are being dropped: refused" in line.getMessage()
    assert getattr(line, "destination", "") == "1"


def test_debug_logs_one_line_for_all(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """It has the report of each destination; of one destination's report the name is shown, and nothing empty."""
    several = make(Scripted(), Scripted(), debug=True)
    with caplog.at_level(logging.WARNING, "zespan_serverless"):
        several.flush(LONG)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.count("FlushReport") == 3
    assert "destination='1'" in line
    assert "destination" not in repr(FlushReport(1))


# ---------------------------------------------------------------------- what is told of a flush


def test_on_flush_is_called_once_with_the_sums(make: Make) -> None:
    """One report for each flush, with those of the destinations, also if the first of them hangs at that time."""
    told: list[FlushReport] = []
    several = make(Scripted(hang), Scripted(), on_flush=told.append)
    feed(several, 1)
    report = several.flush(0.5)
    several.notify(report, LONG)
    assert told == [report]
    assert [one.pending for one in report.destinations] == [1, 0]


def test_in_the_background_each_is_flushed_by_itself(make: Make) -> None:
    """One that hangs does not delay what the other gets next; reports have the name of their destination."""
    told: list[FlushReport] = []
    bad, good = Scripted(hang), Scripted()
    several = make(bad, good, on_flush=told.append, flush_timeout=60.0)
    for number in range(3):
        feed(several, number)
        several.flush_in_background(60.0)
        eventually(lambda number=number: good.delivered == [*range(number + 1)])  # type: ignore[misc]
    eventually(lambda: len(told) >= 3)
    assert {one.destination for one in told} == {"1"}
    assert sum(one.delivered for one in told) == 3


def on_asyncio(several: Several, budget: float) -> object:
    return asyncio.run(flush_async(several, budget))


def on_trio(several: Several, budget: float) -> object:
    return trio.run(partial(flush_async, several, budget))


every_loop = pytest.mark.parametrize("run", [on_asyncio, on_trio])


@every_loop
def test_awaited_flush_ends_when_all_are_done(make: Make, run: Callable[[Several, float], object]) -> None:
    """No sooner and no later, and on_flush gets one report."""
    gate, told = Gate(), list[FlushReport]()
    several = make(Scripted(), Scripted(gate), on_flush=told.append)
    feed(several, 1)
    when(lambda: several.deliveries[0].delivered == 1 and gate.entered.acquire(blocking=False), gate.open.set)
    run(several, LONG)
    eventually(lambda: [outcomes(report) for report in told] == [[("0", 1, 0, 0, ""), ("1", 1, 0, 0, "")]])
    assert not any(pending_flushes(one) for one in several.deliveries)


@every_loop
def test_awaited_flush_leaves_the_one_that_hangs(make: Make, run: Callable[[Several, float], object]) -> None:
    """At its deadline, with what the other has delivered meanwhile."""
    told: list[FlushReport] = []
    good = Scripted()
    several = make(Scripted(hang, OK), good, on_flush=told.append)
    feed(several, 1)
    run(several, 0.5)
    eventually(lambda: told)
    assert outcomes(told[0]) == [("0", 0, 0, 1, "deadline"), ("1", 1, 0, 0, "")]
    assert good.delivered == [1]
    assert several.flush(LONG, probe=True).pending == 0


def test_flush_in_a_callback_waits_for_the_others_only(make: Make) -> None:
    """`on_error` runs in a sender, which cannot wait for itself; what the other destination has to send is sent."""
    inside: list[FlushReport] = []

    def on_error(dropped: Dropped) -> None:
        feed(several, 2)
        inside.append(several.flush(LONG))

    good = Scripted()
    several = make(Scripted(REFUSED, OK), good, on_error=on_error)
    feed(several, 1)
    several.flush(LONG)
    (report,) = inside
    assert [one.reason for one in report.destinations] == ["stuck", ""]
    assert good.delivered == [1, 2]


# ---------------------------------------------------------------------- without threads, with signals, forks


def test_without_threads_the_caller_sends_to_all(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started the flush sends by itself, to each."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    exporters = [Scripted(), Scripted(RETRY, OK), Scripted(REFUSED)]
    several = make(*exporters)
    with pauses(0.0):
        feed(several, 1, 2)
        report = several.flush(LONG)
    assert [exporter.delivered for exporter in exporters] == [[1, 2], [1, 2], []]
    assert outcomes(report) == [("0", 2, 0, 0, ""), ("1", 2, 0, 0, ""), ("2", 0, 2, 0, "")]
    assert {thread for exporter in exporters for thread in exporter.threads} == {threading.current_thread()}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no signals on this platform")
def test_a_signal_that_raises_loses_no_event_at_any_destination(make: Make) -> None:
    """Wherever it strikes: what has been captured is at each destination, and no lock is held."""

    def work(several: Several, begun: list[int], returned: list[int]) -> None:
        for number in (1, 2):
            begun.append(number)
            feed(several, number)
            returned.append(number)
        several.flush(LONG)

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        for at in itertools.count(1, 7):
            exporters, begun, returned = [Scripted(), Scripted(), Scripted()], list[int](), list[int]()
            several = make(*exporters, flush_interval=3600.0)
            interrupted = Interrupted(at)
            error = interrupted.run(partial(work, several, begun, returned))
            assert isinstance(error, Alarm | None), error
            feed(several, 100)
            assert several.flush(LONG, probe=True).pending == 0, at
            for exporter in exporters:
                assert {*returned, 100} <= set(exporter.delivered) <= {*begun, 100}, at
            for one in several.deliveries:
                assert_balanced(one)
            several.reset()
            if interrupted.looks < at:
                break
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_signal_at_a_method_s_entry_does_not_lose_the_event_at_one_destination(make: Make) -> None:
    """Wherever a signal strikes while an event is captured, all destinations have the event, or none has."""
    at, counts, before = 0, set[int](), signal.signal(signal.SIGALRM, on_alarm)
    try:
        for at in itertools.count(1):
            exporters = [Scripted(), Scripted(), Scripted()]
            several = make(*exporters, flush_interval=3600.0)
            several.ensure_sender()
            interrupted = Interrupted(at)
            interrupted.run(partial(several.capture, event({"n": 1})))
            counts = {one.captured for one in several.deliveries}
            several.reset()
            assert len(counts) == 1, at
            if interrupted.looks < at:
                break
    finally:
        signal.signal(signal.SIGALRM, before)
    assert at > 10
    assert counts == {1}


def test_an_exception_at_one_is_raised_when_all_have_the_event(make: Make) -> None:
    """A signal handler's exception reaches the user, and every destination has the event by then."""
    several = make(Scripted(), Scripted(), Scripted())
    first = several.deliveries[0]

    def strike(*_: object) -> None:
        Delivery.capture(first, event({"n": 1}))
        raise Alarm

    struck: list[object] = []

    def method(one: Delivery, record: object) -> None:
        strike() if one is first else struck.append(one)

    with pytest.raises(Alarm):
        several._each(method, event({"n": 1}))
    assert struck == [*several.deliveries[1:]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_sends_its_own_events_to_each(make: Make) -> None:
    """What the parent has not sent stays the parent's."""
    exporters = [Scripted(RETRY), Scripted(RETRY)]
    several = make(*exporters, flush_interval=3600.0)
    feed(several, 1)
    several.flush(0.05)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            several.reset()
            for exporter in exporters:
                exporter.from_now_on(OK)
            feed(several, 2)
            several.flush(LONG)
            os.write(writing, json.dumps([exporter.delivered for exporter in exporters]).encode())
        finally:
            os._exit(0)
    assert json.loads(os.read(reading, 100)) == [[2], [2]]
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    for exporter in exporters:
        exporter.from_now_on(OK)
    assert several.flush(LONG, probe=True).pending == 0
    assert [exporter.delivered for exporter in exporters] == [[1], [1]]


# ---------------------------------------------------------------------- ends


def test_close_drops_what_one_could_not_have(make: Make) -> None:
    """The other has everything; both accept nothing more, and the report has both."""
    told: list[Dropped] = []
    bad, good = Scripted(hang), Scripted()
    several = make(bad, good, on_error=told.append)
    feed(several, 1, 2)
    assert not several.closed
    report = several.close(0.5)
    assert outcomes(report) == [("0", 0, 2, 0, ""), ("1", 2, 0, 0, "")]
    assert several.closed
    feed(several, 3)
    assert [(one.destination, one.reason, one.events) for one in told] == [
        ("0", "closed", 2),
        ("0", "closed", 1),
        ("1", "closed", 1),
    ]
    assert several.lost == 4


def test_at_exit_each_keeps_in_its_journal_what_it_has_left(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What one has delivered is in no journal, what the other has not stays in its own."""
    own = Settings(flush_timeout=5.0)
    bad, good = Scripted(hang), Scripted()

    def journal(name: str) -> Journal:
        return Journal(str(tmp_path / "journal"), name, "key", 1_000_000)

    several = Several([Delivery(one, own, journal(name), name) for one, name in ((bad, "bad"), (good, "good"))])
    assert several.has_journal
    feed(several, 1, 2)
    with caplog.at_level(logging.WARNING, "zespan_serverless"):
        several.close_at_exit(0.5)
    assert "bad: 2 telemetry events stay in the journal" in caplog.text
    assert "good:" not in caplog.text
    for one in several.deliveries:
        without_journal(one).release()  # as the end of the process does
    heirs = [Scripted(), Scripted()]
    next_one = Several(
        [Delivery(one, own, journal(name), name) for one, name in zip(heirs, ("bad", "good"), strict=True)]
    )
    next_one.ensure_sender()
    eventually(lambda: next_one.deliveries[0].captured == 2)
    assert next_one.flush(LONG).pending == 0
    assert [heir.delivered for heir in heirs] == [[1, 2], []]
    several.reset()
    next_one.reset()


def test_spans_under_way_are_known_to_each(make: Make) -> None:
    """Their begin is told once, whichever of the destinations knows it; an end without an event is known to all."""
    several = make(Scripted(), Scripted())
    for span in ("01", "02"):
        several.record_open(event({"span_id": span}))
    assert [record.span_id for record in several.mark_deadline("t", {"noted": 1.0})] == ["01", "02"]
    several.forget_open("01")
    assert [[*open_spans(one)] for one in several.deliveries] == [["02"], ["02"]]
    several.drop_unencodable("made up", "02")
    assert several.dropped == {"unencodable": 2}
    assert not any(open_spans(one) for one in several.deliveries)


def test_pause_leaves_no_thread_and_the_next_event_is_sent(make: Make) -> None:
    """Before a snapshot each gives up its threads, and begins again after it."""
    exporters = [Scripted(), Scripted(RETRY, OK)]
    several = make(*exporters)
    several.ensure_sender()
    feed(several, 1)
    several.pause(0.5)
    assert not any(sender_of(one).has_thread for one in several.deliveries)
    several.resume()
    feed(several, 2)
    assert several.flush(LONG).pending == 0
    assert [set(exporter.delivered) for exporter in exporters] == [{1, 2}, {1, 2}]


SCRIPTS = st.lists(st.sampled_from([OK, OK, RETRY, REFUSED, UNAUTHORIZED, OSError("made up")]), max_size=12)
STEPS = st.lists(
    st.one_of(st.tuples(st.just("capture"), st.integers(1, 6)), st.tuples(st.just("flush"), st.sampled_from([0, 5]))),
    max_size=15,
)


@pauses(0.0)
@settings(deadline=None)
@given(STEPS, st.lists(SCRIPTS, min_size=2, max_size=3), st.integers(1, 5), st.sampled_from([0, 5]))
def test_each_balances_after_any_outcomes(
    steps: list[tuple[str, int]], scripts: list[Any], batch_size: int, closing: float
) -> None:
    """Every destination has delivered or dropped every event, each once, whatever has become of it at the others."""
    exporters = [Scripted(*script, OK) for script in scripts]
    own = Settings(batch_size=batch_size, max_events=8, flush_timeout=5)
    several = Several([Delivery(one, own, None, str(n)) for n, one in enumerate(exporters)])
    numbers = itertools.count()
    for step, amount in steps:
        if step == "flush":
            report = several.flush(amount, probe=True)
            assert report.pending == sum(one.pending for one in report.destinations)
        else:
            for number in itertools.islice(numbers, amount):
                feed(several, number)
        for one in several.deliveries:
            assert_balanced(one)
    captured = next(numbers)
    report = several.close(closing)
    assert several.pending == 0
    for one, exporter in zip(several.deliveries, exporters, strict=True):
        assert_balanced(one)
        assert one.captured == captured
        assert exporter.delivered == sorted(set(exporter.delivered))
        assert one.delivered == len(exporter.delivered)
    several.reset()
