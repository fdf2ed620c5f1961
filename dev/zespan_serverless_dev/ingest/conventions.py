"""The attribute names that tools use for model calls: OpenTelemetry's gen_ai, those of this package below `zespan.`,
OpenInference's, and OpenLLMetry's. If a span has several of the names, the first one counts.
"""

from __future__ import annotations

import time
from typing import Any

from . import indexed, messages, zespan
from .span import BadBody, Span, count, moment, number, text

Json = dict[str, Any]

_ERROR = 2  # the code of a status
_SERVING = (2, 5)  # kinds of spans: SERVER, CONSUMER
_KINDS = {
    **dict.fromkeys(("chat", "text_completion", "generate_content", "completion"), "llm"),
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "retrieval": "retriever",
    "plan": "planning",
}
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_MODEL = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "embedding.model_name")
_COUNTS = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "cached_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_write_tokens": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
}
_COST = ("gen_ai.usage.cost", "llm.cost.total")
_FIRST_TOKEN = ("zespan.time_to_first_token", "gen_ai.response.time_to_first_chunk")  # in seconds
_USER, _SESSION = ("user.id", "enduser.id"), ("session.id", "gen_ai.conversation.id")
_ASKED = ("gen_ai.tool.call.arguments", "gen_ai.retrieval.query.text", "input.value", "traceloop.entity.input")
_SAID = ("gen_ai.tool.call.result", "gen_ai.retrieval.documents", "output.value", "traceloop.entity.output")
_TOOLS = ("gen_ai.tool.definitions",)
_INSTRUCTIONS = ("gen_ai.system_instructions",)
_INPUT, _OUTPUT = ("gen_ai.input.messages", "input.messages"), ("gen_ai.output.messages", "output.messages")


def span_of(found: Json, raw: str) -> Span:
    """Return the span of one of OTLP's."""
    attributes, resource = found["attributes"], found["resource"]
    trace_id, span_id = text(found["trace_id"]), text(found["span_id"])
    if trace_id is None or span_id is None:
        raise BadBody("a span has no traceId or no spanId")
    parent, kind = text(found["parent_span_id"]), _kind(found)
    start, end = _ms(found["start_ns"]), _ms(found["end_ns"])
    error = found["status"]["message"] if found["status"]["code"] == _ERROR else None
    span = Span(
        event_id=text(attributes.get("zespan.event_id")) or f"{trace_id}-{span_id}",
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent,
        name=text(found["name"]) or kind,
        kind=kind,
        start=start,
        end=max(start, end),
        status=_status(found),
        error=text(error, 2000) or _exception(found),
        format="otlp",
        raw=raw,
        user_id=text(_first(attributes, _USER)),
        session_id=text(_first(attributes, _SESSION)),
        is_root=kind == "invocation" or parent is None,
    )
    if kind in ("llm", "embedding") or "gen_ai.request.model" in attributes:
        _add_model(span, attributes)
    if span.is_root:
        span.start_kind = text(attributes.get("start_kind"))
        zespan.add_sender(span, {**resource, **attributes})
    return span


def _add_model(span: Span, attributes: Json) -> None:
    span.provider, span.model = text(_first(attributes, _PROVIDER)), text(_first(attributes, _MODEL))
    for name, names in _COUNTS.items():
        setattr(span, name, count(_first(attributes, names)))
    span.cost_usd = number(_first(attributes, _COST))
    seconds = number(_first(attributes, _FIRST_TOKEN))
    span.first_token_ms = None if seconds is None else round(seconds * 1000, 3)


def _kind(found: Json) -> str:
    attributes = found["attributes"]
    own = text(attributes.get("zespan.span_kind"), 40)
    if own is not None:
        return own
    operation = attributes.get("gen_ai.operation.name") or attributes.get("llm.request.type")
    if isinstance(operation, str) and operation:
        return _KINDS.get(operation, text(operation, 40) or "general")
    other = attributes.get("openinference.span.kind") or attributes.get("traceloop.span.kind")
    if isinstance(other, str) and other:
        return other[:40].lower()
    return "invocation" if found["kind"] in _SERVING else "general"


def _status(found: Json) -> str:
    if found["status"]["code"] != _ERROR:
        return "ok"
    kind = found["attributes"].get("error.type")
    return kind if kind in ("timeout", "crashed") else "error"


def _exception(found: Json) -> str | None:
    for event in found["events"]:
        if event["name"] == "exception":
            message = text(event["attributes"].get("exception.message"), 2000)
            return message or text(event["attributes"].get("exception.type"))
    return None


def details(found: Json) -> Json:
    """Return the messages, and the attributes that have no field."""
    rest = dict(found["attributes"])
    asked = messages.instructions(_take(rest, _INSTRUCTIONS))
    asked += messages.listed(_take(rest, _INPUT)) or indexed.asked(rest) or []
    said = messages.listed(_take(rest, _OUTPUT)) or indexed.said(rest) or None
    tools = _take(rest, _TOOLS) or indexed.tools(rest) or None
    plain_input, plain_output = messages.plain(_take(rest, _ASKED)), messages.plain(_take(rest, _SAID))
    for event in found["events"]:
        for name, value in event["attributes"].items():
            rest[f"{event['name']}: {name}"] = value
    rest.update({name: value for name, value in found["resource"].items() if name not in rest})
    if found.get("scope"):
        rest["otel.scope.name"] = found["scope"]
    output = said if said is not None else plain_output
    return {"input": asked or plain_input, "output": output, "tools": _parsed(tools), "attributes": rest}


def _parsed(tools: Any) -> Any:
    return messages.document(tools) or tools if isinstance(tools, str) else tools


def _first(attributes: Json, names: tuple[str, ...]) -> Any:
    for name in names:
        value = attributes.get(name)
        if value is not None:
            return value
    return None


def _take(attributes: Json, names: tuple[str, ...]) -> Any:
    """Return the first of these attributes; all of them are removed."""
    found = [attributes.pop(name) for name in names if name in attributes]
    return found[0] if found else None


def _ms(nanoseconds: int | None) -> float:
    return moment(time.time() * 1000 if nanoseconds is None else nanoseconds / 1e6)
