"""Contains our own failures, and lets the exceptions of the user's signal handlers pass.

Timeouts by SIGALRM (RQ, Celery's soft limits, a function's own alarm) raise an ordinary exception in whatever code the
main thread is running, which may be ours. If we swallowed it, the user's timeout would have no effect. The same holds
for what a host raises in a thread from outside (Temporal's cancellation).
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from .log import warn_once

if TYPE_CHECKING:
    from types import CodeType, FrameType

_ENTRY = 2  # offset of the first instruction of a function that does something
_UNWRAPPED_MAX = 10  # partials and bound methods around a handler

FROM_HOSTS: list[type[BaseException]] = []
"""Exceptions that a host raises in whatever code a thread is running, and that nothing in here raises."""


class Guarded:
    """Context manager that swallows an Exception, and logs it once as "telemetry failed at `place`".

    Other BaseExceptions (SystemExit and the like), and exceptions of the user's signal handlers, pass. It costs about a
    microsecond: what runs several times per invocation has a `try` instead, and calls `contain`.
    """

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if error is None or not isinstance(error, Exception) or is_from_signal(error):
            return False
        warn_once("telemetry-failed", "telemetry failed at %s: %r", self._place, error)
        return True


def contain(error: Exception, place: str) -> None:
    """Log an exception once as "telemetry failed at `place`", or raise it if the user's signal handler raised it."""
    try:
        pass_on(error)
        warn_once("telemetry-failed", "telemetry failed at %s: %r", place, error)
    finally:
        del error  # an exception and a frame that it has left would keep each other, and an open invocation, alive


def pass_on(error: BaseException) -> None:
    """Raise the exception again if the user's signal handler has raised it.

    Called in each `except` block that the main thread may run.
    """
    try:
        if is_from_signal(error):
            raise error
    finally:
        del error  # as above


def had_begun(error: BaseException) -> bool:
    """Whether the function that raised this into the caller's `try` had begun: a signal may strike at its entry."""
    traceback = error.__traceback__
    called = None if traceback is None else traceback.tb_next
    return called is None or called.tb_lasti > _ENTRY


def is_from_signal(error: BaseException) -> bool:
    """Whether a Python signal handler has raised this exception, because its traceback leads through one; or a host."""
    if isinstance(error, tuple(FROM_HOSTS)):
        return True
    traceback = error.__traceback__
    if traceback is None:
        return False
    codes = [code for number in range(1, signal.NSIG) if (code := _code_of(_handler(number))) is not None]
    interrupted = None
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code in codes or (interrupted is not None and _is_called_as_handler(frame, interrupted)):
            return True
        interrupted, traceback = frame, traceback.tb_next
    return False


def _is_called_as_handler(frame: FrameType, interrupted: FrameType) -> bool:
    """Whether a function was called with a number and the frame that called it, as only signal handlers are.

    This recognizes a handler that is no longer installed, because it has restored the one before it.
    """
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount + 1]  # the next one is `*args`, if there is one
    if not names:
        return False
    local_values = frame.f_locals
    values: list[object] = []
    for name in names:
        value = local_values.get(name)
        values += value if type(value) is tuple else (value,)
    for number, value in enumerate(values[1:]):  # noqa: SIM110 (a generator would be one more frame)
        if value is interrupted and isinstance(values[number], int):
            return True
    return False


def _handler(number: int) -> Any:
    try:
        return signal.getsignal(number)
    except ValueError:  # the C library reserves some numbers
        return None


def _code_of(handler: Any) -> CodeType | None:
    """Return the code that runs when a handler is called; None if it is not written in Python."""
    if not callable(handler) or handler is signal.default_int_handler:
        return None
    for _ in range(_UNWRAPPED_MAX):
        code = getattr(handler, "__code__", None)
        if code is not None:
            return code  # type: ignore[no-any-return]
        inner = getattr(handler, "__func__", None) or getattr(handler, "func", None)
        if inner is None:
            inner = getattr(type(handler), "__call__", None)  # noqa: B004 (the function, not whether there is one)
        if inner is None or inner is handler:
            return None
        handler = inner
    return None
