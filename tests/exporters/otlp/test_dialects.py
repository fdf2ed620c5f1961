"""What a backend with a name gets beside OpenTelemetry's names: attribute by attribute, as its documentation has it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.exporters.otlp import support
from zespan_serverless._record.policy import Policy
from zespan_serverless.exporters.otlp._dialects import DIALECTS
from zespan_serverless.exporters.otlp._records import span_of
from zespan_serverless.settings import Settings
from zespan_serverless.settings._backends import BACKENDS

MESSAGES = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]}])
ANSWER = json.dumps(
    [
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Let me look."},
                {"type": "tool_call", "id": None, "name": "weather", "arguments": {"city": "Paris"}},
            ],
            "finish_reason": "tool_calls",
        }
    ]
)
TOOL: dict[str, Any] = {"tool": "weather", "arguments": {"city": "Paris"}, "result": "21"}
SEARCH: dict[str, Any] = {"query": "weather", "documents": [{"document_id": "d"}]}

CALLS: dict[str, dict[str, Any]] = {
    "langfuse": {
        "langfuse.observation.type": "generation",
        "langfuse.observation.completion_start_time": "2023-11-14T22:13:20.175+00:00",
        "langfuse.observation.usage_details": {
            "input": 20,
            "output": 32,
            "total": 140,
            "input_cached_tokens": 64,
            "input_cache_creation": 16,
            "output_reasoning_tokens": 8,
        },
        "langfuse.observation.cost_details": {"total": 0.0015},
        "langfuse.trace.tags": ["team:search"],
    },
    "phoenix": {
        "openinference.span.kind": "LLM",
        "input.value": json.loads(MESSAGES),
        "input.mime_type": "application/json",
        "output.value": json.loads(ANSWER),
        "output.mime_type": "application/json",
        "llm.token_count.prompt": 100,
        "llm.token_count.completion": 40,
        "llm.token_count.total": 140,
        "llm.token_count.prompt_details.cache_read": 64,
        "llm.token_count.prompt_details.cache_write": 16,
        "llm.token_count.completion_details.reasoning": 8,
        "llm.cost.total": 0.0015,
        "tag.tags": ["team:search"],
    },
    "braintrust": {
        "braintrust.span_attributes.type": "llm",
        "braintrust.input_json": json.loads(MESSAGES),
        "braintrust.output_json": json.loads(ANSWER),
        "braintrust.metrics.prompt_tokens": 100,
        "braintrust.metrics.completion_tokens": 40,
        "braintrust.metrics.tokens": 140,
        "braintrust.metrics.prompt_cached_tokens": 64,
        "braintrust.metrics.prompt_cache_creation_tokens": 16,
        "braintrust.metrics.completion_reasoning_tokens": 8,
        "braintrust.metrics.estimated_cost": 0.0015,
        "braintrust.metrics.time_to_first_token": 0.025,
        "braintrust.tags": ["team:search"],
    },
    "langsmith": {
        "langsmith.span.kind": "llm",
        "gen_ai.prompt": json.loads(MESSAGES),
        "gen_ai.completion": json.loads(ANSWER),
        "gen_ai.system": "openai",
        "langsmith.usage_metadata": {
            "input_tokens": 100,
            "output_tokens": 40,
            "total_tokens": 140,
            "input_token_details": {"cache_read": 64, "cache_creation": 16},
            "output_token_details": {"reasoning": 8},
            "total_cost": 0.0015,
        },
        "langsmith.metadata.session_id": "s-1",
        "langsmith.metadata.user_id": "u-1",
        "langsmith.span.tags": "team:search",
    },
}


def added(name: str, record: Any) -> dict[str, Any]:
    """Return what a dialect adds to the attributes of a record's span; texts of JSON parsed."""
    span = span_of(record)
    before = dict(span.attributes)
    DIALECTS[name](span, span.attributes)
    new = {key: value for key, value in span.attributes.items() if key not in before}
    assert {key: span.attributes[key] for key in before} == before
    return {key: json.loads(v) if isinstance(v, str) and v[:2] in ("[{", '{"') else v for key, v in new.items()}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_a_model(name: str) -> None:
    """Tokens by kind, cost, time to the first token, input and output, tags."""
    assert added(name, support.call()) == CALLS[name]


STEPS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("langfuse", "tool", TOOL, {"langfuse.observation.type": "tool"}),
    (
        "langfuse",
        "retriever",
        SEARCH,
        {
            "langfuse.observation.type": "retriever",
            "langfuse.observation.input": "weather",
            "langfuse.observation.output": [{"id": "d"}],
        },
    ),
    ("langfuse", "agent", {}, {"langfuse.observation.type": "agent"}),
    ("langfuse", "general", {}, {"langfuse.observation.type": "span"}),
    (
        "phoenix",
        "tool",
        TOOL,
        {
            "openinference.span.kind": "TOOL",
            "input.value": {"city": "Paris"},
            "input.mime_type": "application/json",
            "output.value": "21",
            "output.mime_type": "text/plain",
        },
    ),
    ("phoenix", "agent", {}, {"openinference.span.kind": "AGENT"}),
    ("phoenix", "general", {}, {"openinference.span.kind": "CHAIN"}),
    (
        "braintrust",
        "tool",
        TOOL,
        {
            "braintrust.span_attributes.type": "tool",
            "braintrust.input_json": {"city": "Paris"},
            "braintrust.output_json": '"21"',
        },
    ),
    ("braintrust", "general", {}, {"braintrust.span_attributes.type": "task"}),
    (
        "langsmith",
        "tool",
        TOOL,
        {"langsmith.span.kind": "tool", "gen_ai.prompt": {"city": "Paris"}, "gen_ai.completion": "21"},
    ),
    ("langsmith", "general", {}, {"langsmith.span.kind": "chain"}),
]
ALWAYS: dict[str, dict[str, Any]] = {
    "langfuse": {"langfuse.trace.tags": ["team:search"]},
    "phoenix": {"tag.tags": ["team:search"]},
    "braintrust": {"braintrust.tags": ["team:search"]},
    "langsmith": {
        "langsmith.span.tags": "team:search",
        "langsmith.metadata.session_id": "s-1",
        "langsmith.metadata.user_id": "u-1",
    },
}


@pytest.mark.parametrize(("name", "kind", "parts", "expected"), STEPS)
def test_a_step_has_the_backend_s_names(name: str, kind: str, parts: dict[str, Any], expected: dict[str, Any]) -> None:
    """A step has its kind, input and output with the backend's names."""
    assert added(name, support.step(kind, "step", **parts)) == {**ALWAYS[name], **expected}


def test_the_invocation_names_the_trace() -> None:
    """Where a trace has a name of its own."""
    assert added("langfuse", support.root()) == {
        "langfuse.observation.type": "span",
        "langfuse.trace.name": "handler",
    }


@pytest.mark.parametrize("name", DIALECTS)
def test_what_may_not_be_sent_is_under_no_name(name: str) -> None:
    """Without prompts, and with keys that are redacted."""
    record = Policy(Settings(store_prompts=False, redact_keys=("user_id",))).applied(support.call())
    text = str(added(name, record))
    assert "Paris" not in text
    assert "u-1" not in text


@pytest.mark.parametrize("name", DIALECTS)
def test_unknown_token_counts_are_left_out_for_every_backend(name: str) -> None:
    """Which is not 0."""
    record = support.call()
    assert record.model is not None
    answer = record.model.answer
    answer.known, answer.input_tokens, answer.output_tokens, record.model.cost = False, 0, 0, None
    found = added(name, record)
    assert not [key for key in found if "token_count" in key or "usage" in key or "_tokens" in key or "cost" in key]


def test_every_dialect_is_one_of_a_backend_with_a_name() -> None:
    """Every dialect is the name of a backend in the settings."""
    assert set(DIALECTS) < set(BACKENDS)
    assert set(DIALECTS) == set(CALLS) == set(ALWAYS)


def test_the_page_names_what_each_backend_gets() -> None:
    """Attribute by attribute: each name in a column of the table is sent to that backend."""
    page = (Path(__file__).parents[3] / "docs/backends.md").read_text()
    rows = page[page.index("| | every backend |") :].partition("\n\n")[0].splitlines()
    columns = [cell.strip(" `") for cell in rows[0].split("|")[2:-1]]
    sent = {name: _names(name) for name in columns}
    told = [
        (column, name)
        for row in rows[2:]
        for column, cell in zip(columns, row.split("|")[2:-1], strict=True)
        for name in re.findall(r"`(\w+\.[\w.]+)`", cell)
    ]
    assert len(told) > 50
    assert [(column, name) for column, name in told if name not in sent[column]] == []


def _names(dialect: str) -> set[str]:
    """Return the attributes of an invocation, a model call, a failure, a tool and a search."""
    failed = support.root()
    failed.fail(ValueError("made up"))
    found: set[str] = set()
    for record in (failed, support.call(), support.step("tool", "t", **TOOL), support.step("retriever", "r", **SEARCH)):
        span = span_of(record)
        if dialect in DIALECTS:
            DIALECTS[dialect](span, span.attributes)
        found |= span.attributes.keys()
    return found
