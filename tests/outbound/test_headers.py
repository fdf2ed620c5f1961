"""The W3C headers that a request of the user's hands on: flags, state and baggage."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import SPAN, TRACE, TRACEPARENT
from zespan_serverless import (
    _process,
    span,
    testing,
    trace_headers,
    traced_records,
    traceparent,
    with_context,
    zespan_lambda,
)
from zespan_serverless._trace import parse_traceparent
from zespan_serverless.testing import LambdaContext

STATE, BAGGAGE = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "userId=alice,isProduction=false;ttl=1"


def handed_on(event: Any, **settings: Any) -> dict[str, str]:
    """Return the headers that a handler makes."""

    @zespan_lambda(**settings)
    def handler(event: Any, context: object) -> dict[str, str]:
        return trace_headers()

    with testing.recording():
        found: dict[str, str] = handler(event, LambdaContext())
    return found


def flags(headers: dict[str, str]) -> int:
    found = parse_traceparent(headers["traceparent"])
    assert found is not None
    assert found.flags is not None
    return found.flags


def test_a_new_trace_is_random_and_sampled() -> None:
    """Both flags; neither state nor baggage, because none was received."""
    headers = handed_on({})
    assert list(headers) == ["traceparent"]
    assert flags(headers) == 3


@pytest.mark.parametrize(("theirs", "ours"), [("00", 1), ("01", 1), ("02", 3), ("03", 3), ("fc", 1), ("ff", 3)])
def test_the_callers_random_flag_stays(theirs: str, ours: int) -> None:
    """The random flag is the caller's; the sampled flag is set, because the trace is recorded; others are zero."""
    headers = handed_on({"headers": {"traceparent": f"00-{TRACE}-{SPAN}-{theirs}"}})
    assert headers["traceparent"].startswith(f"00-{TRACE}-")
    assert SPAN not in headers["traceparent"]
    assert flags(headers) == ours


@pytest.mark.parametrize(("theirs", "ours"), [("00", 0), ("01", 1), ("02", 2), ("03", 3)])
def test_a_trace_that_we_do_not_record_is_sampled_if_the_caller_says_so(theirs: str, ours: int) -> None:
    """What comes after us would else leave a hole in a trace that the caller keeps."""
    assert flags(handed_on({"headers": {"traceparent": f"00-{TRACE}-{SPAN}-{theirs}"}}, sample_rate=0.0)) == ours


def test_a_new_trace_that_is_not_recorded_is_not_sampled() -> None:
    """The sampled flag is not set, because the trace is not recorded."""
    assert flags(handed_on({}, sample_rate=0.0)) == 2


def test_state_and_baggage_go_on_unchanged() -> None:
    """Also from within spans, and contexts of users."""
    carried = {"traceparent": TRACEPARENT, "tracestate": STATE, "baggage": BAGGAGE}

    @zespan_lambda
    def handler(event: object, context: object) -> list[dict[str, str]]:
        with with_context(user_id="ada"), span("a"), with_context(tags={"a": "b"}), span("b"):
            return [trace_headers(), {"traceparent": traceparent() or ""}]

    with testing.recording() as events:
        inner, only = handler({"headers": carried}, LambdaContext())
    assert (inner["tracestate"], inner["baggage"]) == (STATE, BAGGAGE)
    assert only["traceparent"] == inner["traceparent"]
    assert inner["traceparent"].split("-")[2] in [event["span_id"] for event in events if event["operation"] == "b"]
    assert not any(text in str(event) for event in events for text in ("congo", "alice"))


def test_baggage_alone_goes_on_with_a_new_trace() -> None:
    """It is not bound to the caller's trace."""
    headers = handed_on({"headers": {"baggage": BAGGAGE}})
    assert headers["baggage"] == BAGGAGE
    assert flags(headers) == 3


def test_each_record_of_a_batch_hands_on_its_own() -> None:
    """The producer's trace, state and baggage, and nothing of the record before."""

    def message(number: int, **more: str) -> dict[str, Any]:
        carried = {"traceparent": f"00-{number:032x}-{SPAN}-00", **more}
        return {
            "eventSource": "aws:sqs",
            "messageAttributes": {name: {"stringValue": text} for name, text in carried.items()},
        }

    @zespan_lambda
    def handler(event: Any, context: object) -> list[dict[str, str]]:
        return [trace_headers() for _ in traced_records(event)] + [trace_headers()]

    with testing.recording():
        first, second, after = handler(
            {"Records": [message(1, tracestate=STATE, baggage=BAGGAGE), message(2)]}, LambdaContext()
        )
    assert first["traceparent"].startswith(f"00-{1:032x}-")
    assert (first["tracestate"], first["baggage"]) == (STATE, BAGGAGE)
    assert list(second) == list(after) == ["traceparent"]
    assert second["traceparent"].startswith(f"00-{2:032x}-")
    assert flags(second) == 1
    assert flags(after) == 3


@pytest.mark.parametrize(("theirs", "said"), [("00", False), ("02", False), ("01", None), ("03", None)])
def test_a_caller_that_does_not_sample_is_recorded_and_not_obeyed(theirs: str, said: object) -> None:
    """The root event says so; it is sent all the same."""

    @zespan_lambda
    def handler(event: object, context: object) -> None: ...

    with testing.recording() as events:
        handler({"headers": {"traceparent": f"00-{TRACE}-{SPAN}-{theirs}"}}, LambdaContext())
    (root,) = events
    assert root["metadata"].get("trace.sampled_by_caller") is said


def test_outside_a_trace_there_is_nothing_to_hand_on() -> None:
    """Nor if the package itself fails."""
    assert trace_headers() == {}
    with with_context(user_id="ada"):
        assert trace_headers() == {}


def test_headers_never_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's request is sent without them."""

    @zespan_lambda
    def handler(event: object, context: object) -> object:
        monkeypatch.setattr(_process, "current", lambda: 1 / 0)
        return trace_headers(), traceparent()

    with testing.recording():
        found = handler({}, LambdaContext())
        monkeypatch.undo()
    assert found == ({}, None)
