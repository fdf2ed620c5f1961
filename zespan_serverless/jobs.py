"""Scripts, container jobs and workers: work in a process that serves no requests."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar, overload
from weakref import WeakMethod

from . import _process
from . import settings as _settings
from ._base.guard import Guarded, pass_on
from ._observe import wrap
from ._observe.host import Host
from ._process import sigterm
from ._record.invocation import NO_RESULT, Description, Invocation, Result
from ._trace.context import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Unpack

    from ._observe.active import ActiveInvocation
    from ._observe.host import Scope
    from ._record.policy import Policy
    from .settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

_C_LONG = 2**63


@overload
def run(name: F, /) -> F: ...
@overload
def run(name: str | None = None, /, **settings: Unpack[SettingsKwargs]) -> Run: ...
def run(name: Any = None, /, **settings: Any) -> Any:
    """Trace a script, a container job or a worker's task: one root event, and everything delivered at its end::

        @run
        def main(): ...

        with run("nightly digest"):
            ...

    `name` is the name of the root event; default: the script's file, or the function's name. Takes every setting by
    keyword (see `Settings`); raises ConfigurationError for an unknown one. Decorates `def`, `async def` and generators,
    whose run ends with the last item.

    A run continues the trace that the environment of the process names: `TRACEPARENT`, with `TRACESTATE` and `BAGGAGE`
    (https://opentelemetry.io/docs/specs/otel/context/env-carriers/).

    Exceptions and `sys.exit` pass through; the event records the error or exit code. At the end everything is
    delivered, which takes up to 10 s if the backend is unreachable. If SIGTERM ends the process, the event says so, and
    pending events are sent within `flush_timeout` seconds; your own SIGTERM handler still decides what happens. A run
    inside another one has no effect, nor has the end of one in a forked child.
    """
    if name is None or isinstance(name, str):
        return Run(name, _settings.check(settings))
    wrap.check_function(name, "run takes a name, or decorates a function", classes=False)
    return Run(None, _settings.check(settings))(name)


class Run:
    """The context manager and decorator that `run` returns."""

    def __init__(self, name: str | None, settings: Mapping[str, Any], host: RunHost | None = None) -> None:
        self._name, self._settings = name, settings
        self._host = RunHost(name or _script()) if host is None else host
        self._open: list[Scope | None] = []

    def __enter__(self) -> Run:
        active = wrap.Tracer(self._host, self._settings).open_call((), {})
        self._open.append(active)
        if active is not None:
            try:
                active.begin()
            except BaseException:  # by a signal handler
                self._open.remove(active)
                active.leave()
                raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        active = self._open.pop()
        if active is not None:
            try:
                if error is None:
                    active.returned(None)
                else:
                    active.raised(error)
            finally:
                active.leave()

    def __call__(self, function: F) -> F:
        """Make every call of a function a run."""
        host = self._host if self._name else RunHost(getattr(function, "__name__", "") or _script())
        return wrap.traced(function, host, self._settings)  # type: ignore[return-value]


class RunHost(Host[Any]):
    """A plain process as a host."""

    def __init__(self, name: str) -> None:
        self._name = name

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return next(iter((*args, *kwargs.values())), None)

    def read(self, request: Any) -> Invocation:
        return Invocation(
            id=None,
            name=self._name,
            parent=caller_of(lambda name: os.environ.get(name.upper())),
            describe=lambda: Description(self.attributes()),
        )

    def attributes(self) -> Mapping[str, object]:
        return {"process.pid": os.getpid()}

    def scope(self, active: ActiveInvocation, request: Any) -> Scope:
        return ActiveRun(active)


class ActiveRun:
    """The `Scope` of a run. It ends once: normally, by SIGTERM, or by what a signal handler raises between two of its
    steps. At its end everything is delivered, for longer than other flushes may take."""

    def __init__(self, active: ActiveInvocation) -> None:
        self._active, self._pid = active, os.getpid()
        self._ending: dict[str, int] = {}  # `thread`: the first that reports the end
        self._is_over, self._reported = False, threading.Event()
        self._forget: Callable[[], object] | None = None

    def begin(self) -> None:
        self._active.begin()
        with Guarded("the start of a run"):
            _process.at_exit()
            # A weak reference: a run without other references was interrupted by a signal handler, and is over.
            terminated = WeakMethod(self._terminated)
            timeout = self._active.container.settings.flush_timeout
            self._forget = sigterm.expect(lambda: (terminated() or bool)(), timeout)

    def leave_context(self) -> None:
        self._active.leave_context()

    def returned(self, result: Any) -> Any:
        self._end(None)
        return result

    def raised(self, error: BaseException) -> None:
        self._end(error)

    def closed(self) -> None:  # a generator is closed in any thread, so nothing may wait
        if self._close(None):
            self._active.flush_in_background()

    async def returned_async(self, result: Any) -> Any:
        await self._end_async(None)
        return result

    async def raised_async(self, error: BaseException) -> None:
        if isinstance(error, (SystemExit, KeyboardInterrupt)):  # they end the loop as well
            self._end(error)
        elif isinstance(error, Exception):
            await self._end_async(error)
        elif self._close(error):  # cancelled, so nothing may wait
            with Guarded("the flush"):
                self._active.flush_in_background()

    async def closed_async(self) -> None:
        await self._end_async(None)

    def leave(self) -> None:
        """Close the run if it is open: pending events are sent at the end of the process, at the latest."""
        if self._forget is not None or not self._is_over:
            self._close(sys.exception())

    def _end(self, error: BaseException | None) -> None:
        if self._close(error):
            with Guarded("the flush"):
                container = self._active.container
                report = container.delivery.flush(container.FLUSH_BY_HAND, probe=True)
                container.delivery.notify(report, container.settings.flush_timeout)

    async def _end_async(self, error: BaseException | None) -> None:
        if self._close(error):
            with Guarded("the flush"):
                from ._delivery.aio import flush_async

                await flush_async(self._active.container.delivery, self._active.container.FLUSH_BY_HAND)

    def _close(self, error: BaseException | None) -> bool:
        """Close the run. Return whether there is something to send; not in a fork that reaches its parent's end."""
        if self._pid != os.getpid():
            return False
        self.leave_context()
        if isinstance(error, SystemExit):
            self._report(None, _exit(error, self._active.container.policy))
        else:
            self._report(error)
        if self._forget is not None:
            self._forget()
            self._forget = None
        with Guarded("the end of a run"):
            sigterm.look_again()
        return True

    def _terminated(self) -> None:
        self._report(None, exited(128 + sigterm.SIGTERM, "SIGTERM", "ended by SIGTERM"))

    def _report(self, error: BaseException | None, result: Result = NO_RESULT) -> None:
        """Capture the root event once. The end and SIGTERM may both call this, in two threads: the second one waits for
        the first, which holds no lock while it captures, because that may run user code."""
        with Guarded("the end of a run"):
            me = threading.get_ident()
            if self._ending.setdefault("thread", me) != me:
                self._reported.wait(self._active.container.settings.flush_timeout)
            elif not self._is_over:  # again, if a signal handler has interrupted it
                self._active.close(*self._outcome(error, result))
                self._active.report()
                self._is_over = True
                self._reported.set()

    def _outcome(self, error: BaseException | None, result: Result) -> tuple[BaseException | None, Result]:
        """Return what the event says of the end: what was raised, and how it ended otherwise."""
        return error, result


def exited(code: int, kind: str = "SystemExit", text: str = "") -> Result:
    """Return how a run has ended, if neither normally nor by an exception: `code` is the process's exit code."""
    attributes = {"process.exit.code": code}
    return Result(None, attributes, kind, text or f"exit code {code}") if code else Result(None, attributes)


def _exit(error: SystemExit, policy: Policy) -> Result:
    """Return the exit code for sys.exit's argument: https://docs.python.org/3/library/sys.html#sys.exit."""
    code = error.code
    if code is None:
        return exited(0)
    if not isinstance(code, int):
        return exited(1, text=policy.instead(error) or _text(code))
    return exited(code & 0xFF if -_C_LONG <= code < _C_LONG else 0xFF)  # a number beyond C's long counts as -1


def _text(code: object) -> str:
    try:
        return str(code)
    except Exception as problem:
        pass_on(problem)
        return type(code).__name__


def _script() -> str:
    name = os.path.basename(sys.argv[0]) if sys.argv else ""  # noqa: PTH119 (pathlib would be one more import)
    return name if name not in ("", "-c", "-m") else "script"
