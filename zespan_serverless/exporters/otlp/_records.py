"""Converts records to OTLP spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._trace.context import RANDOM, SAMPLED
from ._attributes import KNOWN_OPERATIONS, attributes_of, flat
from ._span import CLIENT, CONSUMER, HAS_IS_REMOTE, INTERNAL, IS_REMOTE, SERVER, Span, as_id, fail, is_id, nanoseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..._record.record import Record


def span_of(record: Record) -> Span:
    """Return the span of a record that may be sent."""
    if record.fields is not None:
        from ._captured import span_of_fields

        return span_of_fields(record)
    attributes = attributes_of(record)
    end = nanoseconds(record.ended)
    start = max(0, end - round(record.duration_ms * 1e6))
    span = Span(as_id(record.trace_id, 32), record.span_id, _name(record), _kind(record, attributes), start, end)
    span.parent = as_id(record.parent_span_id, 16) if record.parent_span_id else ""
    _add_context(span, record)
    if "links" in attributes:
        span.links = _links(record.attributes["links"])
        if span.links:  # otherwise they are the user's own
            del attributes["links"]
    span.attributes = attributes
    if record.status != "ok":
        fail(span, str(record.error or record.status), record.status)
    return span


def _name(record: Record) -> str:
    """Return a name by OpenTelemetry's convention for SDK calls; a step has the user's name."""
    model = record.model
    if model is not None and model.requested and record.name in KNOWN_OPERATIONS:
        return f"{record.name} {model.requested}"
    return str(record.name)


def _kind(record: Record, attributes: Mapping[str, Any]) -> int:
    if record.kind == "invocation":
        return CONSUMER if attributes.get("faas.trigger") == "pubsub" else SERVER
    return CLIENT if record.model is not None or "mcp.method.name" in attributes else INTERNAL


def _add_context(span: Span, record: Record) -> None:
    """Add the caller's flags and `tracestate`."""
    caller = record.caller
    span.flags = HAS_IS_REMOTE | SAMPLED  # what is not sampled is not sent
    if caller is None or not caller.trace_id:
        span.flags |= RANDOM
        return
    span.state = caller.tracestate
    span.flags |= (caller.flags or 0) & RANDOM
    if record.kind == "invocation" and span.parent:
        span.flags |= IS_REMOTE


def _links(found: Any) -> list[tuple[str, str, Mapping[str, Any], int]]:
    """Return links to other traces of an invocation, such as those of a batch's messages."""
    links: list[tuple[str, str, Mapping[str, Any], int]] = []
    for one in found if isinstance(found, list) else []:
        link = one if isinstance(one, dict) else {}
        trace_id, span_id = link.get("trace_id"), link.get("span_id")
        if isinstance(trace_id, str) and isinstance(span_id, str) and is_id(trace_id, 32) and is_id(span_id, 16):
            more = {key: flat(value) for key, value in link.items() if key not in ("trace_id", "span_id")}
            links.append((trace_id, span_id, more, HAS_IS_REMOTE | IS_REMOTE))
    return links
