"""One piece of work of many in a process: a task of a worker, or what goes on in the background after a response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _observe, _trace
from . import settings as _settings
from ._base.guard import Guarded
from ._observe import audience
from ._observe.active import CLOSED, SETTLED, ActiveInvocation
from ._observe.host import Host
from ._platforms.detect import detect
from ._platforms.platform import countdown
from ._record.invocation import NO_RESULT, Description, Invocation, Result
from ._trace import Caller
from ._trace.context import SAMPLED, caller_of
from .errors import ConfigurationError
from .jobs import ActiveRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self, Unpack

    from ._process.container import Container
    from .settings import SettingsKwargs


def task_scope(
    name: str,
    /,
    *,
    id: str | None = None,
    traceparent: str | Mapping[str, Any] | None = None,
    deadline: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    **settings: Unpack[SettingsKwargs],
) -> Task:
    """Trace one of many pieces of work in a process: each has one root event, also in concurrent threads and tasks::

        with task_scope("index document", traceparent=message.headers) as task:
            ...
            task["pages"] = 12

        async with task_scope("answer", id=message.id):
            ...

    `id` identifies this piece of work. `traceparent` comes from the sender: the header's value, or headers that contain
    it; without one the work belongs to the current trace, or begins a new one. `metadata` becomes part of the event,
    and so do values that are set on the target until the end. An exception propagates, and marks the event as failed;
    `task.fail(...)` does so without one. Takes every setting by keyword (see `Settings`); raises ConfigurationError for
    an unknown one.

    A thread sends the events while the process keeps running. Pass `deadline` if it does not: the seconds, from now on,
    after which the process ends, or loses its CPU; 0 or less if that time is over. `time_left()` counts them down, and
    the end of the block waits until the events are delivered, for at most `flush_timeout` seconds, within the deadline.
    It also waits on platforms that give CPU only to requests, if the response has been sent.
    """
    if not name or not isinstance(name, str):
        raise ConfigurationError(f"task_scope takes the name of the work: task_scope('index document'). Got {name!r}")
    if not (deadline is None or isinstance(deadline, (int, float))):
        raise ConfigurationError(f"deadline is the number of seconds that are left. Got {deadline!r}")

    def invocation() -> Invocation:
        headers: Any = {"traceparent": traceparent} if isinstance(traceparent, str) else traceparent
        parent, attributes = None, {"faas.trigger": "other"}
        with Guarded("the headers of a task"):
            parent = caller_of(headers.get) if hasattr(headers, "get") else None
        with Guarded("the metadata of a task"):
            attributes.update({} if metadata is None else metadata)
        return Invocation(id, name, parent, _left(deadline), lambda: Description(attributes))

    return Task(invocation, _settings.check(settings), is_last=deadline is not None)


def _left(seconds: float | None) -> Callable[[], float] | None:
    """Return what counts down; None for what cannot be counted down: NaN, infinity. A deadline may be in the past."""
    return countdown(max(seconds, 0.0)) if seconds is not None and seconds < 1e9 else None


class TaskHost(Host[Invocation]):
    """The answers of a process that does one piece of work after the other, or several at once.

    `is_last`: whether the process may end with this one, so that its end waits for the flush.
    """

    one_at_a_time = False

    def __init__(self, *, is_last: bool = False) -> None:
        self._platform, self._is_last = detect(), is_last

    def resource(self) -> Mapping[str, object]:
        return self._platform.attributes

    def process_stays_alive(self, invocation: Invocation) -> bool:
        return self._platform.keeps_cpu and not self._is_last


class Task(dict[str, Any]):
    """The context manager that `task_scope` returns, for `with` and `async with`; a dict for the event's metadata.

    `invocation` describes the work when it begins, `is_last` is that of `TaskHost`. `subject` is what functions that
    read a user or a session are called with.
    """

    def __init__(
        self,
        invocation: Callable[[], Invocation],
        settings: Mapping[str, Any],
        *,
        is_last: bool = False,
        subject: object = None,
    ) -> None:
        super().__init__()
        self._invocation, self._settings, self._is_last, self._subject = invocation, settings, is_last, subject
        self._failure: BaseException | None = None
        self._result: Result = NO_RESULT
        self._open: list[_ActiveTask | None] = []  # more than one if it is entered inside itself, which adds nothing

    def fail(self, error: BaseException | str, type: str = "failed") -> None:
        """Mark the event as failed, with an error that is not raised: an exception, or its text and `type`."""
        if isinstance(error, BaseException):
            self._failure = error
        else:
            self._result = Result(error_type=type, error_message=error)

    def __enter__(self) -> Self:
        active = None
        if not self._open:
            with Guarded("the start of a task"):
                active = self._opened()
        self._open.append(active)
        if active is not None:
            try:
                active.begin()
            except BaseException:  # of a signal handler
                self._open.remove(active)
                active.leave()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        active = self._open.pop()
        if active is not None:
            try:
                if error is None:
                    active.returned(None)
                else:
                    active.raised(error)
            finally:
                active.leave()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        active = self._open.pop()
        if active is not None:
            try:
                if error is None:
                    await active.returned_async(None)
                else:
                    await active.raised_async(error)
            finally:
                active.leave()

    def outcome(self, error: BaseException | None, result: Result) -> tuple[BaseException | None, Result]:
        """Return the outcome for the event: an exception takes precedence over the argument of `fail`."""
        if error is not None or result is not NO_RESULT:
            return error, result
        return self._failure, self._result

    def _opened(self) -> _ActiveTask | None:
        """Return the work as an invocation that has not begun; None if telemetry is off."""
        readers = {name: self._settings[name] for name in _settings.READERS if name in self._settings}
        container = _observe.start({name: value for name, value in self._settings.items() if name not in readers})
        if container is None:
            return None
        active = self._made(container)
        audience.put(readers, lambda: self._subject, active.span)
        return _ActiveTask(active, self)

    def _made(self, container: Container) -> ActiveInvocation:
        work, here = self._invocation(), _trace.current()
        describe = work.describe
        work = work.replaced(describe=lambda: _with(describe(), self))
        host = TaskHost(is_last=self._is_last)
        if here is None or not here.span_id:
            return ActiveInvocation(host, container, work)
        around: ActiveInvocation | None = here.root.invocation()
        inherits = work.parent is None or not work.parent.trace_id
        work = work.replaced(parent=_caller(here)) if inherits else work
        work = work if around is None or work.remaining is not None else _Inside(around, work)
        active = ActiveInvocation(host, container, work)
        if inherits:
            active.span.user_id, active.span.session_id, active.span.tags = here.user_id, here.session_id, here.tags
            active.span.conversation_id = here.conversation_id
        return active


class _Inside(Invocation):
    """Work inside an invocation, whose deadline it has until that is over."""

    __slots__ = ("_around",)

    def __init__(self, around: ActiveInvocation, work: Invocation) -> None:
        self._around = around
        is_killed = around.invocation.is_killed
        super().__init__(work.id, work.name, work.parent, describe=work.describe, is_killed=is_killed)

    @property
    def remaining(self) -> Callable[[], float] | None:
        return self._around.invocation.remaining if self._around.state < CLOSED else None

    @remaining.setter
    def remaining(self, own: Callable[[], float] | None) -> None: ...  # pyright: ignore[reportIncompatibleVariableOverride]


class _ActiveTask(ActiveRun):
    """A run that does not end its process: it waits for the flush only if no other thread would flush."""

    def __init__(self, active: ActiveInvocation, task: Task) -> None:
        super().__init__(active)
        here = _trace.current()
        self._task = task
        self._around: ActiveInvocation | None = None if here is None else here.root.invocation()

    def _end(self, error: BaseException | None) -> None:
        if self._close(error):
            with Guarded("the flush"):
                if self._is_left_to_others():
                    return
                # What else ends a task comes from outside, to an event loop or greenlet, which must not wait.
                waits = error is None or isinstance(error, (Exception, SystemExit, KeyboardInterrupt))
                if waits or not self._active.host.process_stays_alive(self._active.invocation):
                    self._active.settle(error)
                else:
                    self._active.settle_without_waiting()

    async def _end_async(self, error: BaseException | None) -> None:
        if self._close(error):
            with Guarded("the flush"):
                if not self._is_left_to_others():
                    await self._active.settle_async(error)

    def _is_left_to_others(self) -> bool:
        """Whether the invocation that this work is a part of is still under way: its end flushes everything."""
        if self._around is None or self._around.state >= CLOSED:
            return False
        self._active.state = SETTLED
        return True

    def _outcome(self, error: BaseException | None, result: Result) -> tuple[BaseException | None, Result]:
        return self._task.outcome(error, result)


def _with(described: Description, more: Mapping[str, Any]) -> Description:
    return described.replaced(attributes={**described.attributes, **more})


def _caller(span: _trace.Span) -> Caller:
    """Return the span that work is begun in, as its caller."""
    above = span.caller
    if above is None:
        return Caller(span.trace_id, span.span_id, SAMPLED)
    return above.replaced(trace_id=span.trace_id, span_id=span.span_id)
