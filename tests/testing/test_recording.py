"""Events in a list: what a test of the user's sees is what would have been sent."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from zespan_serverless import (
    ConfigurationError,
    _process,
    capture,
    flush,
    init,
    span,
    testing,
    with_context,
    zespan_azure,
    zespan_cloud_event,
    zespan_gcf,
    zespan_lambda,
)
from zespan_serverless.aws_lambda import _cold_start, _extension
from zespan_serverless.exporters import Outcome
from zespan_serverless.testing import LambdaContext, MemoryExporter, recording


@zespan_lambda(store_prompts=False, service_name="private", redact_keys=["iban"], tags={"team": "a"})
def private(event: dict[str, Any], context: object) -> str:
    with span("step", metadata={"iban": "DE1", "secret": "s"}):
        return str(event["prompt"])


@zespan_lambda
def plain(event: dict[str, Any], context: object) -> str:
    return str(event["prompt"])


class _Refusing(testing.MemoryExporter):
    """A backend that is unavailable."""

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        return Outcome("retry", "away")


def call(handler: Any, prompt: str = "hi") -> None:
    assert handler({"prompt": prompt}, LambdaContext()) == prompt


@pytest.mark.parametrize("before", ["nothing", "a call", "init"])
def test_settings_of_the_decorator_apply(before: str, caplog: pytest.LogCaptureFixture) -> None:
    """They apply whatever has been configured in the process before, without a warning."""
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
    """They prevail over the decorator's, which prevail over the environment's."""
    monkeypatch.setenv("ZESPAN_SERVICE_NAME", "environment")
    monkeypatch.setenv("ZESPAN_ENVIRONMENT", "staging")
    with recording(service_name="test") as events:
        call(private)
    assert (events[-1]["operation"], events[-1]["tags"]["team"], events[-1]["environment"]) == ("test", "a", "staging")


def test_each_function_has_its_own_settings(caplog: pytest.LogCaptureFixture) -> None:
    """Two functions in one recording have their own, in any order, and no event between them is lost."""
    with caplog.at_level(logging.WARNING), recording() as events:
        call(private)
        capture({"operation": "between"})
        call(plain)
        call(private)
    assert [event["operation"] for event in events if event["operation"] != "step"] == [
        *("private", "between", "my-function", "private"),
    ]
    assert caplog.records == []


def test_nested_function_is_part_of_the_outer_invocation() -> None:
    """There is one invocation, with the settings of the outer function, as in production."""

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


def test_environment_does_not_switch_a_recording_off(monkeypatch: pytest.MonkeyPatch) -> None:
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
    """It contains events that were captured by hand."""
    with recording() as events:
        for number in range(70):
            capture({"operation": str(number)})
    assert [event["operation"] for event in events] == [str(number) for number in range(70)]


def test_nested_recording_has_its_events_in_both_lists() -> None:
    """The settings of both apply; those of the inner one prevail."""
    with recording(service_name="outer", environment="test") as outer:
        call(plain)
        capture({"operation": "outside"})
        with recording(service_name="inner") as inner:
            call(plain)
        call(plain)
    assert [event["operation"] for event in outer] == ["outer", "outside", "inner", "outer"]
    assert [event["operation"] for event in inner] == ["inner"]
    assert {event["environment"] for event in outer} == {"test"}


def test_a_reset_inside_leaves_later_telemetry_alone() -> None:
    """Neither a look at the list nor its end takes the events of what has begun after it."""
    with recording() as events:
        testing.reset()
        after = testing.MemoryExporter()
        init(exporter=after)
        capture({"operation": "x"})
    assert flush(5).delivered == 1
    assert (events, len(after.events)) == ([], 1)


def test_a_recording_that_outlasts_the_one_around_it_goes_on() -> None:
    """As in two threads, each with a recording."""
    outer, inner = recording(), recording()
    first = outer.__enter__()
    second = inner.__enter__()
    outer.__exit__(None, None, None)
    call(plain)
    inner.__exit__(None, None, None)
    assert (len(first), len(second)) == (0, 1)


def test_a_fallback_gets_nothing(tmp_path: Path) -> None:
    """It is on another machine; unless the recording itself names one."""
    handler = zespan_lambda(fallback=f"file://{tmp_path}/parked")(plain.__wrapped__)  # type: ignore[attr-defined]
    with recording(exporter=_Refusing()):
        call(handler)
    assert [*tmp_path.iterdir()] == []


def test_callbacks_of_the_function_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """They get what they would get without a recording, and settings with the same ones are the same."""
    reports: list[object] = []
    handler = zespan_lambda(on_flush=reports.append, on_error=reports.append)(plain.__wrapped__)  # type: ignore[attr-defined]
    with recording(max_events=1) as events:
        call(handler)
        call(handler)
        starts = [event["metadata"]["start_kind"] for event in events]
        capture({"operation": "dropped"})
        capture({"operation": "kept"})
    assert starts == ["cold", "warm"]
    assert [type(report).__name__ for report in reports] == ["FlushReport", "FlushReport", "Dropped"]


def test_recordings_in_two_threads_share_no_event() -> None:
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


def test_wrong_setting_raises_and_keeps_the_outer_recording() -> None:
    """The recording around it goes on."""
    with recording() as events:
        with pytest.raises(ConfigurationError), recording(store_prompt=False):  # type: ignore[call-arg]
            pass
        call(plain)
    assert len(events) == 1


def test_settings_apply_to_other_hosts_as_well() -> None:
    """A function of another host is recorded with its own settings."""

    @zespan_gcf(service_name="cloud")
    def function(request: Any) -> str:
        return "x"

    with recording() as events:
        function(None)
    assert events[-1]["operation"] == "cloud"


def test_reset_ends_a_recording() -> None:
    """Afterwards nothing is recorded, as if the package had just been imported."""
    with recording() as events:
        testing.reset()
        with with_context(user_id="u"):
            capture({"operation": "x"})
    assert events == []


def test_reset_ends_all_recordings() -> None:
    """What is started after it is left alone by their ends."""
    with recording() as outer, recording() as inner:
        testing.reset()
        after = testing.MemoryExporter()
        init(exporter=after)
    capture({"operation": "x"})
    assert flush(5).delivered == 1
    assert (outer, inner, [event["operation"] for event in after.events]) == ([], [], ["x"])


def test_what_was_set_before_is_in_force_again() -> None:
    """A `conftest.py` that calls `init` applies to tests without a recording, too; none of its events is lost."""
    before = MemoryExporter()
    init(exporter=before, environment="of conftest")
    capture({"operation": "before"})
    with recording() as outer, recording() as inner:
        capture({"operation": "inside"})
    capture({"operation": "after"})
    flush()
    assert [event["operation"] for event in before.events] == ["before", "after"]
    assert before.events[-1]["environment"] == "of conftest"
    assert [event["operation"] for event in outer] == [event["operation"] for event in inner] == ["inside"]


def test_without_telemetry_before_there_is_none_after() -> None:
    """A recording leaves no telemetry behind."""
    with recording():
        capture({"operation": "inside"})
    assert _process.current() is None


def test_reset_resets_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next handler registers its extension, the next async one has a new loop, and an import is the first."""
    registered: list[str] = []
    monkeypatch.setattr(_extension, "in_runtime_process", lambda: True)
    monkeypatch.setattr(_extension, "register", lambda mode, *_: registered.append(mode))
    loops: list[asyncio.AbstractEventLoop] = []

    async def handler(event: object, context: object) -> None:
        loops.append(asyncio.get_running_loop())

    for _ in range(2):
        testing.reset()
        assert _cold_start._imported_at is None
        for _ in range(2):
            zespan_lambda(exporter="memory")(handler)({}, LambdaContext())
        assert _cold_start._imported_at is not None
    assert len(registered) == 2
    assert loops[0] is loops[1]
    assert loops[2] is loops[3]
    assert loops[0] is not loops[2]
    assert (loops[0].is_closed(), loops[2].is_closed()) == (True, False)


def test_azure_context_has_id_trace_and_retries() -> None:
    """The root event has the id, the trace and the retries of the context."""
    context = testing.AzureContext("search", traceparent=f"00-{'1' * 32}-{'2' * 16}-01", max_retry_count=3)

    @zespan_azure
    def function(req: str, context: object) -> str:
        return req

    with recording() as events:
        assert function("x", context=context) == "x"
    assert (events[-1]["operation"], events[-1]["trace_id"]) == ("search", "1" * 32)
    assert events[-1]["metadata"]["faas.invocation_id"] == context.invocation_id
    assert events[-1]["metadata"]["azure.functions.max_retry_count"] == 3
    assert repr(context) == f"<AzureContext of search, invocation {context.invocation_id}>"
    assert context.invocation_id != testing.AzureContext().invocation_id


def test_google_context_has_event_type_and_resource() -> None:
    """The root event says what the background function was called for."""
    context = testing.GoogleContext()

    @zespan_cloud_event
    def function(data: object, context: object) -> None: ...

    with recording() as events:
        function({"data": "eA=="}, context)
    assert events[-1]["metadata"]["cloudevents.event_id"] == context.event_id
    assert events[-1]["metadata"]["cloudevents.event_type"] == "google.pubsub.topic.publish"
    assert repr(context) == f"<GoogleContext of google.pubsub.topic.publish, event {context.event_id}>"


def test_lambda_context_has_an_id_and_a_repr() -> None:
    """The id is the given one, or a new one."""
    context = LambdaContext(3, "search", aws_request_id="r-1")
    assert context.aws_request_id == "r-1"
    assert repr(context).startswith("<LambdaContext of search, request r-1, 2")
    assert LambdaContext().aws_request_id != LambdaContext().aws_request_id
