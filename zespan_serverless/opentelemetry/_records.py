"""Makes the record of an OpenTelemetry span.

A span is a model call, a tool call, an agent or a search according to `gen_ai.operation.name`, or to attributes that
only such a span has. Any other span is a general step, with its attributes.

No call is counted twice. The span of a model call becomes a general step, without usage and content, if

    a room of `providers` has begun a call inside it, or is making the call that it is inside of;
    a span inside it has counted the tokens of a call of the same kind.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .._observe import kinds
from .._observe.steps import STEPS_MAX, AgentSpan, GeneralSpan
from .._record.record import Record
from ._openinference import translated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._process.container import Container
    from .._trace import Span

KINDS = {
    "chat": "llm",
    "text_completion": "llm",
    "generate_content": "llm",
    "embeddings": "embedding",
    "execute_tool": "tool",
    "tools/call": "tool",
    "invoke_agent": "agent",
    "retrieval": "retriever",
}
"""`gen_ai.operation.name`, or `mcp.method.name` -> the kind of a step."""

CONTENT = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions")
USAGE = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "cached_tokens": ("gen_ai.usage.cache_read.input_tokens",),
    "cache_write_tokens": ("gen_ai.usage.cache_creation.input_tokens",),
    "reasoning_tokens": ("gen_ai.usage.reasoning.output_tokens",),
}

# Texts without content: the only texts of a span that are sent if prompts are not stored.
_TERSE = (
    *("cloud.", "db.operation.", "db.system", "error.type", "faas.", "gen_ai.agent.id", "gen_ai.agent.name"),
    *("gen_ai.operation.", "gen_ai.output.type", "gen_ai.provider.", "gen_ai.request.model", "gen_ai.response."),
    *("gen_ai.system", "gen_ai.tool.name", "gen_ai.tool.type", "http.request.method", "http.response.status_code"),
    *("mcp.method.name", "mcp.protocol.", "messaging.operation.", "messaging.system", "network.", "rpc.", "server."),
)


class _Around(GeneralSpan):
    """Represents an open span among the steps around a call."""

    is_counted = False

    def _counted_inside(self, kind: str) -> None:
        self.is_counted = True


class _AgentAround(AgentSpan, _Around):
    """The same for an agent, which all events inside carry."""


class Begun:
    """A span that has begun. `entered_id` is the id of our span that was entered last."""

    def __init__(self, span: Span, entered_id: str, *, is_inside_call: bool) -> None:
        self.span, self.entered_id, self.is_inside_call = span, entered_id, is_inside_call
        self.target: _Around = _Around("general", span.step)
        span.step = self.target

    def see(self, attributes: Mapping[str, Any]) -> None:
        """Read the attributes that are known at the start: an agent's name, for the events inside."""
        attributes = translated(attributes)
        if _kind(attributes) == "agent":
            self.target = _AgentAround("agent", self.target._around)
            said = {name: attributes.get(f"gen_ai.agent.{name[6:]}") for name in ("agent_id", "agent_name")}
            self.target._begin(self.span, str(said["agent_name"] or "agent"), said, is_noted=False)
            self.span.step = self.target


def mark(step: GeneralSpan | None) -> None:
    """Note that a call inside these steps has its own event."""
    for _ in range(STEPS_MAX):
        if step is None:
            break
        if isinstance(step, _Around):
            step.is_counted = True
        step = step._around


def record(begun: Begun, span: Any, container: Container) -> Record:
    """Return the record of a span that has ended."""
    attributes = translated(span.attributes or {})
    kind, name = _kind(attributes), str(span.name)
    is_counted = begun.is_inside_call or begun.target.is_counted
    if kind in kinds.MODEL_KINDS and is_counted:
        kind = "general"
        attributes = {key: held for key, held in attributes.items() if key not in CONTENT and ".usage." not in key}
    target = begun.target if kind == "agent" else kinds.made(kind, begun.target._around)
    _fill(target, begun.span, name, attributes)
    took = (span.end_time - span.start_time) / 1e6
    made = Record(begun.span, container.resource, kind, name, took, ended=span.end_time / 1e9)
    made.attributes = _attributes(begun, span, attributes, terse=not container.settings.store_prompts)
    target._complete(made, container)
    conversation = attributes.get("gen_ai.conversation.id")
    if conversation and made.conversation_id is None:
        made.conversation_id = str(conversation)
    if span.status.status_code.name == "ERROR":
        made.fail(_error(span, attributes, terse=not container.settings.store_prompts))
    return made


def _kind(attributes: Mapping[str, Any]) -> str:
    """Return the kind of a step, by its span's attributes."""
    named = attributes.get("gen_ai.operation.name") or attributes.get("mcp.method.name")
    if named is not None:
        return KINDS.get(str(named), "general")
    asked = any(name in attributes for names in USAGE.values() for name in names)
    return "llm" if asked and "gen_ai.request.model" in attributes else "general"


def _fill(target: Any, span: Span, name: str, attributes: dict[str, Any]) -> None:
    """Move attributes to the fields of a step."""
    take = attributes.pop
    if target.kind in kinds.MODEL_KINDS:
        provider = attributes.get("gen_ai.provider.name") or attributes.get("gen_ai.system") or ""
        model = attributes.get("gen_ai.request.model") or attributes.get("gen_ai.response.model") or ""
        said = {"provider": str(provider).lower(), "model": model, "stream": attributes.get("gen_ai.request.stream")}
        asked, answered, system, tools = (_parsed(take(key, None)) for key in CONTENT)
        said |= {"messages": _messages(asked), "system": _text(system) or None, "tools": tools}
        target._begin(span, name, said, is_noted=False)
        reason = attributes.get("gen_ai.response.finish_reasons") or ""
        if isinstance(reason, (list, tuple)):
            reason = reason[0]  # of the first choice, like the text
        target.output(
            _text(_messages(answered)), finish_reason=str(reason), model=attributes.get("gen_ai.response.model")
        )
        target.usage(**{name: _first(attributes, keys) for name, keys in USAGE.items()})
        seconds = attributes.get("gen_ai.response.time_to_first_chunk")
        if isinstance(seconds, (int, float)):
            target._answer.first_chunk_ms = seconds * 1000
    elif target.kind == "tool":
        target._begin(span, str(attributes.get("gen_ai.tool.name") or name), {}, is_noted=False)
        target.arguments(_parsed(take("gen_ai.tool.call.arguments", None)))
        target.result(_parsed(take("gen_ai.tool.call.result", None)))
    elif target.kind == "retriever":
        target._begin(span, name, {"query": take("gen_ai.retrieval.query.text", None)}, is_noted=False)
        found = _parsed(take("gen_ai.retrieval.documents", None))
        if isinstance(found, list):
            target.documents(found)


def _first(attributes: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return the value of the first existing one of these attributes, and remove all of them."""
    values = [attributes.pop(name, None) for name in names]
    return next((value for value in values if value is not None), None)


def _attributes(begun: Begun, span: Any, attributes: dict[str, Any], *, terse: bool) -> dict[str, Any]:
    trace_id = f"{span.get_span_context().trace_id:032x}"
    if trace_id != begun.span.trace_id:
        attributes["opentelemetry.trace_id"] = trace_id
    if not terse:
        return attributes
    return {
        name: value
        for name, value in attributes.items()
        if isinstance(value, (bool, int, float)) or name.startswith((*_TERSE, "opentelemetry."))
    }


def _error(span: Any, attributes: Mapping[str, Any], *, terse: bool) -> str:
    """Return the error; only its kind if prompts are not stored, because an error may quote one."""
    events = [event.attributes or {} for event in span.events if event.name == "exception"]
    raised: Mapping[str, Any] = events[-1] if events else {}
    kind = str(attributes.get("error.type") or raised.get("exception.type") or "error")
    return kind if terse else str(span.status.description or raised.get("exception.message") or kind)


def _parsed(value: Any) -> Any:
    """Parse a value that may be JSON text."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _messages(value: Any) -> Any:
    """Convert messages of OpenTelemetry's schema, whose texts are parts, to the providers' format."""
    if not isinstance(value, list):
        return value
    return [_message(one) if isinstance(one, dict) and isinstance(one.get("parts"), list) else one for one in value]


def _message(given: dict[str, Any]) -> dict[str, Any]:
    parts = given["parts"]
    return {**{name: held for name, held in given.items() if name != "parts"}, "content": _text(parts) or parts}


def _text(value: Any) -> str:
    """Return the texts of messages or parts; empty for anything else."""
    if isinstance(value, str):
        return value
    texts = [one.get("content") for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return "\n".join(text for text in texts if isinstance(text, str))
