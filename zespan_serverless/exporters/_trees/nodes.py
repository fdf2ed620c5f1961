"""Converts an event to a node of a tree. Fields may have any type, because users can capture any event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..._base.guard import pass_on
from .style import safe
from .tree import Node, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENDS = {"timeout": "timed out", "crashed": "crashed"}
_USUAL = ("stop", "end_turn", "tool_calls", "tool_use", "STOP", "COMPLETE")
"""Finish reasons that are not worth printing."""


def node_of(event: Mapping[str, Any]) -> Node:
    """Return the node of an event with the field names of the SDK `zespan`."""
    found = event.get("metadata")
    details = found if isinstance(found, dict) else {}
    kind, model = _text(event, "span_kind"), _text(event, "model")
    operation = _text(event, "operation")
    trace_id, parent = _text(event, "trace_id"), _text(event, "parent_span_id")
    node = Node(trace_id, _text(event, "span_id"), parent or None, model or operation or kind or "event", kind)
    label = operation if model else kind
    node.label = "" if label in ("general", node.name) else label
    node.duration = number(event.get("latency_ms"))
    node.start = _start(event.get("timestamp"), node.duration)
    node.is_model = bool(model)
    if model:
        node.input_tokens, node.output_tokens = number(event.get("input_tokens")), number(event.get("output_tokens"))
        node.cost = number(event.get("cost_usd"))
    node.error = _error(event, details)
    node.notes = [*_notes_of_call(event), *_notes_of_root(event, details)]
    return node


def number(value: object) -> float | None:
    """Return the value, if it is a number that can be drawn."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < 1e15 else None


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    return "" if value is None else safe(value)


def _start(timestamp: object, ms: float | None) -> float | None:
    """Return when a span began, whose `timestamp` is its end."""
    try:
        end = datetime.fromisoformat(str(timestamp))
        return (end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp() * 1000 - (ms or 0.0)
    except (ValueError, OverflowError) as error:
        pass_on(error)
        return None


def _error(event: Mapping[str, Any], details: Mapping[str, Any]) -> str | None:
    """Return the error, with the type of the exception; None if there is none."""
    status, message, kind = _text(event, "status"), _text(event, "error_message"), _text(details, "error.type")
    if status in ("success", "ok", "") and not message:
        return None
    if kind and not message.startswith(kind):
        message = f"{kind}: {message}" if message else kind
    return ": ".join(part for part in (_ENDS.get(status, ""), message) if part) or "failed"


def _notes_of_call(event: Mapping[str, Any]) -> Iterator[str]:
    first, cached = number(event.get("ttft_ms")), number(event.get("cached_tokens"))
    if first is not None:
        yield f"first token {duration(first)}"
    if cached:
        yield f"{cached:,.0f} cached"
    tools = event.get("tools_used")
    if event.get("model") and isinstance(tools, list) and tools:
        yield f"calls {', '.join(map(safe, tools[:5]))}"
    reason = _text(event, "finish_reason")
    if reason and reason not in _USUAL:
        yield f"finish {reason}"


def _notes_of_root(event: Mapping[str, Any], details: Mapping[str, Any]) -> Iterator[str]:
    method, path = _text(details, "http.request.method"), _text(details, "http.route") or _text(details, "url.path")
    answer = _text(details, "http.response.status_code")
    if method and path:
        request = f"{method} {path}"
        yield answer if answer and request == _text(event, "operation") else f"{request} {answer}".rstrip()
    elif (source := _text(details, "aws.lambda.event_source") or _text(details, "faas.trigger")) not in ("", "other"):
        yield f"trigger {source}"
    if details.get("faas.coldstart") is True:
        init = number(details.get("init_duration_ms"))
        yield "cold start" if init is None else f"cold start, init {duration(init)}"
    if details and (user := _text(event, "user_id")):
        yield f"user {user}"
