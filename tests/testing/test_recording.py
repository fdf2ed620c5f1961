"""Events in a list: what a test of the user's sees is what would have been sent."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from zespan_serverless import ConfigurationError, capture, init, span, testing, with_context, zespan_gcf, zespan_lambda
from zespan_serverless.testing import LambdaContext, recording


@zespan_lambda(store_prompts=False, service_name="private", redact_keys=["iban"], tags={"team": "a"})
def private(event: dict[str, Any], context: object) -> str:
    with span("step", metadata={"iban": "DE1", "secret": "s"}):
        return str(event["prompt"])


@zespan_lambda
def plain(event: dict[str, Any], context: object) -> str:
    return str(event["prompt"])


def call(handler: Any, prompt: str = "hi") -> None:
    assert handler({"prompt": prompt}, LambdaContext()) == prompt


@pytest.mark.parametrize("before", ["nothing", "a call", "init"])
def test_what_a_function_was_decorated_with_is_in_force(before: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever has been configured in the process before; and nothing is said about it."""
    if before == "a call":
        with recording(service_name="other"):
            call(plain)
    if before == "init":
        init(exporter="memory", service_name="other", store_prompts=True)
    with caplog.at_level(logging.WARNING), recording() as events:
        call(private)
    step, root = events
    assert root["operation"] == "private"
    assert root["tags"]["team"] == "a"
    assert step["metadata"]["iban"] == "[REDACTED]"
    assert step["metadata"]["secret"] == "s"
    assert caplog.records == []


def test_settings_of_the_recording_prevail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the decorator's, which prevail over the environment's."""
    monkeypatch.setenv("ZESPAN_SERVICE_NAME", "environment")
    monkeypatch.setenv("ZESPAN_ENVIRONMENT", "staging")
    with recording(service_name="test") as events:
        call(private)
    assert (events[-1]["operation"], events[-1]["tags"]["team"], events[-1]["environment"]) == ("test", "a", "staging")


def test_each_function_has_its_own_settings(caplog: pytest.LogCaptureFixture) -> None:
    """Also two in one recording, in any order; what was captured between them is there, too."""
    with caplog.at_level(logging.WARNING), recording() as events:
        call(private)
        capture({"operation": "between"})
        call(plain)
        call(private)
    assert [event["operation"] for event in events if event["operation"] != "step"] == [
        *("private", "between", "my-function", "private"),
    ]
    assert caplog.records == []


def test_a_function_inside_another_is_a_part_of_it() -> None:
    """As in production: one invocation, with the settings of the outer one."""

    @zespan_lambda(service_name="outer")
    def outer(event: dict[str, Any], context: object) -> object:
        return private(event, context)

    with recording() as events:
        call(outer)
    assert [event["operation"] for event in events] == ["step", "outer"]
    assert "team" not in (events[-1]["tags"] or {})


def test_a_function_that_is_switched_off_records_nothing() -> None:
    """Its events would not be sent either. In the environment that is for the tests that do not record."""

    @zespan_lambda(enabled=False)
    def off(event: dict[str, Any], context: object) -> str:
        return str(event["prompt"])

    with recording() as events:
        call(off)
    assert events == []


def test_the_environment_does_not_switch_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """ZESPAN_ENABLED=0 for a whole test suite, or pytest's own variable, is not for the test that asks."""
    monkeypatch.setenv("ZESPAN_ENABLED", "0")
    with recording() as events:
        call(plain)
    assert len(events) == 1
    monkeypatch.delenv("ZESPAN_ENABLED")
    with recording() as events:
        call(plain)
    assert len(events) == 1


def test_the_list_is_complete_after_the_block() -> None:
    """With what was captured by hand."""
    with recording() as events:
        for number in range(70):
            capture({"operation": str(number)})
    assert [event["operation"] for event in events] == [str(number) for number in range(70)]


def test_one_inside_another() -> None:
    """Each has what was recorded while it was the innermost."""
    with recording(service_name="outer") as outer:
        call(plain)
        with recording(service_name="inner") as inner:
            call(plain)
        call(plain)
    assert [event["operation"] for event in outer] == ["outer", "outer"]
    assert [event["operation"] for event in inner] == ["inner"]


def test_two_in_threads() -> None:
    """No event is in both, none is lost, and afterwards nothing is recorded any more."""
    first_began, second_began = threading.Event(), threading.Event()
    lists: list[list[dict[str, Any]]] = []

    def first() -> None:
        with recording() as events:
            lists.append(events)
            call(plain, "1")
            first_began.set()
            assert second_began.wait(5)

    thread = threading.Thread(target=first)
    thread.start()
    assert first_began.wait(5)
    with recording() as events:
        lists.append(events)
        second_began.set()
        thread.join()
        call(plain, "2")
    assert [len(events) for events in lists] == [1, 1]


def test_a_mistake_raises_and_changes_nothing() -> None:
    """The recording around it goes on."""
    with recording() as events:
        with pytest.raises(ConfigurationError), recording(store_prompt=False):  # type: ignore[call-arg]
            pass
        call(plain)
    assert len(events) == 1


def test_another_kind_of_host() -> None:
    """Has its settings as well."""

    @zespan_gcf(service_name="cloud")
    def function(request: Any) -> str:
        return "x"

    with recording() as events:
        function(None)
    assert events[-1]["operation"] == "cloud"


def test_reset_ends_a_recording() -> None:
    """As if the package had just been imported."""
    with recording() as events:
        testing.reset()
        with with_context(user_id="u"):
            capture({"operation": "x"})
    assert events == []


def test_a_context_of_lambdas() -> None:
    """With an id of one's own, or a new one; it says what it is."""
    context = LambdaContext(3, "search", aws_request_id="r-1")
    assert context.aws_request_id == "r-1"
    assert repr(context).startswith("<LambdaContext of search, request r-1, 2")
    assert LambdaContext().aws_request_id != LambdaContext().aws_request_id
