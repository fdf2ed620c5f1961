"""Whatever an instrumentation writes into a span, it becomes an event."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless import _trace, init
from zespan_serverless._process import current
from zespan_serverless.exporters._event import encoded
from zespan_serverless.opentelemetry import _openinference, _records

NAMES = (
    *_records.CONTENT,
    *(name for names in _records.USAGE.values() for name in names),
    *("gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "gen_ai.response.finish_reasons"),
    *("gen_ai.tool.name", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.agent.name"),
    *("gen_ai.retrieval.query.text", "gen_ai.retrieval.documents", "gen_ai.conversation.id", "error.type"),
    *("gen_ai.response.time_to_first_chunk", "gen_ai.request.stream", "db.statement"),
    *_openinference._NAMES,
    *("llm.input_messages.0.message.role", "llm.input_messages.0.message", "llm.input_messages.x.y", "input.value"),
    *("llm.output_messages.1.message.contents.0.message_content.text", "llm.tools.0.tool.json_schema", "output.value"),
    *("retrieval.documents.0.document.content", "embedding.embeddings.0.embedding.text", "llm.provider"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("parts", "content", "role")), inner),
    max_leaves=6,
)
SIMPLE = st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | JSON.map(json.dumps)
VALUES = SIMPLE | st.lists(SIMPLE, max_size=2).map(tuple)


def ended(attributes: dict[str, Any], status: str) -> Any:
    """Return a span as OpenTelemetry's SDK gives it at its end."""
    return SimpleNamespace(
        name="span",
        attributes=attributes,
        start_time=1_000_000_000,
        end_time=1_500_000_000,
        events=[SimpleNamespace(name="exception", attributes={"exception.type": "ValueError"})],
        status=SimpleNamespace(status_code=SimpleNamespace(name=status), description=None),
        get_span_context=lambda: SimpleNamespace(trace_id=1, span_id=2),
    )


@pytest.mark.parametrize("stores", [True, False])
@given(
    operation=st.sampled_from((*_records.KINDS, "other")),
    attributes=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8),
    status=st.sampled_from(("OK", "UNSET", "ERROR")),
)
def test_any_attributes_make_an_event(stores: bool, operation: str, attributes: dict[str, Any], status: str) -> None:
    """Of the kind of its operation, with the duration of the span."""
    init(exporter="memory", store_prompts=stores)
    container = current()
    assert container is not None
    attributes = {"gen_ai.operation.name": operation, **attributes}
    begun = _records.Begun(_trace.new_span(), "", is_inside_call=False)
    begun.see(attributes)
    made = container.policy.applied(_records.record(begun, ended(attributes, status), container))
    event = json.loads(encoded(made))
    assert event["span_kind"] == _records.KINDS.get(operation, "general")
    assert (event["latency_ms"], event["status"]) == (500, "error" if status == "ERROR" else "success")


@pytest.mark.parametrize("stores", [True, False])
@given(
    kind=st.sampled_from((*_openinference._OPERATIONS, "CHAIN", "GUARDRAIL", "?")),
    attributes=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8),
)
def test_any_attributes_of_openinference_make_an_event(stores: bool, kind: str, attributes: dict[str, Any]) -> None:
    """Of the kind that OpenInference names, unless the span has an operation of OpenTelemetry's."""
    init(exporter="memory", store_prompts=stores)
    container = current()
    assert container is not None
    attributes = {**attributes, _openinference.KIND: kind}
    begun = _records.Begun(_trace.new_span(), "", is_inside_call=False)
    begun.see(attributes)
    made = container.policy.applied(_records.record(begun, ended(attributes, "OK"), container))
    event = json.loads(encoded(made))
    if kind in _openinference._OPERATIONS:
        assert event["span_kind"] == _records.KINDS[_openinference._OPERATIONS[kind]]


def test_the_number_of_a_message_may_be_any() -> None:
    """Messages are in the order of their numbers, of which Python converts no text to one."""
    long = "9" * 5000
    names = {f"llm.input_messages.{number}.message.content": number for number in ("10", long, "2")}
    made = _openinference.translated({_openinference.KIND: "LLM", **names})
    assert [one["content"] for one in json.loads(made["gen_ai.input.messages"])] == ["2", "10", long]
