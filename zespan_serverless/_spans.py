"""For use inside a handler: who this is for, and steps of one's own."""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import _container, _trace
from ._event import Event, failed, new_event, plain, suspends
from ._log import describe, warn_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


TAGS_MAX = 100
"""Tags that an event may have from `with_context`."""
TEXT_MAX = 1024
"""Characters of a tag, of its name, of the id of a user or session: they are on every event."""


@contextmanager
def with_context(
    user_id: str | None = None, session_id: str | None = None, tags: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Put a user, a session and tags on every event inside, in addition to those already in force.

    Also a decorator: `@with_context(tags={"feature": "search"})`. Outside an invocation it begins a trace.
    """
    base = _trace.current() or _trace.Span(_trace.new_trace_id(), "")  # no span of its own that never arrives
    inner = _trace.Span(
        base.trace_id,
        base.span_id,
        base.parent_span_id,
        _text(user_id, base.user_id),
        _text(session_id, base.session_id),
        _tags(base.tags, tags),
        base.ends,
    )
    token = _trace.enter(inner)
    try:
        yield
    finally:
        _trace.leave(token)


@contextmanager
def span(
    name: str,
    *,
    kind: str = "general",
    metadata: Mapping[str, Any] | None = None,
    replaying: Callable[[], bool] | None = None,
) -> Iterator[dict[str, Any]]:
    """A step of your own: one event with its duration and, if it raises, the error; calls inside belong to it.

    `kind` is the SDK's span_kind: general, tool, agent, planning, handoff, retriever. The `with` target is a dict for
    metadata that is known only later. Also a decorator.

    `replaying`: a durable function's `context.is_replaying`. A step that is over before anything new has happened was
    sent by the invocation that took it the first time, and is left out.
    """
    here = _trace.new_span(_trace.current())
    token = _trace.enter(here)
    began, details, error = time.perf_counter(), _mapping(metadata, "metadata"), None
    try:
        yield details
    except BaseException as raised:
        error = raised
        raise
    finally:
        _trace.leave(token)
        if not _repeated(replaying):
            _end(here, name, kind, details, (time.perf_counter() - began) * 1000, error)


def traceparent() -> str | None:
    """The W3C `traceparent` header for a request of yours, so that what it calls joins this trace; None outside one."""
    here = _trace.current()
    return here.traceparent() if here and here.span_id else None


def _text(value: object, otherwise: str | None) -> str | None:
    """An id as events have it, which is text; databases have numbers, and requests bring whatever they like."""
    try:
        return otherwise if value is None else str(value)[:TEXT_MAX]
    except Exception:
        return otherwise


def _tags(outer: Mapping[str, str] | None, inner: object) -> dict[str, str] | None:
    """The tags of both, as far as every event can carry them."""
    added = plain(_mapping(inner, "tags"))  # whatever they are, and whatever becomes of them
    if any(len(text) > TEXT_MAX for pair in added.items() for text in pair if isinstance(text, str)):
        added = {key[:TEXT_MAX]: text[:TEXT_MAX] if isinstance(text, str) else text for key, text in added.items()}
    both = {**(outer or {}), **added}
    if len(both) > TAGS_MAX:
        warn_once("an event has %d tags at most, the others are left out", TAGS_MAX)
        both = dict(islice(both.items(), TAGS_MAX))
    return both or None


def _mapping(value: object, what: str) -> dict[str, Any]:
    """A copy of what should be a mapping; nothing of anything else, for it is a handler that would fail."""
    try:
        return {} if value is None else dict(value)  # type: ignore[call-overload]
    except Exception as problem:
        warn_once("%s are left out: %s", what, describe(problem))
        return {}


def _repeated(replaying: Callable[[], bool] | None) -> bool:
    try:
        return replaying is not None and bool(replaying())
    except Exception as problem:
        warn_once("is_replaying failed, the step is sent: %r", problem)
        return False


def _end(
    here: _trace.Span, name: str, kind: str, details: dict[str, Any], took_ms: float, error: BaseException | None
) -> None:
    container = _container.current()
    if container is None:
        return

    def made() -> Event:
        event, said = new_event(here, container.settings, took_ms, kind=kind, operation=name), dict(details)
        if error is not None and suspends(error):
            said["suspended"] = True
        elif error is not None:
            failed(event, error)
            said["error.type"] = type(error).__name__
        if said:
            event["metadata"] = said
        return event

    container.capture_made(made, here.span_id)
