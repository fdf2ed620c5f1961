"""The steps of a framework by its own ids, without a framework."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from zespan_serverless import _trace, span, testing, zespan_azure
from zespan_serverless._trace.context import ASKED
from zespan_serverless.frameworks import _runs
from zespan_serverless.frameworks._runs import Runs

Events = list[dict[str, Any]]


class Framework:
    """A framework that says it is in the step `here`."""

    def __init__(self) -> None:
        self.here: Any = None
        self.runs = Runs(lambda: self.here)


@pytest.fixture
def framework() -> Iterator[Framework]:
    before = list(ASKED)
    try:
        yield Framework()
    finally:
        ASKED[:] = before


def invoke(function: Callable[[], Any]) -> Events:
    """Return the events of an invocation."""

    @zespan_azure
    def handler(mytimer: Any) -> Any:
        return function()

    with testing.recording() as events:
        handler({})
    return list(events)


def in_thread(function: Callable[[], Any]) -> None:
    """Run a function in a thread, which has none of our context."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_the_step_that_the_framework_names_is_the_parent_in_a_thread(framework: Framework) -> None:
    """A span that is opened there is below it."""

    def work() -> None:
        framework.runs.begin("a", None, "outer", "agent")
        framework.here = "a"
        in_thread(span("inner")(lambda: None))
        framework.here = None
        framework.runs.end("a")

    inner, outer, root = invoke(work)
    assert (inner["operation"], outer["operation"]) == ("inner", "outer")
    assert (inner["parent_span_id"], outer["parent_span_id"]) == (outer["span_id"], root["span_id"])


def test_a_hook_that_is_given_twice_makes_one_event(framework: Framework) -> None:
    """A second beginning and a second end of the same step do nothing."""

    def work() -> None:
        for _ in range(2):
            framework.runs.begin("a", None, "step", "tool")
        for _ in range(2):
            framework.runs.end("a")

    assert [event["span_kind"] for event in invoke(work)] == ["tool", "general"]


def test_a_step_that_never_ends_ends_with_the_invocation(framework: Framework) -> None:
    """And is not kept."""
    events = invoke(lambda: framework.runs.begin("a", None, "step", "tool"))
    assert [event["span_kind"] for event in events] == ["tool", "general"]
    assert not framework.runs.knows("a")
    assert framework.runs._runs == {}


def test_steps_that_never_end_are_bounded(framework: Framework, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than the most ends the oldest, with an event."""
    monkeypatch.setattr(_runs, "RUNS_MAX", 3)

    def work() -> None:
        for number in range(5):
            framework.runs.begin(number, None, f"step {number}", "tool")
            framework.runs.skip(-number, number)
        assert len(framework.runs._runs) == 3
        assert len(framework.runs._skipped) == 3
        assert not framework.runs.knows(0)
        assert framework.runs.knows(4)

    assert sum(event["span_kind"] == "tool" for event in invoke(work)) == 5


def test_a_text_is_an_error_and_what_fails_in_filling_is_not(framework: Framework) -> None:
    """The framework's words are the error's message."""

    def work() -> None:
        framework.runs.begin("a", None, "first", "tool")
        framework.runs.end("a", "no such city")
        framework.runs.begin("b", None, "second", "tool")
        framework.runs.end("b", None, lambda target: target.nothing())

    first, second, _ = invoke(work)
    assert (first["status"], first["error_message"]) == ("error", "no such city")
    assert second["status"] == "success"


def test_a_framework_that_cannot_say_where_it_is_leaves_the_parent(framework: Framework) -> None:
    """Whatever `now` raises stays here."""

    def fails() -> Any:
        raise LookupError

    broken = Runs(fails)

    def work() -> None:
        broken.begin("a", None, "step", "tool")
        assert _trace.current() is not None
        with span("mine"):
            pass
        broken.end("a")

    mine, step, root = invoke(work)
    assert mine["parent_span_id"] == step["parent_span_id"] == root["span_id"]


def test_without_telemetry_nothing_is_kept(framework: Framework) -> None:
    """No container, no steps."""
    testing.reset()
    framework.runs.begin("a", None, "step", "tool")
    framework.runs.skip("b", "a")
    framework.runs.end("a")
    assert framework.runs._runs == framework.runs._skipped == {}
