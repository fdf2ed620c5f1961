"""Integration with OpenTelemetry: its spans become events, in one trace with this package's spans.

* `tracer_provider.add_span_processor(SpanProcessor())`: OpenTelemetry's spans are delivered with this package's events
* `join_traces()`: OpenTelemetry's spans inside an invocation become its children, also in OpenTelemetry's backend

An invocation inside an OpenTelemetry span continues its trace without either of them.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .. import _process, _trace
from .._base import RESETS
from .._base.guard import Guarded
from .._observe.beside_opentelemetry import current_span
from .._observe.steps import GeneralSpan
from .._trace.context import ASKED, ENTERED, entered
from ..errors import ConfigurationError
from . import _records

if TYPE_CHECKING:
    from opentelemetry.context import Context  # pyright: ignore[reportMissingImports]
    from opentelemetry.sdk.trace import ReadableSpan, Span  # pyright: ignore[reportMissingImports]
    from opentelemetry.sdk.trace import SpanProcessor as _Base  # pyright: ignore[reportMissingImports]

    from .._trace import Span as OurSpan
else:
    _Base = object

__all__ = ["SpanProcessor", "join_traces"]

OPEN_MAX = 10_000
"""Maximum number of open spans; with one more, the oldest is forgotten, and has no event."""

_open: dict[int, _records.Begun] = {}  # by OpenTelemetry's ids
_latest: ContextVar[int] = ContextVar("zespan_serverless_opentelemetry", default=0)
"""The id of the last span that began here: some instrumentations never make a call's span current."""


class SpanProcessor(_Base):  # type: ignore[misc,unused-ignore]
    """Delivers the spans of a TracerProvider with this package's events: model calls with tokens, others as steps.

    Add it to the provider that instrumentations use. Spans that begin inside an invocation are in its trace. If this
    package traces a model call itself, only its own event has tokens.
    """

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Record the start of a span."""
        with Guarded("the start of OpenTelemetry's span"):
            key = span.get_span_context().span_id
            if _process.current() is not None and key not in _open:  # already so, if there are two processors
                _latest.set(key)
                _open[key] = _begun(span)
                if len(_open) > OPEN_MAX:
                    _open.pop(next(iter(_open)), None)

    def on_end(self, span: ReadableSpan) -> None:
        """Capture a span that has ended."""
        with Guarded("the end of OpenTelemetry's span"):
            begun, container = _open.pop(span.get_span_context().span_id, None), _process.current()
            if begun is not None and container is not None:
                try:
                    container.capture(lambda: _records.record(begun, span, container), begun.span.span_id)
                finally:
                    begun.target._close()

    def _on_ending(self, span: Span) -> None:
        """Do nothing: newer versions of OpenTelemetry call this."""

    def shutdown(self) -> None:
        """Do nothing: events are sent as long as the process runs."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Do nothing: events are flushed at the end of the invocation."""
        return True


def join_traces() -> None:
    """Make OpenTelemetry's spans inside an invocation, or a `span()`, its children from now on.

    It applies where no OpenTelemetry span is current, by putting this package's span into OpenTelemetry's context.
    Consider the consequences: in OpenTelemetry's backend these spans have a parent that was sent to another backend,
    and a parent-based sampler records what this package records (`sample_rate`).

    Raises ConfigurationError if `opentelemetry-api` is not installed.
    """
    try:
        from . import _joining
    except ImportError as error:
        text = f"join_traces needs opentelemetry-api: pip install opentelemetry-api ({error})"
        raise ConfigurationError(text) from error
    if _joining.entered not in ENTERED:
        ENTERED.append(_joining.entered)


def _begun(span: Any) -> _records.Begun:
    parent = span.parent
    above = None if parent is None else _open.get(parent.span_id)
    here = _trace.current()
    if above is not None and (here is None or here.span_id == above.entered_id):  # its parent is not the current one
        here = above.span
    own = _trace.new_span(here)
    context = span.get_span_context()
    own.span_id = f"{context.span_id:016x}"
    if here is None:
        own.trace_id = f"{context.trace_id:032x}"
        own.parent_span_id = None if parent is None else f"{parent.span_id:016x}"
    last = entered()
    begun = _records.Begun(own, "" if last is None else last.span_id, is_inside_call=_trace.open_call.get() is not None)
    begun.see(span.attributes or {})
    return begun


def _inside(here: OurSpan | None) -> OurSpan | None:
    """Return the innermost span: OpenTelemetry's current one, unless this package has entered one inside it."""
    if not _open:
        return here
    with Guarded("OpenTelemetry's current span"):
        span = current_span()
        begun = None if span is None else _open.get(span.get_span_context().span_id)
        if begun is not None and begun.entered_id == ("" if here is None else here.span_id):
            if here is None or (here.user_id, here.session_id, here.tags) == (None, None, None):
                return begun.span
            return begun.span.concerning(here.user_id, here.session_id, here.conversation_id, here.tags)
    return here


def _seen() -> None:
    """Note that this package has begun to trace a model call, so that the spans around it do not count its tokens."""
    if not _open:
        return
    with Guarded("OpenTelemetry's span of a call"):
        here, latest = _trace.current(), _open.get(_latest.get())
        for step in (None if here is None else here.step, None if latest is None else latest.target):
            if isinstance(step, GeneralSpan):
                _records.mark(step)


ASKED.insert(0, _inside)  # before the frameworks' functions, whose steps may be inside or around
_trace.ON_CALL.append(_seen)
RESETS.append(_open.clear)
