"""W3C trace context, incoming and outgoing, ids, and the current span.

Ids come from os.urandom, because users seed `random`, and containers restored from one snapshot share its state.
"""

from __future__ import annotations

import os
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .._base import Value
from .._base.guard import pass_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token

    Carrier = Callable[[str], object]
    """Gives what a request or a message has under `traceparent`, `tracestate` and `baggage`."""

SAMPLED, RANDOM = 0x01, 0x02
"""Trace flags: sampled (the caller may have recorded the trace); random (at least the right half of the trace id)."""

LISTS = ("tracestate", "baggage")
"""Headers whose value is a list, which HTTP allows to be split over several lines."""

_IDS = ("user_id", "session_id", "conversation_id")
_HEX = frozenset("0123456789abcdef")
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # a UUID's variant digit, as in RFC 9562
_TRACEPARENT_MAX = 512  # version 00 has 55 characters; later versions may append, within a limit


def _random(count: int) -> bytes:
    try:
        return os.urandom(count)
    except (NotImplementedError, OSError) as error:  # of a sandbox that has none; the user's steps continue without one
        pass_on(error)
        import hashlib

        here = f"{os.getpid()} {threading.get_ident()} {time.time_ns()} {time.perf_counter_ns()}"
        return hashlib.shake_128(here.encode()).digest(count)


class Caller(Value):
    """What a caller passes in the headers of a request or the attributes of a message.

    `trace_id` is empty if there is only baggage, `span_id` is None if the trace has no span above this one. `flags` are
    those of W3C trace context, None if the caller's format has none. `tracestate` and `baggage` are valid lists, or
    empty: they are forwarded unchanged.
    """

    __slots__ = ("baggage", "flags", "span_id", "trace_id", "tracestate")

    def __init__(
        self,
        trace_id: str,
        span_id: str | None = None,
        flags: int | None = None,
        tracestate: str = "",
        baggage: str = "",
    ) -> None:
        self.trace_id: str = trace_id
        self.span_id: str | None = span_id
        self.flags: int | None = flags
        self.tracestate: str = tracestate
        self.baggage: str = baggage


class Root:
    """State that the spans below one root share.

    `open`: callables by id that end what has not ended yet (an unread stream). `calls`: the number of model calls.
    `has_spans`: whether there has been a span. `is_paused`: whether the invocation waits until the next item of a
    generator is requested. `owner`: a weak reference to the current invocation, None if there is none.
    """

    __slots__ = ("calls", "has_spans", "is_paused", "open", "owner")

    def __init__(self) -> None:
        self.open: dict[int, Callable[[], None]] = {}
        self.calls: int = 0
        self.has_spans: bool = False
        self.is_paused: bool = False
        self.owner: Callable[[], Any] | None = None

    def invocation(self) -> Any:
        """Return the current invocation that these spans belong to; None outside one."""
        return None if self.owner is None else self.owner()


class Span:
    """The position in a trace, and its user.

    `span_id` is empty while the trace has no span. `event_id` is the id of the event that this span becomes. `caller`
    began this part of the trace; None if it begins here. `step` is the target of the innermost enclosing step
    (`_observe.steps`).
    """

    __slots__ = (
        *("caller", "conversation_id", "event_id", "parent_span_id", "root", "session_id", "span_id", "step", "tags"),
        *("trace_id", "user_id"),
    )

    def __init__(
        self,
        trace_id: str,
        span_id: str,
        parent_span_id: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        root: Root | None = None,
    ) -> None:
        self.trace_id: str = trace_id
        self.span_id: str = span_id
        self.event_id: str = ""
        self.parent_span_id: str | None = parent_span_id
        self.user_id: str | None = user_id
        self.session_id: str | None = session_id
        self.tags: Mapping[str, str] | None = tags
        self.root: Root = Root() if root is None else root
        self.conversation_id: str | None = None
        self.step: Any = None
        self.caller: Caller | None = None

    def child(self) -> Span:
        """Return a new span under this one, with the same user, session, conversation and tags."""
        self.root.has_spans = True
        drawn = _random(24).hex()
        parent = self.span_id or None
        child = Span(self.trace_id, drawn[32:], parent, self.user_id, self.session_id, self.tags, self.root)
        child.event_id, child.conversation_id, child.step = _uuid(drawn[:32]), self.conversation_id, self.step
        child.caller = self.caller
        return child

    def concerning(
        self, user_id: str | None, session_id: str | None, conversation_id: str | None, tags: Mapping[str, str] | None
    ) -> Span:
        """Return this span with another user, session and conversation, and other tags."""
        copy = Span(self.trace_id, self.span_id, self.parent_span_id, user_id, session_id, tags, self.root)
        copy.event_id, copy.conversation_id, copy.step = self.event_id, conversation_id, self.step
        copy.caller = self.caller
        return copy


def new_span(parent: Span | None = None) -> Span:
    """Return a child of `parent`, or the root of a new trace."""
    return parent.child() if parent is not None else continued(None)


def continued(caller: Caller | None) -> Span:
    """Return the root span of an invocation: in its caller's trace, or in a new one."""
    drawn = _random(40).hex()  # all at once: a system call per id takes a tenth of the time of tracing a request
    trace_id = (caller.trace_id if caller is not None else "") or drawn[48:]
    span = Span(trace_id, drawn[32:48], None if caller is None else caller.span_id)
    span.event_id, span.caller = _uuid(drawn[:32]), caller
    return span


def concern(base: Span, inner: Span) -> None:
    """Report what is set inside to the current invocation, unless it was set before."""
    call = base.root.invocation()
    if call is not None:
        before = base.tags or {}
        call.concerns(
            {name: getattr(inner, name) for name in _IDS if getattr(base, name) is None},
            {key: value for key, value in (inner.tags or {}).items() if key not in before},
        )


def new_trace_id() -> str:
    """Return 32 random hex digits."""
    return _random(16).hex()


def new_event_id() -> str:
    """Return a UUID version 4 as text, made once per event: it lets the backend recognize a repeated delivery."""
    return _uuid(_random(16).hex())


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"


def caller_of(carrier: Carrier) -> Caller | None:
    """Return the caller in a request or message; None if it carries neither a valid trace nor baggage."""
    found = parse_traceparent(carrier("traceparent"))
    state, baggage = carrier("tracestate") if found is not None else None, carrier("baggage")
    if state or baggage:
        from .lists import parse_baggage, parse_tracestate  # regular expressions, which most requests do not need

        state, baggage = parse_tracestate(state), parse_baggage(baggage)
        if found is not None:
            return Caller(found.trace_id, found.span_id, found.flags, state, baggage)
        return Caller("", baggage=baggage) if baggage else None
    return found


def parse_traceparent(value: object) -> Caller | None:
    """Parse a W3C `traceparent` into trace id, span id and flags; None if it is invalid.

    https://www.w3.org/TR/trace-context-2/#traceparent-header. The sampled flag is kept but does not decide: an upstream
    that does not sample (X-Ray's default) must not switch the user's traces off.
    """
    if not isinstance(value, str) or not 55 <= len(value) <= _TRACEPARENT_MAX:
        return None
    version, trace_id, span_id, flags = value[:2], value[3:35], value[36:52], value[53:55]
    if not (value[2] == value[35] == value[52] == "-" and _HEX.issuperset(version + flags)):
        return None
    if version == "ff" or (len(value) > 55 and (version == "00" or value[55] != "-")):
        return None
    return Caller(trace_id, span_id, int(flags, 16)) if are_ids(trace_id, span_id) else None


def are_ids(trace_id: str, span_id: str) -> bool:
    """Whether these are a trace id and a span id: lower-case hex digits, and not only zeros."""
    is_hex = len(trace_id) == 32 and len(span_id) == 16 and _HEX.issuperset(trace_id + span_id)
    return is_hex and bool(trace_id.strip("0") and span_id.strip("0"))


_current: ContextVar[Span | None] = ContextVar("zespan_serverless_span", default=None)
open_call: ContextVar[Any] = ContextVar("zespan_serverless_model_call", default=None)
"""The model call whose method is running here; None if there is none."""

ON_CALL: list[Callable[[], object]] = []
"""Called when a room of `providers` begins to record a model call, for other tools' wrappers around it. None raises."""

_shared: Span | None = None
"""The invocation's root span on a host that runs one at a time: threads of a ThreadPoolExecutor start with an empty
context, and would otherwise each begin a trace."""


ASKED: list[Callable[[Span | None], Span | None]] = []
"""Functions that map the span that was entered last to the current one. They never raise."""


ENTERED: list[Callable[[Span], Callable[[], object] | None]] = []
"""Functions that are called with a span that becomes current, and return what to call when it is left. Never raise."""


def entered() -> Span | None:
    """Return the span that was entered last."""
    return _current.get() or _shared


def current() -> Span | None:
    """Return the current span, or None."""
    here = _current.get() or _shared  # as `entered`, without the call: this function is called most often
    for inside in ASKED:
        here = inside(here)
    return here


def root() -> Span | None:
    """Return the root span of the current invocation, on a host that runs one at a time."""
    return _shared


class Entered:
    """Makes a span the current one, and restores the previous one.

    Call `enter` in the `try` whose `finally` calls `leave`: the user's signal handler may raise between any two steps,
    and `leave` undoes whatever part of `enter` was done. Calling `leave` twice is harmless.
    """

    __slots__ = ("_before", "_is_over", "_is_shared", "_shared_before", "_token", "_undo", "span")

    def __init__(self, span: Span | None, shared: bool = False) -> None:
        """`shared`: also for threads without a span."""
        self.span, self._is_shared, self._is_over = span, shared, False
        self._before, self._shared_before = _current.get(), _shared
        self._token: Token[Span | None] | None = None
        self._undo: list[Callable[[], object] | None] = []

    def enter(self) -> None:
        """Make the span the current one."""
        global _shared
        if self._is_shared:
            _shared = self.span
        self._token = _current.set(self.span)
        if ENTERED and self.span is not None:
            self._undo += [callback(self.span) for callback in ENTERED]

    @property
    def is_innermost(self) -> bool:
        """Whether no other span has been entered since, in this context."""
        return _current.get() is self.span

    def leave(self) -> None:
        """Undo `enter`. Does nothing in another context (a generator that is finalized elsewhere)."""
        global _shared
        if self._is_over:
            return
        while self._undo:
            undo = self._undo.pop()
            if undo is not None:
                undo()
        if self._is_shared and _shared is self.span:
            before = self._shared_before  # a generator's turn may run during another invocation
            _shared = before if before is not None and before.root.invocation() is not None else None
        if self._token is not None:
            try:
                _current.reset(self._token)
            except (ValueError, RuntimeError) as error:  # another context; done, and then interrupted
                pass_on(error)
                if _current.get() is self.span:
                    _current.set(self._before)
        elif self._before is not self.span and _current.get() is self.span:  # interrupted in `enter`
            _current.set(self._before)
        self._is_over = True


def enter(span: Span | None, *, shared: bool = False) -> Entered:
    """Make `span` the current one, in code that the user's signal handlers cannot interrupt."""
    entered = Entered(span, shared=shared)
    entered.enter()
    return entered


def forget() -> None:
    """Drop what a parent process or an earlier test left. The contextvar belongs to the context."""
    global _shared
    _shared = None
    _current.set(None)
