"""Context managers and decorators for use inside a handler: users, sessions, tags, and steps."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import _process, _trace
from .._base.guard import Guarded, pass_on
from .._base.log import describe, warn_once
from .._record.record import Record, suspends
from .._record.values import plain
from ..errors import ConfigurationError
from . import kinds
from .steps import GeneralSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Literal, Protocol

    from .model_span import ModelSpan
    from .steps import AgentSpan, HandoffSpan, PlanningSpan, RetrieverSpan, ToolSpan

    F = TypeVar("F", bound=Callable[..., Any])
    Target = TypeVar("Target", covariant=True)
    ModelKind = Literal["llm", "embedding", "rerank", "moderation", "image_gen", "video_gen", "audio"]

    class Block(Protocol[Target]):
        """What `span` returns: a context manager, and a decorator."""

        def __enter__(self) -> Target: ...

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
        ) -> None: ...

        def __call__(self, function: F, /) -> F: ...


TAGS_MAX = 100
"""Number of tags that `with_context` may set on an event."""
TEXT_MAX = 1024
"""Maximum characters of a tag, its name, or the id of a user, session or conversation, which are on every event."""


class _Scope:
    """A `with` block, and a decorator that gives each call of the function its own block."""

    _here: _trace.Entered | None = None
    _is_used = False
    _others: list[_Scope]  # one for each further use of a block that has not ended
    _target: Any = None
    """The target of `as`."""

    def open(self) -> _trace.Span:
        """Begin the block, and return the span to make current."""
        raise NotImplementedError

    def close(self, error: BaseException | None) -> None:
        """End the block, with the exception that was raised inside."""

    def again(self) -> _Scope:
        """Return another block like this one."""
        raise NotImplementedError

    def __enter__(self) -> Any:
        if self._is_used:  # nested, or in several threads or tasks at once
            self._others.append(another := self.again())
            return another.__enter__()
        self._is_used = True
        try:
            self._here = _trace.Entered(self.open())
            self._here.enter()  # the last call in here: no signal handler runs before the `with` has begun
        except BaseException as error:  # by a signal handler, so `__exit__` will not be called
            self._leave(error)
            raise
        return self._target

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        block = self
        if self._others:
            used = [one for one in (self, *self._others) if one._is_used]
            block = next((one for one in used if one._here is not None and one._here.is_innermost), used[-1])
            if block is not self:
                self._others.remove(block)
        block._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        self._is_used = False
        try:
            if self._here is not None:
                self._here.leave()
        finally:
            self.close(error)

    def __call__(self, function: F) -> F:
        from .decorating import covering

        return covering(function, self.again)


class _Context(_Scope):
    def __init__(self, user_id: Any, session_id: Any, tags: Any, conversation_id: Any) -> None:
        self._given, self._others = (user_id, session_id, tags, conversation_id), []

    def again(self) -> _Context:
        return _Context(*self._given)

    def open(self) -> _trace.Span:
        user_id, session_id, tags, conversation_id = self._given
        base = _trace.current() or _trace.Span(_trace.new_trace_id(), "")  # no span id whose event never arrives
        inner = base.concerning(
            id_text(user_id, base.user_id),
            id_text(session_id, base.session_id),
            id_text(conversation_id, base.conversation_id),
            _tags(base.tags, tags),
        )
        with Guarded("with_context"):
            _trace.concern(base, inner)
        return inner


class _Step(_Scope):
    def __init__(
        self, name: str, kind: str, metadata: Any, replaying: Callable[[], bool] | None, fields: Mapping[str, Any]
    ) -> None:
        self._given = name, kind, metadata, replaying, fields
        self._others, self._is_open = [], False

    def again(self) -> _Step:
        return _Step(*self._given)

    def __call__(self, function: F) -> F:
        found = kinds.problem(self._given[1], self._given[4])
        if found:
            raise ConfigurationError(found)
        return super().__call__(function)

    def open(self) -> _trace.Span:
        self._span = _trace.new_span(_trace.current())
        around = self._span.step
        self._span.step = self._target = GeneralSpan("general", around)
        self._began, self._is_open = time.perf_counter(), True
        with Guarded("the start of a span"):
            self._begin(around)
        self._target.update(_mapping(self._given[2], "metadata"))
        self._began = time.perf_counter()
        return self._span

    def _begin(self, around: GeneralSpan | None) -> None:
        name, kind, _, replaying, fields = self._given
        found = kinds.problem(kind, fields)
        if found:
            warn_once("span-arguments", "%s", found)
        self._span.step = self._target = kinds.made(kind, around)
        self._target._begin(self._span, name, fields, is_noted=replaying is None)

    def close(self, error: BaseException | None) -> None:
        if self._is_open:
            self._is_open = False
            took_ms, is_repeated = (time.perf_counter() - self._began) * 1000, False
            try:
                if error is not None:
                    with Guarded("the error of a span"):
                        self._target._raised(error)
                is_repeated = _repeated(self._given[3])
            finally:
                if not is_repeated:
                    self._send(took_ms, error)
                self._target._close()

    def _send(self, took_ms: float, error: BaseException | None) -> None:
        name, made = self._given[0], list[Record]()
        try:
            _end(self._span, name, self._target, took_ms, error, made)
        except BaseException:  # by a signal handler
            if not made:
                _end(self._span, name, self._target, took_ms, error, made)
            raise


def with_context(
    user_id: str | None = None,
    session_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    *,
    conversation_id: str | None = None,
) -> _Context:
    """Add a user, a session, a conversation and tags to every event inside, in addition to those already set.

    `conversation_id` is OpenTelemetry's `gen_ai.conversation.id`: the thread of messages that calls belong to, if your
    application has one. Zespan groups traces by `session_id`.

    In a handler, and around one, the invocation's own event gets them, too. If several blocks of an invocation have
    different values (one block for each record of a batch), it gets only the values on which they agree. Outside an
    invocation, the block begins a trace.

    Also a decorator: `@with_context(tags={"feature": "search"})`, of `def`, `async def` and generators.
    """
    return _Context(user_id, session_id, tags, conversation_id)


@overload
def span(
    name: str,
    *,
    kind: ModelKind,
    model: str,
    provider: str,
    messages: str | Sequence[str | Mapping[str, Any]] | None = None,
    system: str | None = None,
    tools: Sequence[object] | None = None,
    stream: bool = False,
    metadata: Mapping[str, Any] | None = None,
    replaying: Callable[[], bool] | None = None,
) -> Block[ModelSpan]: ...
@overload
def span(
    name: str,
    *,
    kind: Literal["agent"],
    agent_id: str | None = None,
    agent_name: str | None = None,
    agent_role: str | None = None,
    agent_framework: str | None = None,
    tools: Sequence[object] | None = None,
    metadata: Mapping[str, Any] | None = None,
    replaying: Callable[[], bool] | None = None,
) -> Block[AgentSpan]: ...
@overload
def span(
    name: str,
    *,
    kind: Literal["tool"],
    arguments: object = None,
    result: object = None,
    metadata: Mapping[str, Any] | None = None,
    replaying: Callable[[], bool] | None = None,
) -> Block[ToolSpan]: ...
@overload
def span(
    name: str,
    *,
    kind: Literal["retriever"],
    query: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    replaying: Callable[[], bool] | None = None,
) -> Block[RetrieverSpan]: ...
@overload
def span(
    name: str,
    *,
    kind: Literal["planning"],
    steps: Sequence[object] | None = None,
    rationale: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    replaying: Callable[[], bool] | None = None,
) -> Block[PlanningSpan]: ...
@overload
def span(
    name: str,
    *,
    kind: Literal["handoff"],
    to_agent: str | None = None,
    from_agent: str | None = None,
    reason: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    replaying: Callable[[], bool] | None = None,
) -> Block[HandoffSpan]: ...
@overload
def span(
    name: str,
    *,
    kind: Literal["general", "chain"] = "general",
    metadata: Mapping[str, Any] | None = None,
    replaying: Callable[[], bool] | None = None,
) -> Block[GeneralSpan]: ...
def span(
    name: str,
    *,
    kind: str = "general",
    metadata: Mapping[str, Any] | None = None,
    replaying: Callable[[], bool] | None = None,
    **fields: Any,
) -> Any:
    """Trace a step: one event with its duration and, if it raises, the error; calls inside are its children.

    The `with` target is a dict for metadata, with methods for the fields of the step's kind:

        llm, embedding, rerank, moderation, image_gen, video_gen, audio: a model call that no traced SDK makes
        agent: a running agent; all events inside carry its id, name, role and framework
        tool, retriever, planning, handoff: the steps of an agent
        general, chain: anything else

    An unknown kind is logged once, and sent as `general`. An unknown field is logged once, and left out.

    Also a decorator, of `def`, `async def` and generators: the step lasts until the function has returned, the
    coroutine has been awaited, the generator is exhausted or closed. Inside, `current_span(kind)` returns the target.
    The decorator raises ConfigurationError for an unknown kind or field.

    `replaying`: a durable function's `context.is_replaying`. A step that ends before anything new has happened was sent
    by the invocation that ran it first, and is left out.
    """
    return _Step(name, kind, metadata, replaying, fields)


@overload
def current_span() -> GeneralSpan: ...
@overload
def current_span(kind: ModelKind) -> ModelSpan: ...
@overload
def current_span(kind: Literal["agent"]) -> AgentSpan: ...
@overload
def current_span(kind: Literal["tool"]) -> ToolSpan: ...
@overload
def current_span(kind: Literal["retriever"]) -> RetrieverSpan: ...
@overload
def current_span(kind: Literal["planning"]) -> PlanningSpan: ...
@overload
def current_span(kind: Literal["handoff"]) -> HandoffSpan: ...
@overload
def current_span(kind: Literal["general", "chain"]) -> GeneralSpan: ...
def current_span(kind: str | None = None) -> GeneralSpan:
    """Return the target of the innermost enclosing `span` of this kind, for use in decorated functions.

    Outside such a span, nothing that you set on the result is sent, and a warning is logged once.
    """
    return kinds.nearest(kind, _trace.current())


def id_text(value: object, otherwise: str | None) -> str | None:
    """Convert an id to text, as in events. Databases use numbers, and requests contain any type."""
    try:
        return otherwise if value is None else str(value)[:TEXT_MAX]
    except Exception as problem:
        pass_on(problem)
        return otherwise


def _tags(outer: Mapping[str, str] | None, inner: object) -> dict[str, str] | None:
    """Merge tags, up to the number that an event may have."""
    added: dict[str, Any] = {}
    with Guarded("tags"):
        added = plain(_mapping(inner, "tags"))  # of any type, and from a mapping that may raise
    if any(len(text) > TEXT_MAX for pair in added.items() for text in pair if isinstance(text, str)):
        added = {key[:TEXT_MAX]: text[:TEXT_MAX] if isinstance(text, str) else text for key, text in added.items()}
    both = {**(outer or {}), **added}
    if len(both) > TAGS_MAX:
        warn_once("too-many-tags", "an event has %d tags at most, the others are left out", TAGS_MAX)
        both = dict(islice(both.items(), TAGS_MAX))
    return both or None


def _mapping(value: object, what: str) -> dict[str, Any]:
    """Return a copy of a mapping, or an empty dict for anything else, so that the handler does not fail."""
    try:
        return {} if value is None else dict(value)  # type: ignore[call-overload]
    except Exception as problem:
        pass_on(problem)
        warn_once("metadata-left-out", "%s are left out: %s", what, describe(problem))
        return {}


def _repeated(replaying: Callable[[], bool] | None) -> bool:
    try:
        return replaying is not None and bool(replaying())
    except Exception as problem:
        pass_on(problem)
        warn_once("replaying-failed", "is_replaying failed, the step is sent: %r", problem)
        return False


def _end(
    here: _trace.Span,
    name: str,
    target: GeneralSpan,
    took_ms: float,
    error: BaseException | None,
    made: list[Record],
) -> None:
    """Send the record of a span. `made` receives it as soon as it exists; then it is sent even after a signal."""
    container = _process.current()
    if container is None:
        return

    def make() -> Record:
        record = Record(here, container.resource, target.kind, name, took_ms, dict(target))
        target._complete(record, container)
        if error is not None and suspends(error):
            record.attributes = {**record.attributes, "suspended": True}
        elif error is not None:
            record.fail(error)
            record.attributes = {**record.attributes, "error.type": type(error).__name__}
        made.append(record)
        return record

    with Guarded("a span"):
        container.capture(make, here.span_id)
