"""Names a record's attributes by OpenTelemetry's semantic conventions, and others below `zespan.`.

https://opentelemetry.io/docs/specs/semconv/gen-ai/ and https://opentelemetry.io/docs/specs/semconv/faas/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._record.values import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..._record.model import Model
    from ..._record.record import Record
    from ..._record.step import Step

KNOWN_OPERATIONS = frozenset(("chat", "embeddings", "generate_content", "invoke_agent", "retrieval", "text_completion"))
"""Names of records that are OpenTelemetry's `gen_ai.operation.name`."""

_OPERATIONS = {
    "llm": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "retriever": "retrieval",
    "planning": "plan",
}
_NO_OPERATION = frozenset(("invocation", "general", "chain", "handoff"))

_AGENT = {
    "agent_id": "gen_ai.agent.id",
    "agent_name": "gen_ai.agent.name",
    "agent_role": "zespan.agent.role",
    "agent_framework": "zespan.agent.framework",
    "parent_agent_id": "zespan.agent.parent_id",
}
_STEP = {
    "tool": "gen_ai.tool.name",
    "arguments": "gen_ai.tool.call.arguments",
    "result": "gen_ai.tool.call.result",
    "query": "gen_ai.retrieval.query.text",
    "count": "zespan.retrieval.count",
    "plan": "zespan.plan.steps",
    "rationale": "zespan.plan.rationale",
    "source": "zespan.handoff.from",
    "source_id": "zespan.handoff.from_id",
    "target": "zespan.handoff.to",
    "reason": "zespan.handoff.reason",
}
_CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"
"""Tokens written to a cache, by the name that backends know; OpenTelemetry will call them `cache_write`."""

_INT_MAX = 2**63
_SCALARS = (str, bool, int, float)


def attributes_of(record: Record) -> dict[str, Any]:
    """Return a span's attributes. The user's own attributes come last."""
    found: dict[str, Any] = {"zespan.event_id": record.event_id, "zespan.span_kind": record.kind}
    if record.kind not in _NO_OPERATION:
        is_known = record.model is not None and record.name in KNOWN_OPERATIONS
        found["gen_ai.operation.name"] = record.name if is_known else _OPERATIONS.get(record.kind, record.kind)
    if record.model is not None:
        _add_model(found, record.model)
    if record.agent is not None:
        found.update((name, record.agent.get(field)) for field, name in _AGENT.items())
    if record.step is not None:
        _add_step(found, record.step)
    found["user.id"], found["session.id"] = record.user_id, record.session_id
    found["gen_ai.conversation.id"] = record.conversation_id
    add_tags(found, record)
    own: Any = record.attributes
    if isinstance(own, dict):
        found.update(own)
    elif own:  # redacted as a whole, or captured by the user
        found["zespan.metadata"] = own
    if _CACHE_WRITE in found:
        found[CACHE_CREATION] = found.pop(_CACHE_WRITE)
    return flattened(found)


def add_tags(found: dict[str, Any], record: Record) -> None:
    """Add the tags of the settings and the span, each as an attribute, or the text that replaces them."""
    tags: Any = record.tags
    if isinstance(tags, str):
        found["tags"] = tags
        return
    for key, value in {**record.resource.tags, **(tags or {})}.items():
        found[f"tag.{key}"] = value


def flattened(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes of types that every backend accepts, without those that are None."""
    return {name: value if type(value) is str else flat(value) for name, value in found.items() if value is not None}


def flat(value: Any) -> Any:
    """Convert a value to an attribute. Maps and mixed lists, which few backends accept, become JSON text."""
    kind = type(value)
    if kind is str or kind is bool or kind is float or (kind is int and -_INT_MAX <= value < _INT_MAX):
        return value
    if kind is list and value:
        first = type(value[0])
        if first in _SCALARS and all(type(one) is first for one in value) and flat(value[0]) is value[0]:
            return value if first is not int or max(map(abs, value)) < _INT_MAX else to_json(value)
    return str(value) if kind is int else to_json(value)


def _add_model(found: dict[str, Any], model: Model) -> None:
    prompt, answer = model.prompt, model.answer
    found["gen_ai.provider.name"] = model.provider or None
    found["gen_ai.request.model"] = model.requested or None
    found["gen_ai.response.model"] = answer.model or None
    found["gen_ai.request.stream"] = model.stream or None
    if answer.finish_reason:
        found["gen_ai.response.finish_reasons"] = [answer.finish_reason]
    if answer.known or answer.input_tokens or answer.output_tokens:
        found["gen_ai.usage.input_tokens"] = answer.input_tokens
        found["gen_ai.usage.output_tokens"] = answer.output_tokens
    found["gen_ai.usage.cache_read.input_tokens"] = answer.cached_tokens or None
    found["gen_ai.usage.reasoning.output_tokens"] = answer.reasoning_tokens or None
    found["gen_ai.usage.cost"] = model.cost
    if answer.first_token_ms is not None:
        found["zespan.time_to_first_token"] = round(answer.first_token_ms / 1000, 6)  # seconds
        if answer.first_chunk_ms is None:
            found["gen_ai.response.time_to_first_chunk"] = found["zespan.time_to_first_token"]
    found["gen_ai.agent.name"], found["zespan.agent.role"] = prompt.agent_name, prompt.agent_role
    found["zespan.prompt_hash"] = prompt.digest or None
    if prompt.tools:
        found["gen_ai.tool.definitions"] = _tools(prompt.tools)
    if model.has_content:
        from . import _messages

        _messages.add(found, model)
    elif answer.tools:
        found["zespan.tools_used"] = list(answer.tools)


def _add_step(found: dict[str, Any], step: Step) -> None:
    for part, name in _STEP.items():
        value = getattr(step, part)
        if value is not None:
            found[name] = value if part != "arguments" and part != "result" else _text(value)
    if step.documents is not None:
        found["gen_ai.retrieval.documents"] = _documents(step.documents)
    if step.tools:
        found["gen_ai.tool.definitions"] = _tools(step.tools)


def _documents(documents: Any) -> str:
    if isinstance(documents, str):
        return documents
    return to_json([_document(one) if isinstance(one, dict) else one for one in documents])


def _document(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"id" if key == "document_id" else key: value for key, value in document.items()}


def _tools(tools: Any) -> str:
    """Return the definitions of tools, or the text that replaces them."""
    if not isinstance(tools, list):
        return _text(tools)
    return to_json([{"type": "function", **_told(one)} if isinstance(one, dict) else one for one in tools])


def _told(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tool.items() if value is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)
