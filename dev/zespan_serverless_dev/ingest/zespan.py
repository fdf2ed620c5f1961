"""Events of Zespan's ingest, as this package and Zespan's SDK send them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from . import messages
from .body import lines, parsed
from .span import BadBody, Span, count, moment, number, text

Event = dict[str, Any]

_STATUS = {"success": "ok", "ok": "ok", "timeout": "timeout", "crashed": "crashed", "error": "error"}
# Fields of an event that have a field in a span; the others become attributes.
_PLACED = frozenset(
    (
        *("event_id", "project_id", "trace_id", "span_id", "parent_span_id", "timestamp", "latency_ms", "operation"),
        *(
            "provider",
            "model",
            "status",
            "error_message",
            "span_kind",
            "input_tokens",
            "output_tokens",
            "cached_tokens",
        ),
        *("reasoning_tokens", "cost_usd", "ttft_ms", "user_id", "session_id", "metadata", "tags", "prompt_text"),
        *("completion_text", "system_prompt", "tool_definitions", "tool_call_args", "tool_call_result"),
    )
)


def read(body: bytes) -> list[Span]:
    """Return the spans of a request: a document a line, or all in one list."""
    spans: list[Span] = []
    for line in lines(body):
        document = parsed(line)
        if isinstance(document, dict) and isinstance(document.get("events"), list):
            document = document["events"]
        if isinstance(document, list):
            spans += [span_of(event, json.dumps(event), "zespan") for event in document]
        else:
            spans.append(span_of(document, line, "zespan"))
    return spans


def span_of(event: Any, raw: str, format: str) -> Span:
    """Return the span of one event; `raw` is the event as it arrived, in the format `format`."""
    if not isinstance(event, dict):
        raise BadBody("an event must be a JSON object")
    event_id, trace_id = text(event.get("event_id")), text(event.get("trace_id"))
    if event_id is None:
        raise BadBody("an event has no event_id")
    given = event.get("metadata")
    metadata: Event = given if isinstance(given, dict) else {}
    start_kind, kind = text(metadata.get("start_kind")), text(event.get("span_kind")) or "general"
    parent = text(event.get("parent_span_id"))
    if start_kind is not None and kind == "general":
        kind = "invocation"
    end = _milliseconds(event.get("timestamp"))
    took = number(metadata.get("handler_duration_ms")) or number(event.get("latency_ms")) or 0.0
    span = Span(
        event_id=event_id,
        trace_id=trace_id or event_id,
        span_id=text(event.get("span_id")) or event_id,
        parent_span_id=parent,
        name=text(event.get("operation")) or kind,
        kind=kind,
        start=moment(end - took),
        end=moment(end),
        status=_STATUS.get(str(event.get("status")), "error"),
        error=text(event.get("error_message"), 2000),
        format=format,
        raw=raw,
        user_id=text(event.get("user_id")),
        session_id=text(event.get("session_id")),
        is_root=kind == "invocation" or parent is None,
    )
    if event.get("model"):
        _add_model(span, event, metadata)
    if span.is_root:
        span.start_kind = start_kind
        add_sender(span, metadata)
    return span


def _add_model(span: Span, event: Event, metadata: Event) -> None:
    span.provider, span.model = text(event.get("provider")), text(event.get("model"))
    span.input_tokens, span.output_tokens = count(event.get("input_tokens")), count(event.get("output_tokens"))
    span.cached_tokens, span.reasoning_tokens = count(event.get("cached_tokens")), count(event.get("reasoning_tokens"))
    span.cache_write_tokens = count(metadata.get("gen_ai.usage.cache_write.input_tokens"))
    span.cost_usd, span.first_token_ms = number(event.get("cost_usd")), number(event.get("ttft_ms"))


def add_sender(span: Span, attributes: Event) -> None:
    """Add who has sent a root span, by OpenTelemetry's names."""
    span.function = text(attributes.get("faas.name")) or text(attributes.get("service.name"))
    span.instance = text(attributes.get("faas.instance")) or text(attributes.get("service.instance.id"))
    span.request_id = text(attributes.get("faas.invocation_id"))
    memory = count(attributes.get("faas.max_memory"))
    span.memory_mb = None if memory is None else memory >> 20
    if span.start_kind is None and isinstance(cold := attributes.get("faas.coldstart"), bool):
        span.start_kind = "cold" if cold else "warm"


def details(event: Event) -> dict[str, Any]:
    """Return the messages, and the attributes that have no field."""
    kind = event.get("span_kind")
    metadata, tags = event.get("metadata"), event.get("tags")
    attributes = {
        name: value for name, value in event.items() if name not in _PLACED and value not in (None, "", False)
    }
    attributes.update(metadata if isinstance(metadata, dict) else {"metadata": metadata} if metadata else {})
    attributes.update({f"tag.{name}": value for name, value in tags.items()} if isinstance(tags, dict) else {})
    asked: Any
    said: Any
    if event.get("model") or kind == "llm":
        said = messages.said(event.get("completion_text"), event.get("tool_call_args"))
        asked = messages.asked(event.get("system_prompt"), event.get("prompt_text"))
    else:
        asked = messages.plain(event.get("tool_call_args") or attributes.pop("retrieval_query", None))
        said = messages.plain(event.get("tool_call_result") or attributes.pop("rag_contexts", None))
    return {"input": asked, "output": said, "tools": event.get("tool_definitions") or None, "attributes": attributes}


def _milliseconds(timestamp: Any) -> float:
    """Return a time in RFC 3339 or in seconds or milliseconds since the epoch; now if it is none of them."""
    value = number(timestamp)
    if value is not None:
        return value * 1000 if value < 1e11 else value
    try:
        found = datetime.fromisoformat(str(timestamp))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000
    except (ValueError, OverflowError, OSError):
        return datetime.now(UTC).timestamp() * 1000
