"""Converts a record to an event of Carbon: https://docs.oncarbon.site/api-reference/schemas/event-schema.

Carbon has model calls and tool executions only: any other record is sent as a tool, and `span_kind` has its kind. Only
the documented part of the schema is used. Everything else, such as the texts of errors, goes into
`additionalProperties`, which may contain any names with texts and numbers.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._record.values import to_json
from ._event import event_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._record.record import Record

_MODEL_KINDS = frozenset(("llm", "embedding", "rerank", "moderation", "image_gen", "video_gen", "audio"))
_TOKENS_MAX = 1e15
_LAST_MS = 253_402_300_799_000  # of the year 9999
_VARIANTS = "89ab"

# Fields of Zespan's event that have their own field in Carbon's.
_PLACED = frozenset(
    (
        *("event_id", "project_id", "timestamp", "latency_ms", "user_id", "metadata", "tags"),
        *("model", "input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens"),
        *("prompt_text", "system_prompt", "completion_text"),
    )
)
_OF_CALLS = frozenset(("provider", "stream", "cost_usd"))  # other events do not use these fields
_CACHE_WRITES = "gen_ai.usage.cache_write.input_tokens"


def carbon_event_of(record: Record) -> dict[str, Any]:
    """Return the event for Carbon's ingest API."""
    event = event_of(record)
    metadata = event.get("metadata")
    more: dict[str, Any] = {**metadata} if isinstance(metadata, dict) else {"metadata": metadata}
    is_call = str(event["span_kind"]) in _MODEL_KINDS
    left_out = _PLACED if is_call else _PLACED | _OF_CALLS
    own = {name: value for name, value in event.items() if name not in left_out}
    if record.kind == "invocation":  # Zespan has no field for it
        own["span_kind"] = "invocation"
    if event["status"] in ("success", "error"):  # the others are errors to Carbon
        del own["status"]
    properties = {"llm": _llm(event, more)} if is_call else {"tool": _tool(own, more)}
    end, took = _end(event, record), _milliseconds(event, record)
    carbon = {
        "id": _uuid(event["event_id"]),
        "type": "llm" if is_call else "tool",
        "startTimeMs": max(0, end - took),
        "endTimeMs": end,
        "durationMs": took,
        "status": {"state": "ok" if event["status"] == "success" else "error"},
        "instrumentation": {
            "provider": "carbon",
            "sourceProvider": str(event["provider"] or "custom"),
            "sourcePackage": str(event["sdk_name"]),
        },
        "context": _context(event, more),
        "additionalProperties": _flat(event["tags"], more, own),
        "properties": properties,
    }
    if event["trace_id"]:
        carbon["traceId"] = _uuid(event["trace_id"])
    return carbon


def _llm(event: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    taken, given = _count(event["input_tokens"]), _count(event["output_tokens"])
    read, written = _count(event.get("cached_tokens")), _count(more.get(_CACHE_WRITES))
    reasoning = _count(event.get("reasoning_tokens"))
    found: dict[str, Any] = {
        "model": str(event["model"] or "unknown"),
        "usage": {
            "inputTokens": taken,
            "inputTokenDetails": {
                "uncachedTokens": max(0, taken - read - written),
                "cacheReadTokens": read,
                "cacheWriteTokens": written,
            },
            "outputTokens": given,
            "outputTokenDetails": {"reasoningTokens": reasoning, "responseTokens": max(0, given - reasoning)},
            "totalTokens": taken + given,
        },
    }
    prompt, system, answer = (event.get(name) for name in ("prompt_text", "system_prompt", "completion_text"))
    if prompt is not None or system is not None:
        found["input"] = {"system": _text(system), "prompt": _text(prompt), "tools": []}
    if answer is not None:
        found["output"] = {"mode": "generate", "response": _text(answer), "toolCalls": []}
    return found


def _tool(own: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return the input and output of a tool or step, and remove them from `own` and `more`."""
    used = own.get("tools_used")
    name = used[0] if isinstance(used, list) and len(used) == 1 else own["operation"]
    given, result = own.pop("tool_call_args", None), own.pop("tool_call_result", None)
    given = more.pop("retrieval_query", None) if given is None else given
    result = more.pop("rag_contexts", None) if result is None else result
    return {"name": _text(name), "input": _text(given), "output": _text(result)}


def _context(event: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, str]:
    """Return the ids that Carbon has fields for."""
    found = {
        "userId": event["user_id"],
        "threadId": more.get("gen_ai.conversation.id") or event["session_id"],
        "agentId": event.get("agent_id") or event.get("agent_name"),
    }
    return {name: _text(value) for name, value in found.items() if value}


def _flat(tags: Any, more: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, str | float]:
    """Return texts and numbers; other values as JSON text, and missing values not at all."""
    named = {f"tag.{name}": value for name, value in tags.items()} if isinstance(tags, dict) else {"tags": tags}
    flat: dict[str, str | float] = {}
    for name, value in {**named, **more, **own}.items():
        if value is None or value == "":
            continue
        is_number = type(value) is int or (type(value) is float and math.isfinite(value))
        flat[name] = value if is_number else _text(value)
    return flat


def _end(event: Mapping[str, Any], record: Record) -> int:
    """Return the end, in milliseconds since the epoch."""
    seconds = record.ended
    if record.fields is not None and "timestamp" in record.fields:
        import datetime

        try:
            seconds = datetime.datetime.fromisoformat(str(event["timestamp"])).timestamp()
        except (ValueError, OverflowError, OSError) as error:
            pass_on(error)
    return round(min(max(0.0, seconds * 1000), _LAST_MS))


def _milliseconds(event: Mapping[str, Any], record: Record) -> int:
    took = event["latency_ms"]
    return _count(record.duration_ms if record.fields is None or "latency_ms" not in record.fields else took)


def _count(value: object) -> int:
    """Return a non-negative integer; 0 for anything else, which is Carbon's value for unknown."""
    is_number = isinstance(value, (int, float)) and 0 < value < _TOKENS_MAX
    return round(value) if is_number else 0  # type: ignore[call-overload]


def _uuid(given: object) -> str:
    """Return a UUID version 4: the value, if it is one, or made from its 32 hexadecimal digits, or from its hash."""
    digits = str(given).replace("-", "").lower()
    if len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
        digits = hashlib.sha256(str(given).encode("utf-8", "replace")).hexdigest()[:32]
    variant = _VARIANTS[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if type(value) is str else to_json(value)
