"""Carbon's events, which are read as Zespan's: https://docs.oncarbon.site/api-reference/schemas/event-schema."""

from __future__ import annotations

import json
from typing import Any

from . import zespan
from .body import parsed
from .span import BadBody, Span, number

Json = dict[str, Any]

_USAGE = (
    ("input_tokens", "inputTokens", None),
    ("output_tokens", "outputTokens", None),
    ("cached_tokens", "inputTokenDetails", "cacheReadTokens"),
    ("reasoning_tokens", "outputTokenDetails", "reasoningTokens"),
)


def read(body: bytes) -> list[Span]:
    """Return the spans of a request, which is one document of JSON."""
    document = parsed(body.decode("utf-8", "replace"))
    events = document.get("events") if isinstance(document, dict) else document
    if not isinstance(events, list):
        raise BadBody('the body must be {"events": [...]}')
    return [zespan.span_of(event_of(event), json.dumps(event), "carbon") for event in events]


def event_of(carbon: Any) -> Json:
    """Return an event of Carbon's in Zespan's words."""
    if not isinstance(carbon, dict):
        raise BadBody("an event must be a JSON object")
    more, context, properties = (_map(carbon.get(name)) for name in ("additionalProperties", "context", "properties"))
    is_ok = _map(carbon.get("status")).get("state") == "ok"
    event: Json = {
        "event_id": carbon.get("id"),
        "trace_id": more.pop("trace_id", None) or str(carbon.get("traceId") or "").replace("-", ""),
        "span_id": more.pop("span_id", None),
        "parent_span_id": more.pop("parent_span_id", None),
        "timestamp": number(carbon.get("endTimeMs")),
        "latency_ms": carbon.get("durationMs"),
        "operation": more.pop("operation", None),
        "status": more.pop("status", None) or ("success" if is_ok else "error"),
        "error_message": more.pop("error_message", None),
        "span_kind": more.pop("span_kind", carbon.get("type")),
        "user_id": context.get("userId"),
        "session_id": more.pop("session_id", None) or context.get("threadId"),
    }
    _add_properties(event, properties, more, carbon)
    event["metadata"] = more
    return event


def _add_properties(event: Json, properties: Json, more: Json, carbon: Json) -> None:
    if "llm" in properties:
        llm = _map(properties["llm"])
        usage, asked, said = _map(llm.get("usage")), _map(llm.get("input")), _map(llm.get("output"))
        provider = _map(carbon.get("instrumentation")).get("sourceProvider")
        event.update(model=llm.get("model"), provider=more.pop("provider", None) or provider)
        event.update(cost_usd=more.pop("cost_usd", None), ttft_ms=more.pop("ttft_ms", None))
        for name, part, detail in _USAGE:
            event[name] = _map(usage.get(part)).get(detail) if detail else usage.get(part)
        event.update(prompt_text=asked.get("prompt"), system_prompt=asked.get("system") or None)
        event.update(completion_text=said.get("response"), tool_call_args=more.pop("tool_call_args", None))
    elif "tool" in properties:
        tool = _map(properties["tool"])
        event.update(tool_call_args=tool.get("input") or None, tool_call_result=tool.get("output") or None)
        event["operation"] = event["operation"] or tool.get("name")


def _map(value: Any) -> Json:
    return dict(value) if isinstance(value, dict) else {}
