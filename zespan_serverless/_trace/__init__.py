"""Trace context: ids, W3C headers, and the span that is current."""

from .context import (
    Caller,
    Entered,
    Root,
    Span,
    caller_of,
    concern,
    continued,
    current,
    enter,
    forget,
    new_event_id,
    new_span,
    new_trace_id,
    open_call,
    parse_traceparent,
    root,
)

__all__ = [
    "Caller",
    "Entered",
    "Root",
    "Span",
    "caller_of",
    "concern",
    "continued",
    "current",
    "enter",
    "forget",
    "new_event_id",
    "new_span",
    "new_trace_id",
    "open_call",
    "parse_traceparent",
    "root",
]
