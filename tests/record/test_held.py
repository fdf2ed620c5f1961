"""`sample_errors`: of traces that are not sampled, what fails is sent, with what led to it."""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.delivery.support import open_spans
from zespan_serverless import _process, capture, flush, init, shutdown, span, testing, zespan_lambda
from zespan_serverless._record import held as module
from zespan_serverless._record.held import Held
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._trace import Root, Span, new_event_id
from zespan_serverless.settings import Settings
from zespan_serverless.testing import Backend, LambdaContext

RESOURCE = Resource(Settings())


ROOTS = defaultdict[str, Root](Root)


def record(kind: str = "general", trace: str = "a", status: Any = "ok", text: str = "", invocation: str = "") -> Record:
    """Return one of the only invocation of its trace, unless this says of which."""
    here = Span(trace * 32, "b" * 16, root=ROOTS[invocation or trace])
    here.event_id = new_event_id()
    made = Record(here, RESOURCE, kind, text or kind)
    made.status = status
    made.fields = {"completion_text": text} if text else None
    return made


def names(records: list[Record]) -> list[str]:
    return [record.name for record in records]


def judged(held: Held, given: Record) -> list[str]:
    """Return the names of what is sent."""
    return names(taken(held, held.judged(given.trace_id, given)))


def taken(held: Held, ready: list[Record]) -> list[Record]:
    """Return those that are sent of what `judged` has returned."""
    return [one for one in ready if one is ready[-1] or held.take(one)]


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    testing.reset()
    yield
    testing.reset()


def sent(work: Any, **settings: Any) -> list[str]:
    """Return what is sent of an invocation whose trace is not sampled."""

    given: Any = {"sample_rate": 0.0, "sample_errors": True, **settings}

    @zespan_lambda(**given)
    def handler(event: object, context: object) -> None:
        work()

    with testing.recording() as events, contextlib.suppress(ZeroDivisionError):
        handler({}, LambdaContext(function_name="f"))
    return [f"{event['operation']} {event['status']}" for event in events]


def steps() -> None:
    with span("first"):
        pass
    with span("second"):
        pass


def caught() -> None:
    steps()
    try:
        with span("third"):
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    with span("fourth"):
        pass


def test_an_invocation_that_ends_well_is_not_sent() -> None:
    """As without the setting, and it is counted nowhere."""
    assert sent(steps) == []


def test_an_invocation_that_fails_is_sent_with_all_that_led_to_it() -> None:
    """In the order in which it happened."""

    def fail() -> None:
        steps()
        raise ZeroDivisionError

    assert sent(fail) == ["first success", "second success", "f error"]
    assert sent(fail, sample_errors=False) == []


def test_an_invocation_without_an_event_of_its_own_ends_all_the_same() -> None:
    """Well, and what is held of it is given up, or badly, and that is sent."""
    sizes: list[int] = []

    def look() -> None:
        container = _process.current()
        assert container is not None
        assert container.held is not None
        sizes.append(len(container.held._held))

    def work(fails: bool) -> None:
        look()
        steps()
        if fails:
            raise ZeroDivisionError

    @zespan_lambda
    def handler(event: bool, context: object) -> None:
        work(event)

    with testing.recording(sample_rate=0.0, sample_errors=True, root_event=False) as events:
        for fails in (False, False, True):
            with contextlib.suppress(ZeroDivisionError):
                handler(fails, LambdaContext())
    assert sizes == [0, 0, 0]
    assert [event["operation"] for event in events] == ["first", "second"]


def test_a_failure_that_is_caught_keeps_the_invocation() -> None:
    """Also what comes after it, and the event of the invocation, which has not failed."""
    assert sent(caught) == ["first success", "second success", "third error", "fourth success", "f success"]
    assert sent(caught, root_event=False) == ["first success", "second success", "third error", "fourth success"]


def test_an_event_of_the_users_may_say_that_it_has_failed() -> None:
    """In the words of the SDK."""

    def work() -> None:
        steps()
        capture({"operation": "own", "status": "error"})

    assert sent(work) == ["first success", "second success", "own error", "f success"]


def test_sampled_traces_are_sent_as_ever() -> None:
    """Nothing is held back of them."""
    assert sent(steps, sample_rate=1.0) == ["first success", "second success", "f success"]


def test_traces_do_not_mix() -> None:
    """The failure of one says nothing of another; an invocation that ends well gives up its own."""
    held = Held()
    assert judged(held, record(text="a1")) == judged(held, record(trace="b", text="b1")) == []
    assert judged(held, record("invocation", trace="b")) == []
    assert judged(held, record(trace="b", status="error", text="b2")) == ["b2"]
    assert judged(held, record(status="timeout", text="a2")) == ["a1", "a2"]
    assert judged(held, record(status="ok", text="a3")) == ["a3"]
    assert held._characters == len(held._held) == 0


def test_invocations_of_one_trace_do_not_mix() -> None:
    """Of two requests of one page, the end of one says nothing of the other, which may still fail."""
    held = Held()
    for invocation in ("one", "other"):
        assert judged(held, record(text=f"{invocation}'s step", invocation=invocation)) == []
    assert judged(held, record("invocation", text="one's end", invocation="one")) == []
    failure = record("invocation", status="error", text="other's end", invocation="other")
    assert judged(held, failure) == ["other's step", "other's end"]


def test_failures_at_once_send_what_led_to_them_once() -> None:
    """Each of two threads may come between the other's look at what is held and its sending."""
    held = Held()
    assert judged(held, record(text="a1")) == []
    first, second = record(status="error", text="a2"), record(status="error", text="a3")
    ready = [held.judged(one.trace_id, one) for one in (first, second)]
    assert [names(taken(held, some)) for some in ready] == [["a1", "a2"], ["a3"]]
    assert held._released == {}


def test_failures_in_threads_are_sent_once() -> None:
    """Also by the container, whose sending takes its time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def fail() -> None:
        with contextlib.suppress(ZeroDivisionError), span("failed"):
            raise ZeroDivisionError

    def work() -> None:
        for _ in range(200):
            with span("held"):
                pass
        threads = [threading.Thread(target=contextvars.copy_context().run, args=(fail,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    try:
        assert Counter(sent(work)) == {"held success": 200, "failed error": 4, "f success": 1}
    finally:
        sys.setswitchinterval(interval)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["general", "invocation"]), st.booleans())))
def test_nothing_is_sent_twice_and_failures_are_always_sent(history: list[tuple[str, str, bool]]) -> None:
    """Whatever happens in several traces at once, and what is held stays within its limits."""
    held, out = Held(), list[int]()
    records = [record(kind, trace, "error" if fails else "ok") for trace, kind, fails in history]
    for one in records:
        out += map(id, taken(held, held.judged(one.trace_id, one)))
    assert len(out) == len(set(out))
    assert {id(one) for one in records if one.status == "error"} <= set(out)
    assert held._characters == sum(size for *_, size in held._held.values())


def test_what_is_held_is_limited() -> None:
    """By number and by text: the oldest are given up."""
    held = Held()
    for number in range(module.RECORDS_MAX + 10):
        judged(held, record(text=str(number)))
    assert len(held._held) == module.RECORDS_MAX
    assert judged(held, record(status="error", text="x"))[:1] == ["10"]
    for _ in range(40):
        judged(held, record(trace="b", text="y" * 100_000))
    assert held._characters <= module.CHARACTERS_MAX
    assert len(judged(held, record(trace="b", status="error"))) == 11
    for number in range(2 * module.FAILED_MAX):
        judged(held, record(trace=f"{number:032x}", status="error"))
    assert len(held._failed) == module.FAILED_MAX


def test_threads_hold_and_release_at_once() -> None:
    """Each failure takes what its own trace has held."""
    held, found = Held(), dict[str, list[str]]()

    def work(trace: str) -> None:
        found[trace] = [
            name
            for _ in range(50)
            for kind in ("ok", "ok", "error")
            for name in judged(held, record(trace=trace, status=kind))
        ]

    threads = [threading.Thread(target=work, args=(trace,)) for trace in "abcdef01"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {trace: len(names) for trace, names in found.items()} == dict.fromkeys("abcdef01", 150)


def test_what_ends_well_is_no_crash_to_the_next_process(tmp_path: Any) -> None:
    """Its beginning is in the journal, and its end, though it has no event."""
    with Backend() as backend:
        init(
            base_url=backend.url,
            journal=str(tmp_path),
            sample_rate=0.0,
            sample_errors=True,
            api_key="zsp_k",
            enabled=True,
        )
        container = _process.current()
        assert container is not None
        assert container.records

        @zespan_lambda
        def handler(event: object, context: object) -> None:
            assert open_spans(container.delivery)

        handler({}, LambdaContext())
        assert open_spans(container.delivery) == {}
        assert flush(5).delivered == 0
        shutdown()


def test_a_forked_child_does_not_send_what_its_parent_holds() -> None:
    """The parent does, if its trace fails."""
    init(exporter="memory", sample_rate=0.0, sample_errors=True, enabled=True)
    container = _process.current()
    assert container is not None
    with span("parent's"):
        pass
    assert container.held is not None
    assert len(container.held._held) == 1
    child = os.fork()
    if child == 0:
        os._exit(len(container.held._held))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
