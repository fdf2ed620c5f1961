"""OpenTelemetry's span around an invocation: the invocation continues it. Imported where OpenTelemetry is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._base.guard import Guarded
from .._trace.context import Caller

if TYPE_CHECKING:
    from collections.abc import Callable


def current_span() -> Any:
    """The span that is current in OpenTelemetry's context; None if there is none."""
    get: Callable[[], Any] | None = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
    span = None if get is None else get()
    return span if span is not None and span.get_span_context().is_valid else None


def caller(parent: Caller | None) -> Caller | None:
    """Who calls: OpenTelemetry's current span if it is being recorded, else `parent`, which the request has named.

    That span is inside the request, too: a server's or a framework's, whose instrumentation has read the same headers.
    One that has ended, or is not recorded, was left in the context by mistake, or is seen by nobody. Nothing of
    OpenTelemetry's is changed.
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
