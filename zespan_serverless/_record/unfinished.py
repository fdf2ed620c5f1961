"""Spans that never ended: what is known of one when it begins, and the event that this becomes.

A function that times out, runs out of memory, or is killed leaves an invocation that nobody closes, and often a call
of a model in it. Whoever learns of that (the thread that hears SIGTERM, or the next process in the sandbox) reports it
under the id that its event would have had: should that have got through after all, the backend takes the first.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from .. import _trace
from .event import Event, new_event, timestamp
from .redaction import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..settings import Settings

    Known = Mapping[str, Any]

_TIMED_OUT = "the function was still running at its timeout"
_CRASHED = (
    "the process ended before the function did: killed, out of memory, by os._exit, "
    "or at its timeout in code that lets no other thread run"
)


def known(span: _trace.Span, kind: str, operation: str, **fields: Any) -> dict[str, Any]:
    """What there is to say of a span that begins now. `fields` are of its event."""
    return {
        "event_id": span.event_id,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "user_id": span.user_id,
        "session_id": span.session_id,
        "tags": span.tags,
        "span_kind": kind,
        "operation": operation,
        "began": time.time(),
        **fields,
    }


def timed_out(begun: Known, noted: Known, settings: Settings) -> Event:
    """The event of a span that the function's timeout has ended."""
    event = _event(begun, settings, noted["deadline"], "timeout", _TIMED_OUT)
    if event["span_kind"] == "general":
        event["metadata"] = {**(event.get("metadata") or {}), "stack": noted.get("stack")}
    return event


def crashed(begun: Known, at: float, settings: Settings) -> Event:
    """The event of a span whose process was still there at `at`, and is no more."""
    return _event(begun, settings, at, "crashed", _CRASHED)


def left_behind(spans: Iterable[bytes], overdue: Iterable[bytes], at: float, settings: Settings) -> Iterator[Event]:
    """The events of spans as a dead process has noted them; `overdue` are its notes of deadlines reached."""
    notes = {noted["trace_id"]: noted for noted in map(json.loads, overdue)}
    policy = Policy(settings)
    for begun in map(json.loads, spans):
        noted = notes.get(begun["trace_id"])
        # A trace may have had another invocation, a try before this one, that got to its end after all.
        if noted and noted["noted"] >= begun["began"]:
            yield policy.applied(timed_out(begun, noted, settings))
        else:
            yield policy.applied(crashed(begun, at, settings))


def _event(begun: Known, settings: Settings, until: float, status: str, text: str) -> Event:
    fields = dict(begun)
    began = float(fields.pop("began"))
    span = _trace.Span(
        fields["trace_id"],
        fields["span_id"],
        fields["parent_span_id"],
        fields.pop("user_id"),
        fields.pop("session_id"),
        fields.pop("tags"),
    )
    span.event_id = fields["event_id"]
    took_ms = max(0.0, until - began) * 1000
    event = new_event(span, settings, took_ms, kind=fields["span_kind"], operation=fields["operation"])
    event |= fields
    event["timestamp"] = timestamp(max(began, until))
    event["status"], event["error_message"] = status, text
    event["metadata"] = {**(fields.get("metadata") or {}), "error.type": status}
    return event
