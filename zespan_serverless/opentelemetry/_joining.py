"""Puts spans of this package into OpenTelemetry's context. Imports OpenTelemetry's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import context as contexts  # pyright: ignore[reportMissingImports]
from opentelemetry import trace  # pyright: ignore[reportMissingImports]

from .. import _process
from .._base.guard import Guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._trace import Span


class _Ours(trace.NonRecordingSpan):  # type: ignore[misc,unused-ignore]
    """Represents a span of this package in OpenTelemetry's context."""


def entered(span: Span) -> Callable[[], object] | None:
    """Make our span OpenTelemetry's current one, unless it has its own. Return what undoes that."""
    with Guarded("OpenTelemetry's context"):
        container, current = _process.current(), trace.get_current_span()
        is_theirs = current.get_span_context().is_valid and not isinstance(current, _Ours)
        if container is None or is_theirs or not span.span_id:
            return None
        flags = trace.TraceFlags(int(container.policy.samples(span.trace_id)))
        ids = trace.SpanContext(int(span.trace_id, 16), int(span.span_id, 16), is_remote=False, trace_flags=flags)
        span.root.has_spans = True  # another tracer's span may have this one as its parent
        inside = trace.set_span_in_context(_Ours(ids))
        token = contexts.attach(inside)

        def undo() -> None:
            with Guarded("OpenTelemetry's context"):
                # Otherwise it is another context, or other code has left a span in it.
                if contexts.get_current() is inside:
                    contexts.detach(token)

        return undo
    return None
