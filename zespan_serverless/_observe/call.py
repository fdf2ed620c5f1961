"""The story of one invocation, told once for every host.

    prepare   the container, once per process; what the host says about this call, as an Invocation
    begin     bind the trace to the context, and put on record that the invocation has begun
    call      the user's function, exactly once
    close     end it, and reset the context
    settle    the root event and a flush: in the background if the process goes on, after the response if the host can,
              else now, within what the invocation has left

The user's function is never harmed: what fails in here is logged once and left out. Nothing but the function's own
result or exception, of whatever kind, comes out of a call.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from .. import _process, _trace
from .._base.guard import Guarded
from .._delivery.budget import flush_budget
from .._process import sigterm
from .._record.invocation import WARM, ColdStart, Invocation
from .._record.record import Record, suspends
from .root_record import identity, milliseconds, root_record
from .startup import start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._process.container import Container

_TELL_MIN = 0.05
"""Seconds that `on_flush` gets at least, after a flush that has used up its own."""
_SAID_MAX = 102
"""Things that `with_context` may say of one invocation: a user, a session, and as many tags as an event has."""
_REARM_PAUSE = 1.0
"""Seconds between two looks at the signal handlers where many invocations end at once."""


class Host(Protocol):
    """What a room tells the core about its platform."""

    one_at_a_time: bool
    """Whether a process serves one invocation at a time: then threads without a context belong to it."""

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Invocation:
        """One call in neutral words. Total: any arguments give an Invocation."""
        ...

    def origin(self) -> ColdStart:
        """How this process came up; asked at its first invocation."""
        ...

    def result(self, result: object) -> Mapping[str, object]:
        """What the function's result says of how it went, as attributes.

        With `error.type` among them, and `error.message`, the invocation has failed though nothing was raised.
        """
        ...

    def begin(self, invocation: Invocation, on_record: Callable[[], None]) -> None:
        """The function is about to be called; an `end` will follow. Have `on_record` called: soon, if another thread
        can do that, else now."""
        ...

    def goes_on(self, invocation: Invocation) -> bool:
        """Whether the process runs on when this invocation is over: then nobody need wait for a flush."""
        ...

    def end(self, invocation: Invocation, flush: Callable[[], object] | None) -> bool:
        """The function is done. Have `flush`, if given, run once the response is on its way; False if it cannot."""
        ...


class Call:
    """One invocation, from `prepare` to `leave`.

    A signal handler of the user's may raise between any two steps in here (a timeout by SIGALRM, Ctrl-C). What it
    raises goes up, and the invocation is over all the same: `begin` belongs into the `try` whose `finally` looks at
    `is_left`, and calls `abandon`, and each of these steps can be taken again.
    """

    def __init__(self, host: Host, container: Container, invocation: Invocation) -> None:
        self.host, self.container, self.invocation = host, container, invocation
        container.invocations += 1
        self.start = host.origin() if container.invocations == 1 else WARM
        self.span = _trace.continued(invocation.parent)
        around = _trace.current()
        if around is not None and not around.span_id:  # a `with_context` around the call of a decorated function
            self.span.user_id, self.span.session_id, self.span.tags = around.user_id, around.session_id, around.tags
        self.left = self._left()
        self.over = False
        self.is_begun = False
        self.is_left = False  # whether there is nothing more to be done
        self.passed: Exception | None = None  # what an application inside has raised, see `passing`
        self._here = _trace.Entered(self.span, shared=host.one_at_a_time)
        self._said: dict[tuple[str, str], str | None] = {}  # by `with_context`, see `concerns`
        self._took_ms: float | None = None  # of one that has ended, as are the next three
        self._error: BaseException | None = None
        self._left_at_end: float | None = None
        self._answered: Mapping[str, object] = {}  # not the result itself: its owner may change it meanwhile
        self._is_reported = False
        self.began = time.perf_counter()

    def begin(self) -> None:
        """Make this the invocation under way: bind the trace to the context, put on record that it has begun."""
        with Guarded("the start of an invocation"):
            self.is_begun = True
            self._here.enter()
            self.container.active[id(self.span.ends)] = self
            self.began = time.perf_counter()
            self.container.delivery.ensure_sender()
            self.host.begin(self.invocation, self.on_record)

    def on_record(self) -> None:
        """Put down that this invocation has begun, for the case that it does not end. Never raises."""
        if self.container.records and self.container.settings.root_event and not self.invocation.is_probe:
            with Guarded("the start of an invocation"):
                attributes = {**identity(self.invocation, self.start), "time_left_at_start_ms": milliseconds(self.left)}
                name = self.container.settings.service_name or self.invocation.name
                record = Record(self.span, self.container.resource, "invocation", name, attributes=attributes)
                self.container.opened(record, lambda: self.over)

    def concerns(self, user_id: str | None, session_id: str | None, tags: Mapping[str, str]) -> None:
        """What `with_context` says inside. The root event has what is said once, or always the same: where the records
        of a batch are of different users, the invocation is of none."""
        said = {("user_id", ""): user_id, ("session_id", ""): session_id, **{("tags", key): tags[key] for key in tags}}
        for name, value in said.items():
            if value is not None and len(self._said) < _SAID_MAX and self._said.setdefault(name, value) != value:
                self._said[name] = None

    def leave(self, error: BaseException | None, result: object = None) -> None:
        """Reset the context, end the invocation, and have the rest done: after the response if possible, else now."""
        self.reset()
        self.close(error, result)
        self.settle(error)

    async def leave_soon(self, error: BaseException | None, result: object = None) -> None:
        """`leave` that leaves the event loop free."""
        self.reset()
        self.close(error, result)
        await self.settle_soon(error)

    def settle(self, error: BaseException | None = None) -> None:
        """What is left to do for an invocation that has been closed."""
        taken = False
        with Guarded("the flush"):
            taken = self._is_taken(error)
        if not taken:
            with Guarded("the flush"):
                try:
                    self._finish()
                finally:
                    self.host.end(self.invocation, None)
        self.is_left = True

    async def settle_soon(self, error: BaseException | None = None) -> None:
        """`settle` that leaves the event loop free."""
        with Guarded("the flush"):
            if not self._is_taken(error):
                try:
                    self.report()
                    sigterm.look_again()
                    if not self._flushes_later():
                        from .._delivery.aio import flush_async

                        await flush_async(self.container.delivery, self._budget())
                finally:
                    self.host.end(self.invocation, None)
        self.is_left = True

    def abandon(self) -> None:
        """Whatever has not been done, because an exception has struck in the midst of it. Waits for nothing."""
        self.reset()
        self.close(sys.exception())
        self.report()
        self.is_left = True
        with Guarded("the flush"):
            if not self.host.end(self.invocation, self._flush):
                self.container.delivery.flush_in_background(self.container.settings.flush_timeout)

    def __del__(self, exiting: Callable[[], bool] = sys.is_finalizing) -> None:
        """Whoever should have ended it has been interrupted before he could: then nothing else ends it."""
        if getattr(self, "is_begun", False) and not self.over and not exiting():
            with Guarded("the end of an invocation"):
                self.abandon()

    def reset(self) -> None:
        """Make what was current before this invocation current again."""
        with Guarded("the end of an invocation"):
            self._here.leave()

    def close(self, error: BaseException | None, result: object = None) -> Callable[[], None]:
        """End the invocation, whose context may live on. Gives `report`, to be called when there is time."""
        if self._took_ms is None:
            self._error, self._took_ms = error, (time.perf_counter() - self.began) * 1000
        self.over = True
        self.container.active.pop(id(self.span.ends), None)
        with Guarded("the end of an invocation"):
            for end in list(self.span.ends.values()):
                end()
            # Before anybody is woken: it lets go of the GIL, and would wait long to have it back.
            if self.host.one_at_a_time:
                sigterm.rearm(look=False)  # the rest when the response is on its way, see `_finish`
            else:
                sigterm.rearm(_REARM_PAUSE)
            self._left_at_end = self._left()
            if result is not None:
                self._answered = self.host.result(result)
        return self.report

    def report(self) -> None:
        """Capture the root event of an invocation that has been closed, once."""
        took_ms = self._took_ms
        if took_ms is None or self._is_reported:
            return
        with Guarded("the root event"):
            if self._is_uneventful():
                if self.start is not WARM:
                    self.container.invocations = 0  # the next one tells how the process came up
            elif self.container.settings.root_event:
                failed_inside = self.passed if "error.type" in self._answered else None
                error = self._error or failed_inside
                self.container.capture(lambda: self._root_record(took_ms, error), self.span.span_id)
        self._is_reported = True

    def hands_over(self, error: BaseException | None = None) -> bool:
        """On a host whose process goes on anyway, report and have a thread flush; False on others."""
        if self.is_held(error):
            return False
        self.report()
        if self.host.one_at_a_time:
            sigterm.look_again()
        self.container.goes_on = True
        self.container.delivery.flush_in_background(self.container.settings.flush_timeout)
        self.is_left = True
        return True

    def _is_taken(self, error: BaseException | None) -> bool:
        """Whether somebody else sees to the rest, while the process goes on or when the response is on its way."""
        return self.hands_over(error) or (self._may_wait(error) and self.host.end(self.invocation, self._finish))

    def _finish(self) -> None:
        self.report()
        sigterm.look_again()
        self._flush()

    def _concerned(self) -> _trace.Span:
        """The root span, with what `with_context` has said inside of whom the invocation concerns."""
        span, said = self.span, self._said
        if not said:
            return span
        tags = {key: value for (field, key), value in said.items() if field == "tags" and value is not None}
        told = _trace.Span(
            span.trace_id,
            span.span_id,
            span.parent_span_id,
            span.user_id or said.get(("user_id", "")),
            span.session_id or said.get(("session_id", "")),
            {**tags, **(span.tags or {})} or None,
            span.ends,
        )
        told.event_id = span.event_id
        return told

    def is_held(self, error: BaseException | None = None) -> bool:
        """Whether the end of the invocation has to wait for the flush."""
        return not (self._may_wait(error) and self.host.goes_on(self.invocation))

    def _may_wait(self, error: BaseException | None) -> bool:
        """Whether the flush may come after the response. SystemExit and the like: nothing of ours runs later."""
        dying = error is not None and not isinstance(error, Exception) and not suspends(error)
        return not dying and self.container.settings.flush_mode != "before_return"

    def _flush(self) -> None:
        """Send what there is, within what this invocation has left by now."""
        if self._flushes_later():
            return
        settings, delivery = self.container.settings, self.container.delivery
        report = delivery.flush(self._budget())
        if settings.on_flush is not None:  # in what the flush has not used
            rest = max(settings.flush_timeout - report.elapsed, _TELL_MIN)
            delivery.notify(report, flush_budget(self._left(), rest, settings.flush_reserve))

    def _flushes_later(self) -> bool:
        """Where the process outlives the invocation's deadline, which is near: have a thread flush."""
        if self.invocation.is_killed or self._budget() > 0:
            return False
        self.container.delivery.flush_in_background(self.container.settings.flush_timeout)
        return True

    def _budget(self) -> float:
        settings, left = self.container.settings, self._left()
        if left is not None and left <= 0 and not self.invocation.is_killed:
            left = None  # nobody waits for this response any more
        return flush_budget(left, settings.flush_timeout, settings.flush_reserve)

    def _left(self) -> float | None:
        return None if self.invocation.remaining is None else self.invocation.remaining()

    def _is_uneventful(self) -> bool:
        """Whether this is a health check that has found all well, and in which nothing else has happened."""
        status = self._answered.get("http.response.status_code")
        is_well = self._error is None and isinstance(status, int) and status < 400
        return self.invocation.is_probe and is_well and not self.span.ends.busy

    def _root_record(self, took_ms: float, error: BaseException | None) -> Record:
        return root_record(
            self._concerned(),
            self.container.resource,
            self.invocation,
            self.start,
            self._answered,
            took_ms,
            (self.left, self._left_at_end),
            error,
        )


def prepare(
    host: Host,
    arguments: Mapping[str, Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    function: Callable[..., Any] | None = None,
) -> Call | None:
    """An invocation that is still to `begin`; None if telemetry is off, fails, or this call is inside one already.

    Nothing has happened yet that would have to be undone. `function` gives its name to what the host has none for.
    """
    with Guarded("the start of an invocation"):
        container = start(arguments)
        if container is not None:
            invocation = host.read(args, kwargs)
            if function is not None and not invocation.name:
                invocation = invocation.replaced(name=str(getattr(function, "__name__", "")).strip("<>") or "function")
            if not _nested(host, container, invocation):
                return Call(host, container, invocation)
    return None


def enter(host: Host, arguments: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
    """`prepare` and `begin`."""
    call = prepare(host, arguments, args, kwargs)
    if call is not None:
        try:
            call.begin()
        except BaseException as error:
            call.leave(error)
            raise
    return call


class passing(contextlib.AbstractContextManager[None]):  # noqa: N801 (it is used as a function is)
    """An application inside an invocation, whose exceptions its framework turns into answers: what went wrong inside is
    the reason, should the answer be a failure."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        here, container = _trace.current(), _process.current()
        if here is not None and container is not None and isinstance(error, Exception):
            call = container.active.get(id(here.ends))
            if call is not None:
                call.passed = error


def _nested(host: Host, container: Container, invocation: Invocation) -> bool:
    """Whether this call is inside an invocation that is under way: a decorated function called by another, a web
    application in a function."""
    if not host.one_at_a_time:
        # Not any span will do: a server may begin a request in the context of the one before on its connection.
        here = _trace.current()
        return here is not None and id(here.ends) in container.active
    # One that an older invocation left running is none of this one's.
    others = [call.invocation.id for call in list(container.active.values())]
    return any(invocation.id is None or other is None or other == invocation.id for other in others)


def observed(
    function: Callable[..., Any],
    host: Host,
    arguments: Mapping[str, Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """Call a synchronous function as one invocation."""
    call = prepare(host, arguments, args, kwargs, function)
    if call is None:
        return function(*args, **kwargs)
    try:
        try:
            call.begin()
            result = function(*args, **kwargs)
        except BaseException as error:
            call.leave(error)
            raise
        call.leave(None, result)
        return result
    finally:
        if not call.is_left:
            call.abandon()


async def observed_async(
    function: Callable[..., Any],
    host: Host,
    arguments: Mapping[str, Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """Await an `async def` function as one invocation."""
    call = prepare(host, arguments, args, kwargs, function)
    if call is None:
        return await function(*args, **kwargs)
    try:
        try:
            call.begin()
            result = await function(*args, **kwargs)
        except (SystemExit, KeyboardInterrupt) as error:  # of the loop, too
            call.leave(error)
            raise
        except BaseException as error:
            if isinstance(error, Exception) or suspends(error):  # else it is cancelled: there is no waiting any more
                await call.leave_soon(error)
            raise
        await call.leave_soon(None, result)
        return result
    finally:
        if not call.is_left:
            call.abandon()
