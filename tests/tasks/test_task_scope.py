"""`task_scope`: one root event for each piece of work, however many there are at once, and no waiting for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.documentation import PAGES, blocks
from tests.documentation import run as documented
from tests.support import SPAN, TRACE, TRACEPARENT, below, roots, until
from zespan_serverless import (
    ConfigurationError,
    capture,
    current_span,
    init,
    run,
    span,
    task_scope,
    testing,
    time_left,
    traceparent,
    with_context,
    zespan_lambda,
)
from zespan_serverless.testing import Backend, LambdaContext


def work(number: int) -> None:
    with task_scope("index", id=str(number), traceparent=f"00-{number + 1:032x}-{SPAN}-01"), span("step"):
        time.sleep(0.01)


def test_many_at_once_in_threads() -> None:
    """Each of 40 tasks in 8 threads has its own event, with its own id, in the trace of its own caller."""
    with testing.recording() as events, ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    found = roots(events)
    ids = {(event["trace_id"], event["metadata"]["faas.invocation_id"]) for event in found}
    assert ids == {(f"{number + 1:032x}", str(number)) for number in range(40)}
    assert [len(below(root, events)) for root in found] == [1] * 40
    assert {event["parent_span_id"] for event in found} == {SPAN}


def test_many_at_once_on_an_event_loop() -> None:
    """`async with`: what tasks of one loop do between their awaits stays in each one's trace."""

    async def one(number: int) -> None:
        async with task_scope("answer", id=str(number)):
            await asyncio.sleep(0.001)
            with span("step"):
                await asyncio.sleep(0.001)

    async def main() -> None:
        await asyncio.gather(*map(one, range(20)))

    with testing.recording() as events:
        asyncio.run(main())
    assert len({root["trace_id"] for root in roots(events)}) == 20
    assert all(len(below(root, events)) == 1 for root in roots(events))


@pytest.mark.parametrize("given", [TRACEPARENT, {"traceparent": TRACEPARENT, "baggage": "a=b"}])
def test_the_callers_trace(given: Any) -> None:
    """The parent is a header's value, or headers; what the work calls gets the caller's trace."""
    with testing.recording() as events, task_scope("work", traceparent=given):
        assert (traceparent() or "").split("-")[1] == TRACE
    (root,) = events
    assert (root["trace_id"], root["parent_span_id"]) == (TRACE, SPAN)


@pytest.mark.parametrize("given", [None, "", "00-zz", {}, {"traceparent": 7}, 7, b"x", [TRACEPARENT]])
def test_whatever_a_message_carries(given: Any) -> None:
    """No or a wrong trace context begins a new trace, and harms nothing."""
    with testing.recording() as events, task_scope("work", traceparent=given):
        pass
    assert [event["parent_span_id"] for event in events] == [None]


def test_metadata_and_outcome() -> None:
    """The target is a dict for metadata; `fail` marks the event, with an exception or a text and a type."""
    with testing.recording() as events:
        with task_scope("a", metadata={"queue": "q", "state": "begun"}) as task:
            task["state"] = "done"
        with task_scope("b") as task:
            task.fail(ValueError("not raised"))
        with task_scope("c") as task:
            task.fail("no such document", "missing")
        task = task_scope("d")
        task.fail("less than what is raised")
        with pytest.raises(KeyError), task:
            raise KeyError("x")
    assert events[0]["metadata"].items() >= {"queue": "q", "state": "done", "faas.trigger": "other"}.items()
    assert [event["status"] for event in events] == ["success", "error", "error", "error"]
    assert [event["metadata"].get("error.type") for event in events] == [None, "ValueError", "missing", "KeyError"]
    assert events[2]["error_message"] == "no such document"


def test_a_task_inside_itself() -> None:
    """To enter a target again adds nothing; when it has ended, it begins anew."""
    task = task_scope("work")
    with testing.recording() as events:
        with task, task:
            pass
        with task:
            pass
    assert [event["operation"] for event in events] == ["work", "work"]


def test_what_is_raised_passes_through() -> None:
    """An exception is the user's own, and the event has it."""
    boom = ValueError("boom")
    with testing.recording() as events, pytest.raises(ValueError, match="boom") as raised, task_scope("work"):
        raise boom
    assert raised.value is boom
    assert (events[0]["status"], events[0]["metadata"]["error.type"]) == ("error", "ValueError")


def test_a_cancelled_task_is_cancelled() -> None:
    """Cancellation passes through `async with` without waiting, and its event arrives."""

    async def main() -> None:
        async def endless() -> None:
            async with task_scope("work"):
                await asyncio.sleep(60)

        going = asyncio.create_task(endless())
        await asyncio.sleep(0)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going

    with testing.recording() as events:
        asyncio.run(main())
    assert events[0]["metadata"]["error.type"] == "CancelledError"


def test_an_event_of_its_own_inside_an_invocation() -> None:
    """Work inside a Lambda invocation is below it, for the same user, with its deadline, and leaves the flush to it."""
    seen: list[float | None] = []

    @zespan_lambda
    def handler(event: Any, context: Any) -> None:
        with with_context(user_id="u"), span("around"), task_scope("work"):
            seen.append(time_left())
            assert current_span() is not None

    with testing.recording() as events:
        handler({}, LambdaContext(timeout=30))
    (inner,) = [event for event in events if event["operation"] == "work"]
    (around,) = [event for event in events if event["operation"] == "around"]
    assert (inner["trace_id"], inner["parent_span_id"]) == (around["trace_id"], around["span_id"])
    assert inner["user_id"] == "u"
    assert seen[0] is not None
    assert 0 < seen[0] <= 30


def test_work_that_goes_on_after_its_invocation(backend: Backend) -> None:
    """What a run has begun in a thread, and left behind: in its trace, without its deadline, sent at its own end."""
    init(api_key="zsp_test", base_url=backend.url, flush_interval=3600)
    begun, go_on, seen = threading.Event(), threading.Event(), list[Any]()

    def later() -> None:
        with task_scope("later"):
            begun.set()
            go_on.wait(30)
            seen.append(time_left())

    with run("before"):
        thread = threading.Thread(target=later)
        thread.start()
        begun.wait(30)
    go_on.set()
    thread.join(30)
    until(lambda: len(backend.events) == 2)
    assert len({event["trace_id"] for event in backend.events}) == 1
    assert seen == [None]


def test_no_block_waits_while_the_process_goes_on(backend: Backend) -> None:
    """The end of a task does not wait for a backend that hangs; its events arrive when that is over."""
    init(api_key="zsp_test", base_url=backend.url, flush_timeout=30)
    backend.mode = "hang"
    began = time.monotonic()
    for number in range(20):
        with task_scope("work", id=str(number)):
            capture({"operation": "inside"})
    assert time.monotonic() - began < 15
    backend.mode = "ok"
    until(lambda: len(backend.events) == 40, 60)


def closes_a_generator() -> None:
    def pieces() -> Generator[int]:
        with task_scope("work"):
            yield 1

    generator = pieces()
    next(generator)
    generator.close()


def cancels_a_task() -> None:
    async def main() -> None:
        async def endless() -> None:
            with task_scope("work"):
                await asyncio.sleep(60)

        going = asyncio.create_task(endless())
        await asyncio.sleep(0)
        going.cancel()
        await asyncio.wait([going])

    asyncio.run(main())


def ends_a_greenlet() -> None:
    gevent = pytest.importorskip("gevent")

    def endless() -> None:
        with task_scope("work"):
            gevent.sleep(60)

    greenlet = gevent.spawn(endless)
    gevent.sleep(0)
    greenlet.kill()


@pytest.mark.parametrize("end", [closes_a_generator, cancels_a_task, ends_a_greenlet])
def test_no_block_waits_that_is_ended_from_outside(backend: Backend, end: Callable[[], None]) -> None:
    """The end of a generator, an asyncio task or a greenlet inside `with` does not wait for a backend that hangs."""
    init(api_key="zsp_test", base_url=backend.url, flush_timeout=30)
    backend.mode = "hang"
    began = time.monotonic()
    end()
    assert time.monotonic() - began < 15
    backend.mode = "ok"
    until(lambda: len(backend.events) == 1, 60)


def test_work_with_a_deadline_is_delivered_at_its_end(backend: Backend) -> None:
    """With the end of the process ahead, the block ends when everything has arrived; time_left() counts down."""
    init(api_key="zsp_test", base_url=backend.url, flush_interval=3600)
    with task_scope("last", deadline=20):
        left = time_left()
    assert len(backend.events) == 1
    assert left is not None
    assert 10 < left <= 20
    assert backend.events[0]["metadata"]["time_left_at_end_ms"] <= 20_000


def test_a_deadline_that_is_near_is_kept(backend: Backend) -> None:
    """The flush at the end stays within the deadline less the reserve, even if the backend hangs."""
    init(api_key="zsp_test", base_url=backend.url, flush_timeout=60)
    backend.mode = "hang"
    began = time.monotonic()
    with task_scope("last", deadline=0.6):
        pass
    assert time.monotonic() - began < 20


def test_readers_of_users_are_called() -> None:
    """user_id and session_id as settings are functions; they get nothing to read but may know."""
    with testing.recording() as events, task_scope("work", user_id=lambda _: "u", session_id=lambda _: 1 / 0):
        pass
    assert events[0]["user_id"] == "u"


@pytest.mark.parametrize("name", ["", None, 7, print])
def test_a_name_is_needed(name: Any) -> None:
    """Anything but a name says what to type."""
    with pytest.raises(ConfigurationError, match=r"task_scope\('index document'\)"):
        task_scope(name)


@pytest.mark.parametrize("deadline", [0, -1, -float("inf"), float("nan"), float("inf")])
def test_a_deadline_that_is_over_or_no_number_of_seconds_harms_nothing(deadline: float, backend: Backend) -> None:
    """It has been computed while serving: the work is done, and its event arrives."""
    init(api_key="zsp_test", base_url=backend.url, flush_interval=0.05)
    with task_scope("last", deadline=deadline) as task:
        task["done"] = True
    until(lambda: len(backend.events) == 1, 60)


@pytest.mark.parametrize("deadline", [-3, -1e300, -float("inf")])
def test_a_deadline_in_the_past_has_no_negative_time(deadline: float) -> None:
    """The event says that no time was left when the work began, whenever the deadline was."""
    with testing.recording() as events, task_scope("last", deadline=deadline):
        assert time_left() == 0
    assert [event["metadata"]["time_left_at_start_ms"] for event in events] == [0]


def test_odd_metadata_and_headers_cost_no_event() -> None:
    """What is no mapping, or a mapping that fails, is left out of the event."""

    class Broken(dict[str, Any]):
        def get(self, *args: Any) -> Any:
            raise RuntimeError("made up")

    odd: Any = ["no", "mapping"]
    with testing.recording() as events, task_scope("index", metadata=odd, traceparent=Broken()) as task:
        task["pages"] = 12
    assert [(event["operation"], event["metadata"]["pages"]) for event in events] == [("index", 12)]


def test_a_deadline_is_a_number() -> None:
    """Anything else says so, before the work begins."""
    with pytest.raises(ConfigurationError, match="seconds"):
        task_scope("work", deadline="soon")  # type: ignore[arg-type]


def test_a_setting_that_does_not_exist() -> None:
    """A misspelt setting says so, before the work begins."""
    with pytest.raises(ConfigurationError, match="max_event"):
        task_scope("work", max_event=5)  # type: ignore[call-arg]


def test_off_means_off() -> None:
    """With telemetry off the block runs, and its target is a dict all the same."""
    with testing.recording(enabled=False) as events, task_scope("work", traceparent=TRACEPARENT) as task:
        task["a"] = 1
        task.fail("x")
        assert traceparent() is None
    assert events == []


def test_documented_blocks_run() -> None:
    """The three blocks of the page: metadata and failure, `async with`, and a time budget."""
    first, second, third = map(documented, blocks(PAGES["hosts/tasks"]))
    with testing.recording() as events:
        first.process({"id": "1", "headers": {"traceparent": TRACEPARENT}, "body": ""})
        assert asyncio.run(second.answer("why")) == "WHY"
        third.after_the_response(["a"])
    assert [(event["operation"], event["status"]) for event in events] == [
        ("index document", "error"),
        ("answer", "success"),
        ("index documents", "success"),
    ]
    assert (events[0]["trace_id"], events[0]["metadata"]["pages"]) == (TRACE, 12)
