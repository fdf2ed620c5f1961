"""The story of one invocation, told once for every host.

    start     the container, once per process
    read      what the host says about this call, as an Invocation
    bind      the trace to the context, and put on record that the invocation has begun
    call      the user's function, exactly once
    close     the root event, and reset the context
    flush     in the background if the process goes on, after the response if the host can, else now, within what the
              invocation has left

The user's function is never harmed: what fails in here is logged once and left out. Nothing but the function's own
result or exception, of whatever kind, comes out of a call.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from . import _container, _loops, _shutdown, _trace
from ._budget import flush_budget
from ._event import ERROR_TEXT_MAX, failed, new_event, suspends
from ._guard import Guarded
from ._invocation import WARM, ColdStart, Invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._container import Container

_TELL_MIN = 0.05
"""Seconds that `on_flush` gets at least, after a flush that has used up its own."""
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
    """One invocation between `enter` and `leave`."""

    def __init__(self, host: Host, container: Container, invocation: Invocation) -> None:
        self.host, self.container, self.invocation = host, container, invocation
        container.invocations += 1
        self.start = host.origin() if container.invocations == 1 else WARM
        self.span = _trace.continued(invocation.parent)
        self.left = self._left()
        self.token = _trace.enter(self.span, shared=host.one_at_a_time)
        self.over = False
        self.passed: Exception | None = None  # what an application inside has raised, see `passing`
        container.active[id(self.span.ends)] = self  # last: what is in there has to be taken out again by `leave`
        self.began = time.perf_counter()

    def on_record(self) -> None:
        """Put down that this invocation has begun, for the case that it does not end. Never raises."""
        if self.container.records and self.container.settings.root_event:
            with Guarded("the start of an invocation"):
                metadata = {
                    "faas.name": self.invocation.name or None,
                    "faas.invocation_id": self.invocation.id,
                    "faas.coldstart": self.start.kind in ("cold", "reinit"),
                    "start_kind": self.start.kind,
                    "time_left_at_start_ms": None if self.left is None else round(self.left * 1000),
                }
                operation = self.container.settings.service_name or self.invocation.name
                self.container.opened(self.span, "general", operation, lambda: self.over, metadata=metadata)

    def leave(self, error: BaseException | None, result: object = None) -> None:
        """Reset the context, end the invocation, and have the rest done: after the response if possible, else now.

        Never raises.
        """
        self.reset()
        self.settle(self.close(error, result), error)

    def settle(self, report: Callable[[], None], error: BaseException | None = None) -> None:
        """What is left to do for an invocation that has been closed. Never raises."""

        def finish() -> None:
            report()
            self._flush()

        taken = False
        with Guarded("the flush"):
            taken = self.hands_over(report, error) or (self._may_wait(error) and self.host.end(self.invocation, finish))
        if not taken:
            with Guarded("the flush"):
                try:
                    finish()
                finally:
                    self.host.end(self.invocation, None)

    def reset(self) -> None:
        """Make what was current before this invocation current again."""
        with Guarded("the end of an invocation"):
            _trace.leave(self.token, shared=self.host.one_at_a_time)

    def close(self, error: BaseException | None, result: object = None) -> Callable[[], None]:
        """End the invocation, whose context may live on. Gives what reports it, to be called when there is time."""
        took_ms = (time.perf_counter() - self.began) * 1000
        self.over = True
        left: float | None = None
        said: Mapping[str, object] = {}  # not the result itself: that is the caller's, who may change it meanwhile
        self.container.active.pop(id(self.span.ends), None)
        with Guarded("the end of an invocation"):
            for end in list(self.span.ends.values()):
                end()
            # Before anybody is woken: it lets go of the GIL, and would wait long to have it back.
            _shutdown.rearm(0.0 if self.host.one_at_a_time else _REARM_PAUSE)
            left = self._left()
            if result is not None:
                said = self.host.result(result)

        def report() -> None:
            if self.container.settings.root_event:
                with Guarded("the root event"):
                    failed_inside = self.passed if "error.type" in said else None
                    self._root_event(took_ms, left, error or failed_inside, said)

        return report

    def hands_over(self, report: Callable[[], None], error: BaseException | None = None) -> bool:
        """On a host whose process goes on anyway, report and have a thread flush; False on others."""
        if self.is_held(error):
            return False
        report()
        self.container.delivery.flush_soon(self.container.settings.flush_timeout)
        return True

    def is_held(self, error: BaseException | None = None) -> bool:
        """Whether the end of the invocation has to wait for the flush."""
        return not (self._may_wait(error) and self.host.goes_on(self.invocation))

    async def flushed(self) -> None:
        """What `leave` waits for, without blocking the event loop."""
        await _loops.flushed(self.container, self._budget())

    def _may_wait(self, error: BaseException | None) -> bool:
        """Whether the flush may come after the response. SystemExit and the like: nothing of ours runs later."""
        dying = error is not None and not isinstance(error, Exception) and not suspends(error)
        return not dying and self.container.settings.flush_mode != "before_return"

    def _flush(self) -> None:
        """Send what there is, within what this invocation has left by now."""
        settings, delivery = self.container.settings, self.container.delivery
        report = delivery.flush(self._budget())
        if settings.on_flush is not None:  # in what the flush has not used
            rest = max(settings.flush_timeout - report.elapsed, _TELL_MIN)
            delivery.tell(report, flush_budget(self._left(), rest, settings.flush_reserve))

    def _budget(self) -> float:
        settings = self.container.settings
        return flush_budget(self._left(), settings.flush_timeout, settings.flush_reserve)

    def _left(self) -> float | None:
        return None if self.invocation.remaining is None else self.invocation.remaining()

    def _root_event(
        self, took_ms: float, left: float | None, error: BaseException | None, said: Mapping[str, object]
    ) -> None:
        invocation, settings = self.invocation, self.container.settings
        described: dict[str, object] = {}
        with Guarded("the description of an invocation"):
            described.update(invocation.describe())
        operation = settings.service_name or described.pop("operation", None) or invocation.name
        event = new_event(self.span, settings, took_ms, kind="general", operation=str(operation))
        metadata: dict[str, Any] = {
            **described,
            **said,
            "faas.name": invocation.name or None,
            "faas.invocation_id": invocation.id,
            "faas.coldstart": self.start.kind in ("cold", "reinit"),
            "start_kind": self.start.kind,
            "init_duration_ms": self.start.init_ms,
            "handler_duration_ms": round(took_ms, 3),
            "memory_max_rss_bytes": _max_rss(),
        }
        if self.left is not None and left is not None:
            metadata["time_left_at_start_ms"] = round(self.left * 1000)
            metadata["time_left_at_end_ms"] = round(left * 1000)
        if error is not None and suspends(error):
            metadata["suspended"] = True
        elif error is not None:
            failed(event, error)
            metadata["error.type"] = type(error).__name__
            metadata.pop("error.message", None)
        elif "error.type" in metadata:
            event["status"] = "error"
            event["error_message"] = str(metadata.pop("error.message", metadata["error.type"]))[:ERROR_TEXT_MAX]
        event["metadata"] = {name: value for name, value in metadata.items() if value is not None}
        self.container.capture(event)


def enter(host: Host, arguments: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
    """Begin an invocation; None if telemetry is off, fails, or this call is inside one already. Never raises."""
    with Guarded("the start of an invocation"):
        container = _container.start(arguments)
        if container is None:
            return None
        invocation = host.read(args, kwargs)
        if _nested(host, container, invocation):
            return None
        call = Call(host, container, invocation)
        with Guarded("the start of an invocation"):  # from here on there is something to `leave`
            container.delivery.warm()
            host.begin(call.invocation, call.on_record)
        return call
    return None


class passing(contextlib.AbstractContextManager[None]):  # noqa: N801 (it is used as a function is)
    """An application inside an invocation, whose exceptions its framework turns into answers: what went wrong inside is
    the reason, should the answer be a failure."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        here, container = _trace.current(), _container.current()
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
    call: Callable[..., Any], host: Host, arguments: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Call a synchronous function as one invocation."""
    invocation = enter(host, arguments, args, kwargs)
    if invocation is None:
        return call(*args, **kwargs)
    try:
        result = call(*args, **kwargs)
    except BaseException as error:
        invocation.leave(error)
        raise
    invocation.leave(None, result)
    return result


async def observed_async(
    call: Callable[..., Any], host: Host, arguments: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Await an `async def` function as one invocation."""
    invocation = enter(host, arguments, args, kwargs)
    if invocation is None:
        return await call(*args, **kwargs)
    try:
        result = await call(*args, **kwargs)
    except BaseException as error:
        invocation.leave(error)
        raise
    invocation.leave(None, result)
    return result


def _max_rss() -> int | None:
    """The most memory this process has held so far, bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
