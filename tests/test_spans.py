"""What users call inside a handler."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from zespan_serverless import capture, flush, span, testing, traceparent, with_context, zespan_lambda


class Unwritable:
    def __str__(self) -> str:
        raise ValueError("no text")


def test_a_span_is_one_event_with_its_duration_and_metadata() -> None:
    """span() sends its name, kind and what was learned inside."""
    with testing.recording() as events:
        with span("search", kind="retriever", metadata={"k": 5}) as details:
            details["found"] = 3
        flush()
    (event,) = events
    assert (event["operation"], event["span_kind"], event["status"]) == ("search", "retriever", "success")
    assert event["metadata"] == {"k": 5, "found": 3}
    assert isinstance(event["latency_ms"], int)


def test_a_failing_span_says_so_and_lets_the_error_through() -> None:
    """The exception is the user's own, untouched."""
    error = ValueError("no")

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        with span("step"):
            raise error

    with testing.recording() as events, pytest.raises(ValueError, match="no") as caught:
        handler({}, testing.LambdaContext())
    assert caught.value is error
    step, root = events
    assert (step["status"], step["error_message"], step["metadata"]) == ("error", "no", {"error.type": "ValueError"})
    assert root["status"] == "error"


def test_spans_nest() -> None:
    """What happens inside a span belongs to it."""

    @zespan_lambda
    def handler(event: object, context: object) -> str | None:
        with span("outer"), span("inner"):
            capture({"operation": "leaf"})
            return traceparent()

    with testing.recording() as events:
        header = handler({}, testing.LambdaContext())
    leaf, inner, outer, root = events
    assert [e["operation"] for e in events] == ["leaf", "inner", "outer", "my-function"]
    assert leaf["parent_span_id"] == inner["span_id"]
    assert inner["parent_span_id"] == outer["span_id"]
    assert outer["parent_span_id"] == root["span_id"]
    assert root["parent_span_id"] is None
    assert header == f"00-{root['trace_id']}-{inner['span_id']}-01"
    assert len({e["trace_id"] for e in events}) == 1


def test_with_context_adds_to_what_is_in_force() -> None:
    """An inner context keeps the outer user and merges tags."""

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        with with_context(user_id="ada", tags={"a": "1"}), with_context(session_id="s", tags={"b": "2"}):
            capture({"operation": "x"})

    with testing.recording(tags={"all": "0"}) as events:
        handler({}, testing.LambdaContext())
    x, root = events
    assert (x["user_id"], x["session_id"], x["tags"]) == ("ada", "s", {"all": "0", "a": "1", "b": "2"})
    assert (root["user_id"], root["session_id"], root["tags"]) == ("ada", "s", {"all": "0", "a": "1", "b": "2"})


@pytest.mark.parametrize(("given", "sent"), [(17, "17"), (["a"], "['a']"), (Unwritable(), None)])
def test_ids_are_sent_as_text(given: Any, sent: str | None) -> None:
    """A number is an id, too; what cannot be written is left out, and harms nobody."""
    with testing.recording() as events:
        with with_context(user_id=given, session_id=given), span("a"):
            pass
        flush()
    assert [(e["user_id"], e["session_id"]) for e in events] == [(sent, sent)]


def test_with_context_outside_an_invocation_leaves_no_orphans() -> None:
    """It begins a trace, whose first spans have no parent that never arrives."""

    @with_context(user_id="ada")
    def work() -> None:
        assert traceparent() is None
        with span("a"):
            pass
        with span("b"):
            pass

    with testing.recording() as events:
        work()
        flush()
    assert [e["parent_span_id"] for e in events] == [None, None]
    assert len({e["trace_id"] for e in events}) == 1
    assert {e["user_id"] for e in events} == {"ada"}


def test_threads_of_a_pool_belong_to_the_invocation() -> None:
    """A worker thread has no context of its own, and shares the invocation's trace all the same."""
    pool = ThreadPoolExecutor(1)

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        pool.submit(lambda: capture({"operation": "x"})).result()

    with testing.recording() as events, pool:
        handler({}, testing.LambdaContext())
        handler({}, testing.LambdaContext())
    assert [events[0]["trace_id"], events[2]["trace_id"]] == [events[1]["trace_id"], events[3]["trace_id"]]
    assert events[0]["trace_id"] != events[2]["trace_id"]
    assert events[0]["parent_span_id"] == events[1]["span_id"]


def test_capture_keeps_what_is_given_and_fills_in_the_rest() -> None:
    """A capture by hand needs only what it is about."""
    with testing.recording() as events:
        capture({"operation": "lookup", "span_kind": "tool", "metadata": {"n": 1}, "trace_id": "t" * 32})
        capture({"metadata": {"what json cannot say": object}})
        flush()
    first, second = events
    assert (first["operation"], first["span_kind"], first["trace_id"]) == ("lookup", "tool", "t" * 32)
    assert first["event_id"] != second["event_id"]
    assert first["environment"] == "production"


def test_what_must_not_be_stored_is_replaced_in_metadata_too() -> None:
    """redact_keys hold for spans and captures of your own."""
    with testing.recording() as events:
        with span("step", metadata={"Api-Key": "k", "deep": [{"password": "p", "n": 1}]}):
            capture({"operation": "x", "metadata": {"token": "t"}, "input_tokens": 5})
        flush()
    captured, step = events
    assert (captured["metadata"], captured["input_tokens"]) == ({"token": "[REDACTED]"}, 5)
    assert step["metadata"] == {"Api-Key": "[REDACTED]", "deep": [{"password": "[REDACTED]", "n": 1}]}


def test_nothing_happens_while_telemetry_is_off() -> None:
    """Without a key everything works, and sends nothing."""

    @zespan_lambda
    def handler(event: object, context: object) -> int:
        with with_context(user_id="a"), span("b"):
            capture({"operation": "c"})
            return 1

    assert handler({}, None) == 1


@pytest.mark.parametrize("replaying", [True, False])
def test_a_step_that_is_only_replayed_is_not_sent_again(replaying: bool) -> None:
    """What counts is whether it still is a replay when the step is over."""
    answers = iter([replaying])
    with testing.recording() as events:
        with span("step", replaying=lambda: next(answers)):
            pass
        flush()
    assert len(events) == (not replaying)


def test_a_replay_that_nobody_knows_of_is_sent() -> None:
    """If the question fails, the step is sent and the function goes on."""

    def broken() -> bool:
        raise RuntimeError("no answer")

    with testing.recording() as events:
        with span("step", replaying=broken):
            pass
        flush()
    assert len(events) == 1


class SuspendExecution(BaseException):
    """As in AWS's SDK for durable functions, which raises others that are derived from it."""


class TimedSuspendExecution(SuspendExecution): ...


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (TimedSuspendExecution(), "success", {"suspended": True}),
        (KeyboardInterrupt(), "error", {"error.type": "KeyboardInterrupt"}),
    ],
)
def test_being_suspended_is_no_failure(error: BaseException, status: str, said: dict[str, Any]) -> None:
    """What suspends a durable function, which is called again later, is no error of a step or an invocation."""

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        with span("wait"):
            raise error

    with testing.recording() as events, pytest.raises(type(error)) as caught:
        handler({}, testing.LambdaContext())
    assert caught.value is error
    step, root = events
    assert (step["status"], step["metadata"]) == (status, said)
    assert root["status"] == status
    assert said.items() <= root["metadata"].items()
