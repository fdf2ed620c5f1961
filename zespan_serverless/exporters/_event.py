"""Converts a record to an event of Zespan, with the field names, types and limits of the SDK `zespan`."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from .._record.policy import RATIONALE_MAX
from .._record.values import encode, to_json

if TYPE_CHECKING:
    from .._record.model import Model
    from .._record.record import Record

Event = dict[str, Any]
"""An event as a JSON object. `EventFields` has its fields."""

_LAST_SECOND = 253_402_300_799  # of the year 9999


def event_of(record: Record) -> Event:
    """Return a record as an event of Zespan: a dict with the field names of the SDK `zespan`."""
    resource, model, is_root = record.resource, record.model, record.kind == "invocation"
    event: Event = {
        "event_id": record.event_id,
        "project_id": "",
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "parent_span_id": record.parent_span_id,
        "timestamp": timestamp(record.ended),
        # An invocation or a step has no model: the SDK's placeholder "custom" would show up as one in cost tables.
        "provider": "",
        "model": "",
        "operation": (resource.service_name if is_root else None) or record.name,
        "latency_ms": round(record.duration_ms),
        "stream": False,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": None,
        "status": "success" if record.status == "ok" else record.status,
        "error_message": record.error,
        "environment": resource.environment,
        "user_id": record.user_id,
        "session_id": record.session_id,
        "tags": _tags(record),
        "span_kind": "general" if is_root else record.kind,
        "sdk_version": resource.sdk_version,
        "sdk_name": resource.sdk_name,
    }
    if model is not None:
        _add_model(event, model)
        if not model.answer.known and record.status == "ok":  # unknown, which is not the same as none
            event.update({name: event[name] or None for name in ("input_tokens", "output_tokens", "reasoning_tokens")})
    attributes: Any = record.attributes
    if record.agent is not None or record.step is not None:
        from . import _steps

        attributes = _steps.add(event, record)
    if is_root and not isinstance(attributes, str):  # it is a text if it was redacted as a whole
        attributes = {**resource.attributes, **attributes}
    if record.conversation_id and not isinstance(attributes, str):  # there is no field for it
        attributes = {**attributes, "gen_ai.conversation.id": record.conversation_id}
    if attributes:
        event["metadata"] = attributes
    if record.fields is not None:
        event.update(record.fields)
    return event


def encoded(record: Record) -> bytes:
    """Return a record as one line of NDJSON, without the newline."""
    return encode(event_of(record))


def timestamp(seconds: float) -> str:
    """Format a time as RFC 3339 in UTC, with milliseconds. An event's `timestamp` is its end."""
    if not 0 <= seconds <= _LAST_SECOND:  # a clock may return a time that no calendar has
        seconds = float(_LAST_SECOND if seconds > 0 else 0)
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{_to_the_second(whole)}.{ms:03d}Z"


@functools.lru_cache(maxsize=8)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _tags(record: Record) -> Any:
    """Return the tags of the settings and the span, or the text that replaces them."""
    own: Any = record.tags
    if not own:
        return dict(record.resource.tags) or None
    return own if isinstance(own, str) else {**record.resource.tags, **own}


def _add_model(event: Event, model: Model) -> None:
    """Add the fields of a model call, one by one, because a dict of them would have to be built and copied."""
    prompt, answer = model.prompt, model.answer
    event["provider"], event["model"], event["stream"] = model.provider, model.name, model.stream
    event["input_tokens"], event["output_tokens"] = answer.input_tokens, answer.output_tokens
    event["reasoning_tokens"], event["cost_usd"] = answer.reasoning_tokens, model.cost
    event["finish_reason"] = answer.finish_reason
    event["prompt_hash"] = prompt.digest
    event["agent_id"], event["agent_name"], event["agent_role"] = None, prompt.agent_name, prompt.agent_role
    event["agent_framework"] = event["parent_agent_id"] = None
    event["conversation_turn"], event["message_role"] = prompt.turn, prompt.last_role
    event["has_memory"], event["has_planning"] = prompt.has_memory, prompt.is_planning
    event["tools_used"], event["tool_call_args"] = list(answer.tools) or None, None
    if model.has_content:
        _add_content(event, model)
    if answer.first_token_ms is not None:
        event["ttft_ms"] = answer.first_token_ms
    if prompt.tools:
        event["tool_definitions"] = prompt.tools
    if answer.cached_tokens:
        event["cached_tokens"] = answer.cached_tokens


def _add_content(event: Event, model: Model) -> None:
    """Add the prompt and the answer."""
    prompt, answer = model.prompt, model.answer
    event["prompt_text"] = prompt.text
    # For several choices a list, as JSON text.
    event["completion_text"] = to_json([answer.text, *answer.others]) if any(answer.others) else answer.text
    if answer.tools:
        event["tool_call_args"] = to_json(answer.tools)
    if prompt.system:
        event["system_prompt"] = prompt.system
    if answer.tools and answer.text:
        event["decision_rationale"] = answer.text[:RATIONALE_MAX]
