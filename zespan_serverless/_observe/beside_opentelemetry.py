"""Continues OpenTelemetry's span around an invocation. Imported only if OpenTelemetry is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._base.guard import Guarded
from .._trace.context import Caller

if TYPE_CHECKING:
    from collections.abc import Callable


def current_span() -> Any:
    """Return OpenTelemetry's current span, or None."""
    get: Callable[[], Any] | None = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
    span = None if get is None else get()
    return span if span is not None and span.get_span_context().is_valid else None


def caller(parent: Caller | None) -> Caller | None:
    """Return OpenTelemetry's current span as the caller if it is recording, otherwise `parent`, from the request.

    That span is inside the request as well: the instrumentation of a server or framework has read the same headers. A
    span that has ended or is not recording was left in the context by mistake, or is not exported. Changes nothing in
    OpenTelemetry.
    """
    with Guarded("OpenTelemetry's span around an invocation"):
        span = current_span()
        if span is not None and span.is_recording():
            context = span.get_span_context()
            trace_id = f"{context.trace_id:032x}"
            baggage = "" if parent is None else parent.baggage
            state = context.trace_state.to_header()
            return Caller(trace_id, f"{context.span_id:016x}", int(context.trace_flags), state, baggage)
    return parent
