"""What becomes of a record as a span: names by OpenTelemetry's conventions, kinds, status, links, ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.exporters.otlp import support
from zespan_serverless._record.noted import left_behind, timed_out, to_journal
from zespan_serverless._record.policy import Policy
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._trace.context import Caller
from zespan_serverless._trace.context import Span as Here
from zespan_serverless.exporters.otlp import _json, _protobuf
from zespan_serverless.exporters.otlp._attributes import flat
from zespan_serverless.exporters.otlp._records import span_of
from zespan_serverless.exporters.otlp._resource import attributes_of
from zespan_serverless.settings import Settings

CALL = {
    "zespan.event_id": "e-call",
    "zespan.span_kind": "llm",
    "zespan.prompt_hash": "d1",
    "zespan.time_to_first_token": 0.025,
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.request.stream": True,
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.finish_reasons": ["tool_calls"],
    "gen_ai.response.time_to_first_chunk": 0.02,
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 40,
    "gen_ai.usage.cache_read.input_tokens": 64,
    "gen_ai.usage.cache_creation.input_tokens": 16,
    "gen_ai.usage.reasoning.output_tokens": 8,
    "gen_ai.usage.cost": 0.0015,
    "gen_ai.conversation.id": "c-1",
    "user.id": "u-1",
    "session.id": "s-1",
    "tag.team": "search",
}
CALL_JSON: dict[str, Any] = {
    "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
    "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]}],
    "gen_ai.output.messages": [
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Let me look."},
                {"type": "tool_call", "id": None, "name": "weather", "arguments": {"city": "Paris"}},
            ],
            "finish_reason": "tool_calls",
        }
    ],
    "gen_ai.tool.definitions": [{"type": "function", "name": "weather", "description": "Tells the weather"}],
}


def test_a_call_of_a_model() -> None:
    """Every attribute by its name in the conventions; messages and tools as the text of JSON."""
    span = span_of(support.call())
    parsed = {name: json.loads(span.attributes.pop(name)) for name in CALL_JSON}
    assert parsed == CALL_JSON
    assert span.attributes == CALL
    assert (span.name, span.kind, span.code) == ("chat gpt-4o", 3, 0)
    assert (span.trace_id, span.span_id, span.parent) == (support.TRACE, support.CALL, support.ROOT)
    assert (span.end, span.end - span.start) == (1_700_000_000_250_000_000, 100_000_000)


def test_without_prompts_there_is_no_content() -> None:
    """The names of tools stay, as in other events."""
    record = Policy(Settings(store_prompts=False)).applied(support.call())
    attributes = span_of(record).attributes
    assert not [name for name in attributes if "messages" in name or "instructions" in name]
    assert attributes["zespan.tools_used"] == ["weather"]
    assert "Paris" not in str(attributes)


def test_what_is_redacted_stays_so() -> None:
    """Whole parts of a record, in the place of any type."""
    names = ("prompt_text", "completion_text", "tool_call_args", "tool_definitions", "tags", "metadata", "user_id")
    record = support.call(attributes={"secret_plan": "x"})
    attributes = span_of(Policy(Settings(redact_keys=names)).applied(record)).attributes
    assert attributes["gen_ai.tool.definitions"] == attributes["tags"] == attributes["user.id"] == "[REDACTED]"
    assert attributes["zespan.metadata"] == "[REDACTED]"
    assert "Paris" not in str(attributes)
    assert "secret_plan" not in attributes


def test_unknown_token_counts_are_left_out() -> None:
    """Which is not none."""
    record = support.call()
    assert record.model is not None
    answer = record.model.answer
    answer.known, answer.input_tokens, answer.output_tokens = False, 0, 0
    assert "gen_ai.usage.input_tokens" not in span_of(record).attributes


def test_an_invocation_is_a_server_span() -> None:
    """A server's span with what the platform has told; the process is the resource."""
    span = span_of(support.root())
    assert (span.name, span.kind, span.parent) == ("handler", 2, "")
    assert span.attributes == {
        "zespan.event_id": "e-root",
        "zespan.span_kind": "invocation",
        "faas.trigger": "http",
        "faas.coldstart": True,
        "faas.invocation_id": "r-1",
    }
    assert span.flags == 0x103  # the parent is not remote; sampled, and random


def test_messages_of_a_queue_have_a_consumer_and_links() -> None:
    """Each message may belong to a trace of its own. What is no link is left out."""
    record = support.root()
    good = {"trace_id": "a" * 32, "span_id": "b" * 16, "messaging.message.id": "m-1"}
    bad = {"trace_id": "0" * 32, "span_id": "b" * 16}
    record.attributes = {"faas.trigger": "pubsub", "links": [good, bad, {"trace_id": "x"}, "no link"]}
    span = span_of(record)
    assert span.kind == 5
    assert span.links == [("a" * 32, "b" * 16, {"messaging.message.id": "m-1"}, 0x300)]
    assert "links" not in span.attributes


def test_links_of_a_users_own_stay_an_attribute() -> None:
    """Metadata may have any name."""
    record = support.step("general", "step")
    record.attributes = {"links": ["https://example.com"], "stack": "blue"}
    record.fail("no")
    span = span_of(record)
    assert (span.links, span.attributes["links"]) == ([], ["https://example.com"])
    assert span.attributes["stack"] == "blue"


def test_what_the_caller_hands_on_is_kept() -> None:
    """`tracestate` and the random flag, in every span; the invocation's parent is in another process."""
    here = Here(support.TRACE, support.ROOT, "c" * 16)
    here.caller = Caller(support.TRACE, "c" * 16, 0x01, "vendor=1")
    made = span_of(Record(here, support.resource(), "invocation", "handler"))
    assert (made.state, made.flags, made.parent) == ("vendor=1", 0x301, "c" * 16)
    child = span_of(Record(here.child(), support.resource(), "general", "step"))
    assert (child.state, child.flags) == ("vendor=1", 0x101)


def test_a_failure_sets_status_and_exception_event() -> None:
    """The status says so, and an event like that of OpenTelemetry's SDKs."""
    record = support.call(attributes={"error.type": "RateLimitError"})
    record.fail("Slow down")
    span = span_of(record)
    assert (span.code, span.message) == (2, "Slow down")
    assert span.events == [
        ("exception", span.end, {"exception.type": "RateLimitError", "exception.message": "Slow down"})
    ]


STEPS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "tool",
        {"tool": "weather", "arguments": {"city": "Paris"}, "result": "21°"},
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "weather",
            "gen_ai.tool.call.arguments": '{"city":"Paris"}',
            "gen_ai.tool.call.result": "21°",
        },
    ),
    (
        "retriever",
        {"query": "weather", "count": 2, "documents": [{"document_id": "d", "score": 0.5, "content": "sunny"}]},
        {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.retrieval.query.text": "weather",
            "gen_ai.retrieval.documents": '[{"id":"d","score":0.5,"content":"sunny"}]',
            "zespan.retrieval.count": 2,
        },
    ),
    (
        "planning",
        {"plan": ["look", "answer"], "rationale": "because"},
        {
            "gen_ai.operation.name": "plan",
            "zespan.plan.steps": ["look", "answer"],
            "zespan.plan.rationale": "because",
        },
    ),
    (
        "handoff",
        {"source": "a", "source_id": "1", "target": "b", "reason": "why"},
        {
            "zespan.handoff.from": "a",
            "zespan.handoff.from_id": "1",
            "zespan.handoff.to": "b",
            "zespan.handoff.reason": "why",
        },
    ),
    (
        "agent",
        {"tools": [{"name": "t"}]},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.tool.definitions": '[{"type":"function","name":"t"}]'},
    ),
    ("general", {}, {}),
]


@pytest.mark.parametrize(("kind", "parts", "expected"), STEPS, ids=[kind for kind, *_ in STEPS])
def test_a_step_has_conventional_attribute_names(kind: str, parts: dict[str, Any], expected: dict[str, Any]) -> None:
    """What a step is about has a name in the conventions, or one below `zespan.`."""
    span = span_of(support.step(kind, "step", **parts))
    common = {"user.id": "u-1", "session.id": "s-1", "tag.team": "search"}
    own = {"zespan.event_id": "e-step", "zespan.span_kind": kind}
    assert span.attributes == {**common, **own, **expected}
    assert (span.name, span.kind) == ("step", 1)


def test_the_agent_at_work() -> None:
    """It is in every span below it."""
    record = support.step("general", "step")
    record.agent = {"agent_id": "1", "agent_name": "planner", "agent_role": "lead", "parent_agent_id": None}
    attributes = span_of(record).attributes
    assert attributes["gen_ai.agent.id"] == "1"
    assert attributes["gen_ai.agent.name"] == "planner"
    assert attributes["zespan.agent.role"] == "lead"
    assert "zespan.agent.parent_id" not in attributes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (0.5, 0.5),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [1, 2]),
        ([1, 2**63], "[1,9223372036854775808]"),
        ([1, "a"], '[1,"a"]'),
        ([1, True], "[1,true]"),
        ([], "[]"),
        ({"a": 1}, '{"a":1}'),
        ([{"a": 1}], '[{"a":1}]'),
        ([None], "[null]"),
    ],
)
def test_attributes_have_the_types_that_every_backend_takes(value: object, expected: object) -> None:
    """Texts, numbers, booleans, and lists of one of these; anything else as the text of JSON."""
    assert flat(value) == expected
    assert type(flat(value)) is type(expected)


def test_the_users_own_attributes_come_last() -> None:
    """Metadata of a step has the names that the user has given it."""
    record = support.step("general", "step")
    record.attributes = {"gen_ai.agent.name": "mine", "nested": {"a": [1]}}
    attributes = span_of(record).attributes
    assert (attributes["gen_ai.agent.name"], attributes["nested"]) == ("mine", '{"a":[1]}')


def test_the_resource_describes_service_and_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service, the deployment, the cloud, and the SDK; the user's variables come first."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "search-function")
    found = attributes_of(support.resource(), {"team": "search"})
    version = found.pop("telemetry.sdk.version")
    assert version == support.resource().sdk_version
    assert found == {
        "service.name": "search-function",
        "telemetry.sdk.name": "zespan-serverless-python",
        "telemetry.sdk.language": "python",
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "faas.instance": "log-stream",
        "deployment.environment.name": "production",
        "team": "search",
    }
    given = {"service.name": "mine", "deployment.environment.name": "theirs"}
    assert attributes_of(support.resource(), given)["service.name"] == "mine"
    assert attributes_of(support.resource(), given)["deployment.environment.name"] == "theirs"
    assert attributes_of(support.resource(environment="stage"), given)["deployment.environment.name"] == "stage"


def captured(**fields: Any) -> Record:
    record = Record(Here(support.TRACE, support.CALL, support.ROOT), Resource(Settings()), "general", "custom")
    record.ended, record.fields = support.ENDED, fields
    return record


def test_a_captured_event_is_a_span() -> None:
    """The fields of the SDK `zespan` have the same names as a traced call."""
    span = span_of(
        captured(
            operation="summarize",
            span_kind="llm",
            latency_ms=120,
            timestamp="2026-01-31T12:00:00.500Z",
            provider="openai",
            model="gpt-4o",
            input_tokens=3,
            output_tokens=4,
            cost_usd=0.1,
            prompt_text='[{"role": "user", "content": "Hi"}]',
            completion_text="Hello",
            ttft_ms=50,
            finish_reason="stop",
            metadata={"step": 2},
            tags={"a": "b"},
            ab_test=True,
        )
    )
    assert (span.name, span.kind, span.end - span.start) == ("summarize", 3, 120_000_000)
    assert span.end == 1_769_860_800_500_000_000
    found = span.attributes
    assert json.loads(found["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
    ]
    assert json.loads(found["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "Hello"}]
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.usage.cost": 0.1,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.05,
        "zespan.span_kind": "llm",
        "zespan.ab_test": True,
        "step": 2,
        "tag.a": "b",
    }
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("123E4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"),
        ("A" * 32, "a" * 32),
    ],
)
def test_a_captured_id_in_another_form_is_kept(given: str, expected: str) -> None:
    """A UUID has the digits of a trace id."""
    span = span_of(captured(trace_id=given))
    assert span.trace_id == expected
    assert span.attributes["zespan.trace_id"] == given


@pytest.mark.parametrize("given", ["order-17", "0" * 32, 17, "", ["x"], None])
def test_any_captured_id_becomes_one_that_otlp_has(given: object) -> None:
    """Spans of one id stay together, and one that OTLP does not allow does not make a backend refuse the others."""
    one, two = (span_of(captured(trace_id=given, span_id="x", parent_span_id="p")) for _ in range(2))
    assert one.trace_id == two.trace_id
    for encoding in (_protobuf, _json):
        assert encoding.encode(one)
    assert (len(one.trace_id), len(one.span_id), len(one.parent)) == (32, 16, 16)


def test_fields_of_any_type_can_be_encoded() -> None:
    """Nothing that is captured is lost because a field has an odd value."""
    odd: list[object] = [None, "x", 2**70, -1.5, [], {}, [{"a": None}], True]
    names = ("timestamp", "latency_ms", "status", "input_tokens", "tags", "metadata", "span_kind", "ttft_ms", "model")
    for value in odd:
        allowed = Policy(Settings()).applied(captured(**dict.fromkeys(names, value)))
        for encoding in (_protobuf, _json):
            assert encoding.encode(span_of(allowed))


def test_spans_that_never_ended_are_failures() -> None:
    """The function's timeout, with where it was, and a process that has died."""
    begun = support.root()
    begun.duration_ms = 0.0
    noted = {"deadline": support.ENDED + 3, "noted": support.ENDED + 3, "stack": "line 1", "trace_id": support.TRACE}
    span = span_of(timed_out(begun, noted))
    assert (span.end - span.start, span.code) == (3_000_000_000, 2)
    ((_, _, exception),) = span.events
    assert exception["exception.type"] == "timeout"
    assert exception["exception.stacktrace"] == "line 1"
    kept = [to_journal(support.call()), to_journal(begun)]
    crashed = [span_of(one) for one in left_behind(kept, [], support.ENDED + 1, Settings())]
    assert [(one.name, one.attributes["error.type"]) for one in crashed] == [
        ("chat gpt-4o", "crashed"),
        ("handler", "crashed"),
    ]
    assert "Weather in Paris?" in crashed[0].attributes["gen_ai.input.messages"]
