"""Our events beside those of the official SDK, `zespan` 1.6.1: the same calls, one model, one backend.

Every field that the SDK sends is in ours, with the same JSON type, but for what the tables below name with a reason.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import openai
import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

import zespan_serverless
from zespan_serverless import span, testing, zespan_lambda
from zespan_serverless.testing import Backend

Event = dict[str, Any]

HI = [{"role": "user", "content": "Grüße"}]
AGENT = [{"role": "system", "content": "You are the BillingAgent. Role: planner. Think step by step."}, *HI]
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Today's", "parameters": {}}}]
REDACTED = [{"role": "user", "content": "Hi", "metadata": {"api_key": "hidden", "seen": 1}}]

CALLS: dict[str, dict[str, Any]] = {
    "plain": {"model": "gpt-4o-mini", "messages": HI},
    "agent": {"model": "gpt-4o", "messages": AGENT},
    "long": {"model": "m", "messages": HI * 11},
    "redacted": {"model": "m", "messages": REDACTED},
    "error": {"model": "error-500", "messages": HI},
    "tools": {"model": "gpt-4o-mini", "messages": HI, "tools": TOOLS},
    "dated": {"model": "gpt-4o-mini-2024-07-18", "messages": HI},
    "streamed": {"model": "gpt-4o-mini", "messages": AGENT, "stream": True, "stream_options": {"include_usage": True}},
    "streamed tools": {"model": "gpt-4o-mini", "messages": HI, "tools": TOOLS, "stream": True},
    "streamed error": {"model": "error-500", "messages": HI, "stream": True},
    "broken stream": {"model": "m", "messages": HI, "stream": True, "extra_headers": {"x-stream-fail-after": "3"}},
    "abandoned stream": {"model": "m", "messages": HI, "stream": True},  # after the first word
}

# Fields whose values differ from event to event, or name the SDK; each has a test of its own.
OWN = {"event_id", "trace_id", "span_id", "timestamp", "latency_ms", "ttft_ms", "sdk_version", "sdk_name"}

# Calls whose cost the SDK gives as 0.0, and we as null: {call: reason}.
UNPRICED = {
    **dict.fromkeys(("long", "redacted"), "nobody knows the price of this model"),
    **dict.fromkeys(("error", "streamed error", "streamed tools"), "no word about tokens"),
}

# Calls with unknown token counts: the SDK sends 0, and this package null.
UNCOUNTED = {
    (call, field): "unknown is not none"
    for call in ("streamed tools", "abandoned stream")
    for field in ("input_tokens", "output_tokens")
}

# Where our type is not the SDK's: {(call, field): reason}.
OTHER_TYPES = {
    **UNCOUNTED,
    **{(call, "cost_usd"): reason for call, reason in UNPRICED.items()},
    (
        "streamed tools",
        "tool_call_args",
    ): "the SDK redacts it, and so sends it as JSON text, unless the call is streamed",
}

# Where we say something else: {(call, field): reason}.
OTHER_VALUES = {
    **UNCOUNTED,
    **{(call, "cost_usd"): reason for call, reason in UNPRICED.items()},
    ("dated", "cost_usd"): "OpenAI answers with the dated name, which the SDK finds no price for",
    ("abandoned stream", "finish_reason"): "all that the SDK ever sends of it is its `stream_start`",
}

# Where our events of steps and invocations say something else than the SDK's manual span: {field: reason}.
OTHER_IN_SPANS = {
    "provider": "empty: `custom` would show up as a provider in cost tables, and an invocation has none",
    "model": "the same",
    "operation": "the name: the SDK throws it away",
}

SDK = """
    import json, os, sys
    import openai, zespan

    model, backend, calls = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    zespan.init(api_key="k", endpoint=backend + "/v1/ingest", autopatch=False)
    zespan.patch_openai()
    client = openai.OpenAI(base_url=model, api_key="k", max_retries=0)
    for call in calls:
        try:
            answer = client.chat.completions.create(**call)
            if call.get("stream"):
                for chunk in answer:
                    if call is calls[-1]:
                        break
        except Exception:
            pass
    zespan.start_span("step").end(status="error", error_message="no")
    zespan.start_span("step", span_kind="tool").end(metadata={"k": 1})
    zespan.get_client().flush()
    os._exit(0)  # at whose end Python 3.13.0 crashes
"""


class Both:
    """The events of all calls, the SDK's and ours: {call: events}, and those of steps and an invocation after them."""

    def __init__(self, theirs: list[Event], ours: list[Event]) -> None:
        self.theirs, *self.their_spans = _by_trace(theirs)
        self.ours, *self.our_spans = _by_trace(ours)

    def last(self, call: str) -> tuple[Event, Event]:
        """Return the event that tells of a call's end: the SDK's and ours."""
        return self.theirs[call][-1], self.ours[call][-1]


def _by_trace(events: list[Event]) -> tuple[Any, ...]:
    """({call: events}, event of the first span, of the second, ...): every call and span has a trace of its own."""
    traces: dict[str, list[Event]] = {}
    for event in events:
        traces.setdefault(event["trace_id"], []).append(event)
    told = [*traces.values()]
    return dict(zip(CALLS, told, strict=False)), *(events[0] for events in told[len(CALLS) :])


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    assert version("zespan") == "1.6.1"
    with ModelEndpoint(latency_ms=20) as model, Backend() as backend:
        command = [sys.executable, "-c", textwrap.dedent(SDK), model.url, backend.url, json.dumps([*CALLS.values()])]
        subprocess.run(command, check=True, timeout=60)
        theirs = backend.events
        _ours(model, backend)
        yield Both(theirs, backend.events[len(theirs) :])


def _ours(model: ModelEndpoint, backend: Backend) -> None:
    @zespan_lambda
    def handler(event: object, context: object) -> None:
        pass

    testing.reset()
    zespan_serverless.init(api_key="k", base_url=backend.url, flush_mode="before_return")
    with openai.OpenAI(base_url=model.url, api_key="k", max_retries=0) as client:
        for call in CALLS.values():
            with suppress(Exception):
                answer: Any = client.chat.completions.create(**call)
                if call.get("stream"):
                    for chunk in answer:
                        if call is CALLS["abandoned stream"] and chunk.choices[0].delta.content:
                            break
                del answer
    with suppress(ValueError), span("step"):
        raise ValueError("no")
    with span("step", kind="tool", metadata={"k": 1}):
        pass
    handler({}, testing.LambdaContext())
    zespan_serverless.flush(5)
    testing.reset()


def json_type(value: Any) -> str:
    return type(json.loads(json.dumps(value), parse_int=float)).__name__


def other_types(theirs: Event, ours: Event) -> set[str]:
    """Fields of the SDK's that ours has not, or not in the same JSON type. What it sends as null may be anything."""
    shared = {name for name, value in theirs.items() if name in ours and value is not None}
    return (theirs.keys() - ours.keys()) | {n for n in shared if json_type(theirs[n]) != json_type(ours[n])}


def other_values(theirs: Event, ours: Event) -> set[str]:
    """Return the SDK's fields that differ from this package's. JSON text is compared by value."""

    def meaning(value: Any) -> Any:
        try:
            return json.loads(value)
        except (TypeError, ValueError):
            return value

    return {n for n in theirs.keys() - OWN if n not in ours or meaning(theirs[n]) != meaning(ours[n])}


@pytest.mark.parametrize("call", CALLS)
def test_fields_and_types(both: Both, call: str) -> None:
    """Field by field: what the SDK sends, we send, in the same JSON type."""
    theirs, ours = both.last(call)
    assert other_types(theirs, ours) == {field for name, field in OTHER_TYPES if name == call}


@pytest.mark.parametrize("call", CALLS)
def test_values_equal_the_sdk_s(both: Both, call: str) -> None:
    """Field by field, values equal those of the SDK, including hashes and costs."""
    theirs, ours = both.last(call)
    assert other_values(theirs, ours) == {field for name, field in OTHER_VALUES if name == call}


def test_one_event_for_a_stream(both: Both) -> None:
    """The SDK sends two for one call, the first without tokens; in a count of calls each is one. We send one."""
    for call in (name for name in CALLS if "stream" in name and name != "streamed error"):
        assert both.theirs[call][0]["finish_reason"] == "stream_start"
        assert both.theirs[call][0]["input_tokens"] == both.theirs[call][0]["output_tokens"] == 0
        assert len(both.theirs[call]) == (1 if call == "abandoned stream" else 2)
        assert len(both.ours[call]) == 1
    assert len({event["span_id"] for event in both.theirs["streamed"]}) == 1


def test_a_stream_says_as_much_as_a_call(both: Both) -> None:
    """The SDK leaves out of a stream's event who asked and what; ours has every field that a plain call has."""
    theirs, ours = both.last("streamed")
    missing = {"prompt_hash", "reasoning_tokens", "user_id", "session_id", "tags", "conversation_turn", "has_planning"}
    assert missing <= both.last("agent")[0].keys() - theirs.keys()
    assert ours.keys() - both.last("agent")[1].keys() == {"ttft_ms", "metadata"}
    assert both.last("agent")[1].keys() <= ours.keys()


def test_an_error_says_as_much_as_an_answer(both: Both) -> None:
    """The same for events of errors, which have the type of the error, too."""
    assert both.last("error")[1].keys() - both.last("plain")[1].keys() == {"metadata"}
    assert both.last("plain")[1].keys() <= both.last("error")[1].keys()
    assert {"prompt_hash", "finish_reason"} <= both.last("plain")[0].keys() - both.last("error")[0].keys()


def test_timestamps_have_milliseconds(both: Both) -> None:
    """The SDK's are of whole seconds, which puts the calls of one agent in any order; ours have milliseconds."""
    theirs, ours = both.last("plain")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", theirs["timestamp"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ours["timestamp"])


def test_ids_have_w3c_s_format(both: Both) -> None:
    """The SDK's trace and span ids are UUIDs, which no traceparent can carry; ours are W3C's. Event ids are UUIDs."""
    theirs, ours = both.last("plain")
    uuid = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert all(re.fullmatch(uuid, theirs[name]) for name in ("event_id", "trace_id", "span_id"))
    assert re.fullmatch(uuid, ours["event_id"])
    assert re.fullmatch(r"[0-9a-f]{32}", ours["trace_id"])
    assert re.fullmatch(r"[0-9a-f]{16}", ours["span_id"])


def test_durations_are_in_milliseconds(both: Both) -> None:
    """In milliseconds; whole ones for the whole call, as in the SDK's plain calls."""
    for call in CALLS:
        _, ours = both.last(call)
        assert 20 <= ours["latency_ms"] < 2000, call
        assert isinstance(ours["latency_ms"], int)
        assert ("ttft_ms" in ours) == ("ttft_ms" in both.theirs[call][0]), call
    assert isinstance(both.last("plain")[0]["latency_ms"], int)


def test_the_sdk_name_has_the_language(both: Both) -> None:
    """The backend derives the language from the SDK's name."""
    theirs, ours = both.last("plain")
    assert theirs["sdk_name"] == "zespan-python"
    assert (ours["sdk_name"], ours["sdk_version"]) == ("zespan-serverless-python", zespan_serverless.__version__)


@pytest.mark.parametrize("number", [0, 1], ids=["failing", "with metadata"])
def test_a_step_has_the_fields_of_the_sdk_s_span(both: Both, number: int) -> None:
    """A step has the fields of the SDK's manual span."""
    theirs, ours = both.their_spans[number], both.our_spans[number]
    assert other_types(theirs, ours) == set()
    assert other_values(theirs, ours) == OTHER_IN_SPANS.keys()
    assert (theirs["operation"], ours["operation"]) == ("custom", "step")


def test_an_invocation_has_valid_fields(both: Both) -> None:
    """The event of an invocation, which the SDK does not have, uses the same fields."""
    ours = both.our_spans[2]
    assert other_types(both.their_spans[1], ours) == set()
    assert (ours["provider"], ours["model"], ours["operation"]) == ("", "", "my-function")
    assert len(both.our_spans) == len(both.their_spans) + 1
