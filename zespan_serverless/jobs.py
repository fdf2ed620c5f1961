"""Scripts, container jobs, workers: a piece of work in a process that nobody calls."""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload
from weakref import WeakMethod

from . import _observe, _process
from . import settings as _settings
from ._base import aio
from ._base.guard import Guarded, pass_on
from ._process import sigterm
from ._record.invocation import ColdStart, Invocation
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Unpack

    from ._observe.call import Call
    from ._record.policy import Policy
    from .settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

_C_LONG = 2**63
_GENERATES = 0x20 | 0x200  # CO_GENERATOR, CO_ASYNC_GENERATOR


class Exit(NamedTuple):
    """How a run is ended, other than by its end or an exception: `code` is what the process gives to its parent."""

    code: int
    kind: str = "SystemExit"
    text: str = ""


@overload
def run(name: F, /) -> F: ...
@overload
def run(name: str | None = None, /, **settings: Unpack[SettingsKwargs]) -> Run: ...
def run(name: Any = None, /, **settings: Any) -> Any:
    """Trace a script, a container job, a worker's turn: one root event, and everything delivered at its end.

        with run("nightly digest"):             @run
            ...                                 def main(): ...

    `name` is the root event's; default: the script's file, or the function's name. Takes every setting by keyword (see
    `Settings`); raises ConfigurationError for one that does not exist. Decorates `def` and `async def`.

    Exceptions and `sys.exit` pass through; the event says which error or exit code it was. At the end everything is
    delivered, for up to 10 s while the backend is away. Should SIGTERM end the process, the event says so, and what
    there is is sent in `flush_timeout` seconds; a SIGTERM handler of yours decides for itself. A run inside another
    one, and the end of one in a forked child, add nothing.
    """
    if name is None or isinstance(name, str):
        return Run(name, _settings.check(settings))
    if not callable(name) or isinstance(name, type):
        raise ConfigurationError(f"run takes a name, or decorates a function; settings go by keyword. Got {name!r}")
    return Run(None, _settings.check(settings))(name)


class Run:
    """What `run` returns: a context manager, and a decorator."""

    def __init__(self, name: str | None, arguments: Mapping[str, Any], host: RunHost | None = None) -> None:
        self._name, self._arguments = name, arguments
        self._host = RunHost(name or _script()) if host is None else host
        self._open: list[_Turn | None] = []

    def __enter__(self) -> Run:
        turn = _prepare(self._host, self._arguments)
        self._open.append(turn)
        if turn is not None:
            try:
                turn.begin()
            except BaseException:  # of a signal handler
                self._open.remove(turn)
                turn.abandon()
                raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        turn = self._open.pop()
        if turn is not None:
            try:
                turn.end(error)
            finally:
                turn.abandon()

    def __call__(self, function: F) -> F:
        """Make every call of a function a run."""
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        if flags & _GENERATES:
            raise ConfigurationError(f"run decorates functions that return, not generators. Got {function!r}")
        host = self._host if self._name else RunHost(getattr(function, "__name__", "") or _script())
        arguments = self._arguments
        if aio.is_async(function):

            async def traced(*args: Any, **kwargs: Any) -> Any:
                turn = _prepare(host, arguments)
                if turn is None:
                    return await function(*args, **kwargs)
                try:
                    try:
                        turn.begin()
                        result = await function(*args, **kwargs)
                    except BaseException as error:
                        await turn.end_soon(error)
                        raise
                    await turn.end_soon(None)
                    return result
                finally:
                    turn.abandon()

            return functools.wraps(function)(traced)  # type: ignore[return-value]

        def called(*args: Any, **kwargs: Any) -> Any:
            with Run(self._name, arguments, host):
                return function(*args, **kwargs)

        return functools.wraps(function)(called)  # type: ignore[return-value]


class RunHost:
    """A process's answers to the core's questions (see `_observe.call.Host`)."""

    one_at_a_time = True

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Invocation:
        return Invocation(id=None, name=self._name, describe=self.describe)

    def describe(self) -> Mapping[str, object]:
        return {"process.pid": os.getpid()}

    def origin(self) -> ColdStart:
        return ColdStart("cold")

    def result(self, result: object) -> Mapping[str, object]:
        if not isinstance(result, Exit):
            return {}
        said: dict[str, object] = {"process.exit.code": result.code}
        if result.code:
            said |= {"error.type": result.kind, "error.message": result.text or f"exit code {result.code}"}
        return said

    def begin(self, invocation: Invocation, on_record: Callable[[], None]) -> None:
        on_record()

    def goes_on(self, invocation: Invocation) -> bool:
        return False

    def end(self, invocation: Invocation, flush: Callable[[], object] | None) -> bool:
        return False


def _prepare(host: RunHost, arguments: Mapping[str, Any]) -> _Turn | None:
    """A run that is still to `begin`; None if telemetry is off, or one is under way."""
    call = _observe.prepare(host, arguments, (), {})
    return None if call is None else _Turn(call)


class _Turn:
    """A run. It ends once: by itself, by SIGTERM, or by what a signal handler raises between any two of its steps."""

    def __init__(self, call: Call) -> None:
        self._call, self._pid = call, os.getpid()
        self._ending, self._over = threading.Lock(), False
        self._forget: Callable[[], object] | None = None

    def begin(self) -> None:
        self._call.begin()
        with Guarded("the start of a run"):
            _process.at_exit()
            # Weakly: what nobody holds any more has been interrupted at a bad moment, and is over.
            terminated = WeakMethod(self._terminated)
            self._forget = sigterm.expect(lambda: (terminated() or bool)(), self._call.container.settings.flush_timeout)

    def abandon(self) -> None:
        """Close it if it has not been: what there is is sent at the end of the process, at the latest."""
        if self._forget is not None or not self._over:
            self._close(sys.exception())

    def end(self, error: BaseException | None) -> None:
        """Close it, and deliver what there is."""
        if self._close(error):
            with Guarded("the flush"):
                report = self._call.container.delivery.flush(self._call.container.FLUSH_BY_HAND, probe=True)
                self._call.container.delivery.notify(report, self._call.container.settings.flush_timeout)

    async def end_soon(self, error: BaseException | None) -> None:
        """The same on an event loop, which goes on meanwhile."""
        if isinstance(error, (SystemExit, KeyboardInterrupt)):  # which end the loop, too
            self.end(error)
        elif error is not None and not isinstance(error, Exception):  # cancelled: there is no waiting any more
            if self._close(error):
                with Guarded("the flush"):
                    self._call.container.delivery.flush_in_background(self._call.container.settings.flush_timeout)
        elif self._close(error):
            with Guarded("the flush"):
                from ._delivery.aio import flush_async

                await flush_async(self._call.container.delivery, self._call.container.FLUSH_BY_HAND)

    def _close(self, error: BaseException | None) -> bool:
        """Whether there is something to send; not in a forked child that comes to the end of what is its parent's."""
        if self._pid != os.getpid():
            return False
        self._call.reset()
        if isinstance(error, SystemExit):
            self._report(None, _exit(error, self._call.container.policy))
        else:
            self._report(error, None)
        if self._forget is not None:
            self._forget()
            self._forget = None
        with Guarded("the end of a run"):
            sigterm.look_again()
        return True

    def _terminated(self) -> None:
        self._report(None, Exit(128 + sigterm.SIGTERM, "SIGTERM", "ended by SIGTERM"))

    def _report(self, error: BaseException | None, result: Exit | None) -> None:
        """Whoever comes second, the end or SIGTERM, leaves with the event captured by the first."""
        with self._ending, Guarded("the end of a run"):
            if not self._over:
                self._call.close(error, result)()
                self._over = True


def _exit(error: SystemExit, policy: Policy) -> Exit:
    """What Python makes of sys.exit's argument: https://docs.python.org/3/library/sys.html#sys.exit."""
    code = error.code
    if code is None:
        return Exit(0)
    if not isinstance(code, int):
        return Exit(1, text=policy.instead(error) or _text(code))
    return Exit(code & 0xFF if -_C_LONG <= code < _C_LONG else 0xFF)  # what is no long in C counts as -1


def _text(code: object) -> str:
    try:
        return str(code)
    except Exception as problem:
        pass_on(problem)
        return type(code).__name__


def _script() -> str:
    name = os.path.basename(sys.argv[0]) if sys.argv else ""  # noqa: PTH119 (pathlib would be one more import)
    return name if name not in ("", "-c", "-m") else "script"
