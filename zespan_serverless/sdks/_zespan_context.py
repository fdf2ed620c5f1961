"""Joins the context of the SDK `zespan` with that of this package.

The SDK keeps a dict in a context variable, which is replaced here: an SDK's block becomes a span, or a change of user,
session and tags, and outside its blocks the SDK sees the current span. So its events are in this package's trace with
an existing parent, and this package's events have the SDK's users, sessions, tags and agents.
"""

from __future__ import annotations

import sys
from typing import Any

from .. import _process, _trace
from .._base.guard import Guarded

_AGENT = ("agent_id", "agent_name", "agent_role", "agent_framework", "parent_agent_id")
_HEX = frozenset("0123456789abcdef")


def join() -> None:
    """Replace the SDK's context variable. Idempotent."""
    module: Any = sys.modules["zespan.context"]
    if not isinstance(module._zespan_ctx, Joined):
        module._zespan_ctx = Joined(module._zespan_ctx)


def _agent_of(value: Any) -> dict[str, Any]:
    known = value if isinstance(value, dict) else {}
    return {name: text for name in _AGENT if (text := known.get(name)) is not None}


def hexadecimal(value: object, count: int) -> str:
    """Return the first digits of an id, which are random in the SDK's UUIDs as well. Empty for any other value."""
    digits = value.replace("-", "").lower() if isinstance(value, str) else ""
    return digits[:count] if len(digits) >= count and _HEX.issuperset(digits) else ""


class Joined:
    """Implements the part of a context variable that the SDK uses."""

    def __init__(self, variable: Any) -> None:
        self._variable = variable
        self.name = variable.name

    def get(self, *default: Any) -> Any:
        """Return the block's dict, with this package's trace, the current span as the parent, and the current user."""
        value = self._variable.get(*default)
        here = _trace.current() if _process.current() is not None else None
        if here is None or not (value is None or isinstance(value, dict)):
            return value
        known = value or {}
        return {
            **known,
            "trace_id": here.trace_id,
            "span_id": here.span_id or None,
            "user_id": known.get("user_id") if here.user_id is None else here.user_id,
            "session_id": known.get("session_id") if here.session_id is None else here.session_id,
            "tags": {**_tags(known), **(here.tags or {})},
        }

    def set(self, value: Any) -> Any:
        """Enter a block. A block without a span gets the ids of the enclosing one."""
        entered = None
        if isinstance(value, dict) and _process.current() is not None:
            with Guarded("the context of the SDK zespan"):
                entered = self._entered(value)
        return entered, self._variable.set(value)

    def reset(self, token: Any) -> None:
        """Leave a block."""
        entered, inner = token if isinstance(token, tuple) else (None, token)
        try:
            if entered is not None:
                entered.leave()
        finally:
            self._variable.reset(inner)

    def _entered(self, value: dict[str, Any]) -> _trace.Entered:
        here = _trace.current()
        before = self._variable.get()
        base = here or _trace.Span(hexadecimal(value.get("trace_id"), 32) or _trace.new_trace_id(), "")
        value["trace_id"] = base.trace_id
        is_span = "agent_id" in value  # the SDK's SpanCtx: a span that has, or will have, an event
        if not is_span:  # `with_zespan_context`: an id that no event will have, and no agent
            value["span_id"] = base.span_id or None
            value.update(_agent_of(before))
        span = base.concerning(
            _text(value.get("user_id"), base.user_id),
            _text(value.get("session_id"), base.session_id),
            base.conversation_id,
            {**(base.tags or {}), **_tags(value)} or None,
        )
        agent = _agent_of(value)
        if agent:
            span.step = _AtWork(agent, base.step)
        if is_span:
            span.span_id, span.parent_span_id = hexadecimal(value.get("span_id"), 16), base.span_id or None
        _trace.concern(base, span)
        return _trace.enter(span)


class _AtWork:
    """A running agent of the SDK, in place of a step (`_observe.steps.GeneralSpan`)."""

    def __init__(self, agent: dict[str, Any], around: Any) -> None:
        self.agent, self._around = agent, around

    def _observed(self, kind: str) -> None:
        if self._around is not None:
            self._around._observed(kind)

    def _counted_inside(self, kind: str) -> None:
        """Return False, because the SDK's agents count nothing."""


def _text(value: Any, otherwise: str | None) -> str | None:
    return otherwise if value is None else str(value)


def _tags(value: dict[str, Any]) -> dict[str, Any]:
    tags = value.get("tags")
    return tags if isinstance(tags, dict) else {}
