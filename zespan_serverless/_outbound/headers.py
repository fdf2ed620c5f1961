"""The trace context of the current span, as W3C headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _process, _trace
from .._base.guard import pass_on
from .._base.log import warn_once
from .._trace.context import RANDOM, SAMPLED

if TYPE_CHECKING:
    from .._trace import Span


def traceparent() -> str | None:
    """Return the W3C `traceparent` header for your own request, which its receiver continues; None outside a trace."""
    return trace_headers().get("traceparent")


def trace_headers() -> dict[str, str]:
    """Return the W3C headers for your own request or message, so that its receiver joins this trace.

    They are `traceparent`, and `tracestate` and `baggage` as received from the caller. Baggage may contain confidential
    values: send these headers only to services that you trust. Empty outside a trace. Never raises.
    """
    try:
        here = _trace.current()
        return {} if here is None or not here.span_id else headers_of(here)
    except Exception as error:
        pass_on(error)
        warn_once("not-propagated", "the trace headers could not be created: %r", error)
        return {}


def headers_of(span: Span) -> dict[str, str]:
    """Return the headers of a request that is made in this span.

    The random flag is the caller's, or set if this package made the trace id. The sampled flag is set if this process
    or its caller may have recorded the trace.
    """
    container, caller = _process.current(), span.caller
    flags = RANDOM if caller is None or not caller.trace_id else (caller.flags or 0) & (RANDOM | SAMPLED)
    if container is not None and container.policy.samples(span.trace_id):
        flags |= SAMPLED
    span.root.has_spans = True  # another tracer's span may have this one as its parent
    headers = {"traceparent": f"00-{span.trace_id}-{span.span_id}-{flags:02x}"}
    if caller is not None and caller.tracestate:
        headers["tracestate"] = caller.tracestate
    if caller is not None and caller.baggage:
        headers["baggage"] = caller.baggage
    return headers
