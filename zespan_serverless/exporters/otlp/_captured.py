"""Converts events that users capture, with the field names of Zespan's SDK, to spans."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from ..._base.guard import pass_on
from ..._record.values import to_json
from .._event import event_of
from ._attributes import attributes_of, flattened
from ._span import CLIENT, HAS_IS_REMOTE, INTERNAL, Span, as_id, fail, nanoseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..._record.record import Record

_MODEL_KINDS = frozenset(("llm", "embedding", "rerank", "moderation", "image_gen", "video_gen", "audio"))
_NAMES = {
    "provider": "gen_ai.provider.name",
    "model": "gen_ai.request.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cost_usd": "gen_ai.usage.cost",
    "user_id": "user.id",
    "session_id": "session.id",
    "environment": "deployment.environment.name",
    "agent_id": "gen_ai.agent.id",
    "agent_name": "gen_ai.agent.name",
    "agent_role": "zespan.agent.role",
    "agent_framework": "zespan.agent.framework",
    "parent_agent_id": "zespan.agent.parent_id",
    "tool_call_args": "gen_ai.tool.call.arguments",
    "tool_call_result": "gen_ai.tool.call.result",
    "error_code": "error.type",
}
# Fields that a span has elsewhere, and useless ones.
_ELSEWHERE = frozenset(
    (
        *("event_id", "project_id", "trace_id", "span_id", "parent_span_id", "timestamp", "latency_ms", "operation"),
        *("status", "error_message", "metadata", "tags", "span_kind", "sdk_name", "sdk_version"),
        *("prompt_text", "completion_text", "system_prompt", "finish_reason", "tool_definitions", "ttft_ms", "stream"),
    )
)


def span_of_fields(record: Record) -> Span:
    """Return the span of a captured event."""
    event = event_of(record)
    kind = str(event["span_kind"])
    end, took = _end(event["timestamp"], record.ended), _number(event["latency_ms"]) or 0.0
    trace_id, span_id = as_id(event["trace_id"], 32), as_id(event["span_id"] or event["event_id"], 16)
    is_call = kind in _MODEL_KINDS
    start = max(0, end - round(took * 1e6))
    span = Span(trace_id, span_id, str(event["operation"]), CLIENT if is_call else INTERNAL, start, end)
    if event["parent_span_id"]:
        span.parent = as_id(event["parent_span_id"], 16)
    span.flags = HAS_IS_REMOTE | 1
    span.attributes = _attributes(record, event, kind, is_call=is_call)
    for name, own in (("trace_id", trace_id), ("span_id", span_id)):
        if event[name] != own:
            span.attributes[f"zespan.{name}"] = str(event[name])
    if event["status"] != "success":
        status = "error" if event["status"] == "error" else str(event["status"])
        fail(span, str(event["error_message"] or event["status"]), status)
    return span


def _attributes(record: Record, event: Mapping[str, Any], kind: str, *, is_call: bool) -> dict[str, Any]:
    bare = record.copy()
    bare.fields, bare.kind, bare.event_id = None, kind, str(event["event_id"])
    bare.tags, bare.attributes = event["tags"], event.get("metadata") or {}
    if not isinstance(bare.tags, (dict, str)):
        bare.tags = None
    found = attributes_of(bare)
    for name, value in event.items():
        if name in _ELSEWHERE or value is None:
            continue
        if is_call or name not in ("provider", "model", "input_tokens", "output_tokens"):
            found[_NAMES.get(name, f"zespan.{name}")] = value
    if event["environment"] == record.resource.environment:
        del found["deployment.environment.name"]
    if is_call:
        found["gen_ai.request.stream"] = event["stream"] or None
    _add_content(found, event)
    return flattened(found)


def _add_content(found: dict[str, Any], event: Mapping[str, Any]) -> None:
    """Add the prompt and the answer, as far as the event has them."""
    from ._messages import input_of

    if event.get("finish_reason"):
        found["gen_ai.response.finish_reasons"] = [str(event["finish_reason"])]
    ttft = _number(event.get("ttft_ms"))
    if ttft is not None:
        found["zespan.time_to_first_token"] = found["gen_ai.response.time_to_first_chunk"] = ttft / 1000
    if event.get("tool_definitions"):
        found["gen_ai.tool.definitions"] = to_json(event["tool_definitions"])
    if event.get("system_prompt"):
        found["gen_ai.system_instructions"] = to_json([{"type": "text", "content": str(event["system_prompt"])}])
    if event.get("prompt_text"):
        found["gen_ai.input.messages"] = to_json(input_of(str(event["prompt_text"])))
    if event.get("completion_text"):
        part = {"type": "text", "content": str(event["completion_text"])}
        found["gen_ai.output.messages"] = to_json([{"role": "assistant", "parts": [part]}])


def _end(timestamp: object, otherwise: float) -> int:
    try:
        return nanoseconds(datetime.datetime.fromisoformat(str(timestamp)).timestamp())
    except (ValueError, OverflowError, OSError) as error:
        pass_on(error)
        return nanoseconds(otherwise)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e12 else None
