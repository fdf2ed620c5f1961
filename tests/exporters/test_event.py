"""A record as an event of Zespan's: names and types of its fields."""

from __future__ import annotations

import datetime
import json
import time
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless._record.model import Answer, Model, Prompt
from zespan_serverless._record.policy import Policy
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._trace import context
from zespan_serverless.exporters._event import encoded, event_of, timestamp
from zespan_serverless.settings import Settings


def test_every_event_has_the_sdks_fields() -> None:
    """Names and types as the backend knows them."""
    span = context.Span("a" * 32, "b" * 16, "c" * 16, "user", "session", {"tier": "gold"})
    settings = Settings(environment="staging", tags={"team": "search", "tier": "lead"})
    before = time.time()
    resource = Resource(settings, settings.tags)
    event = event_of(Record(span, resource, "tool", "look up", 12.6))
    assert uuid.UUID(event.pop("event_id")).version == 4
    at = datetime.datetime.fromisoformat(event.pop("timestamp"))
    assert at.tzinfo == datetime.UTC
    assert before - 0.001 <= at.timestamp() <= time.time() + 0.001
    assert "." in event.pop("sdk_version")
    assert event == {
        "project_id": "",
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "parent_span_id": "c" * 16,
        "provider": "",
        "model": "",
        "operation": "look up",
        "latency_ms": 13,
        "stream": False,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": None,
        "status": "success",
        "error_message": None,
        "environment": "staging",
        "user_id": "user",
        "session_id": "session",
        "tags": {"team": "search", "tier": "gold"},
        "span_kind": "tool",
        "sdk_name": "zespan-serverless-python",
    }


def test_event_ids_differ() -> None:
    """Each event has an id of its own: the backend tells a repeated delivery by it."""
    spans = [context.new_span() for _ in range(100)]
    ids = {event_of(Record(span, Resource(Settings()), "general", "x"))["event_id"] for span in spans}
    assert len(ids) == 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1700000000.0004, "2023-11-14T22:13:20.000Z"),
        (1700000000.9994, "2023-11-14T22:13:20.999Z"),
        (1700000039.9996, "2023-11-14T22:14:00.000Z"),  # 22:13:59.9996: over to the next minute
        (1704067199.9997, "2024-01-01T00:00:00.000Z"),  # and year
        (1709164800.5, "2024-02-29T00:00:00.500Z"),
    ],
)
def test_a_timestamp_is_rfc_3339_in_utc(seconds: float, text: str) -> None:
    """RFC 3339 in UTC, rounded to the millisecond, and no minute of 60 seconds."""
    assert timestamp(seconds) == text


@given(st.floats(0, 4e9))
def test_timestamp_to_the_millisecond(seconds: float) -> None:
    """Never off by more than half of one, at any time."""
    read = datetime.datetime.fromisoformat(timestamp(seconds)).timestamp()
    assert abs(read - seconds) <= 0.000502


def called(**settings: Any) -> tuple[Policy, Record]:
    """Return a model call with everything in it."""
    policy = Policy(Settings(**settings))
    prompt = Prompt([{"role": "user", "content": "the question"}])
    prompt.system, prompt.tools = "the rules", [{"name": "weather", "description": "of today"}]
    answer = Answer()
    answer.model, answer.text, answer.finish_reason = "gpt-4o-mini", "the answer", "stop"
    answer.tool("weather", '{"token": "secret", "city": "Bern"}')
    record = Record(context.new_span(), Resource(Settings()), "llm", "chat")
    record.model = Model("openai", "gpt-4o", prompt, answer)
    return policy, record


def test_a_call_of_a_model_has_its_content() -> None:
    """Messages and arguments of tools as the text of their JSON, without secrets; and the model that answered."""
    policy, record = called()
    event = event_of(policy.applied(record))
    assert (event["provider"], event["model"], event["operation"]) == ("openai", "gpt-4o-mini", "chat")
    assert json.loads(event["prompt_text"]) == [{"role": "user", "content": "the question"}]
    assert (event["completion_text"], event["system_prompt"]) == ("the answer", "the rules")
    assert json.loads(event["tool_call_args"]) == {"weather": {"token": "[REDACTED]", "city": "Bern"}}
    assert (event["tools_used"], event["decision_rationale"]) == (["weather"], "the answer")


def test_without_prompts_a_call_of_a_model_keeps_its_numbers() -> None:
    """No field has anything that was said; which tools were called is still known."""
    policy, record = called(store_prompts=False)
    event = event_of(policy.applied(record))
    assert {"prompt_text", "completion_text", "system_prompt", "decision_rationale"}.isdisjoint(event)
    assert (event["tool_call_args"], event["tools_used"], event["model"]) == (None, ["weather"], "gpt-4o-mini")


@pytest.mark.parametrize(
    ("key", "field", "hidden"),
    [
        ("operation", "operation", "[REDACTED]"),
        ("metadata", "metadata", "[REDACTED]"),
        ("user_id", "user_id", "[REDACTED]"),
        ("session_id", "session_id", "[REDACTED]"),
        ("tags", "tags", "[REDACTED]"),
        ("provider", "provider", "[REDACTED]"),
        ("model", "model", "[REDACTED]"),
        ("finish_reason", "finish_reason", "[REDACTED]"),
        ("prompt_text", "prompt_text", "[REDACTED]"),
        ("system_prompt", "system_prompt", "[REDACTED]"),
        ("completion_text", "completion_text", "[REDACTED]"),
        ("tool_call_args", "tool_call_args", '{"weather":"[REDACTED]"}'),
        ("tool_definitions", "tool_definitions", "[REDACTED]"),
    ],
)
def test_a_whole_field_can_be_redacted(key: str, field: str, hidden: str) -> None:
    """By the name that the event has for it; all others stay."""
    policy, record = called(redact_keys=[key])
    record.user_id, record.session_id, record.tags, record.attributes = "u", "s", {"a": "b"}, {"c": 1}
    whole = event_of(Policy(Settings(redact_keys=())).applied(record))
    event = event_of(policy.applied(record))
    assert event[field] == hidden
    others = {name for name in whole if event[name] != whole[name]}
    assert others <= {field, "decision_rationale"}


def test_fields_of_a_users_own_come_first() -> None:
    """What `capture` was given overrules what the record says, under whatever name."""
    record = Record(context.new_span(), Resource(Settings()), "general", "custom")
    record.fields = {"operation": "mine", "latency_ms": "soon", "unheard_of": [1]}
    event = json.loads(encoded(Policy(Settings()).applied(record)))
    assert (event["operation"], event["latency_ms"], event["unheard_of"]) == ("mine", "soon", [1])
