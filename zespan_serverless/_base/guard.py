"""What fails in here is ours, and stays here; what the user's signal handlers raise is theirs, wherever it strikes.

Timeouts by SIGALRM (RQ, Celery's soft limits, a function's own alarm) raise an ordinary exception in whatever the main
thread is doing, which may be us. To swallow it would take the timeout from the user.
"""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any

from .log import warn_once

if TYPE_CHECKING:
    from types import CodeType, FrameType

_UNWRAPPED_MAX = 10  # partials and bound methods around a handler


class Guarded(contextlib.AbstractContextManager[None]):
    """Log once, and swallow, what goes wrong inside.

    Not what the host raises at us (SystemExit and the like), and not what a signal handler of the user's has raised.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, Exception) or is_from_signal(error):
            return False
        warn_once("telemetry failed at %s: %r", self._what, error)
        return True


def pass_on(error: BaseException) -> None:
    """Raise an exception again that a signal handler of the user's has raised. In every `except Exception` of ours that
    a main thread may come to."""
    if is_from_signal(error):
        raise error


def is_from_signal(error: BaseException) -> bool:
    """Whether a Python signal handler has raised this: its traceback leads through one."""
    traceback = error.__traceback__
    if traceback is None:
        return False
    codes = [code for number in range(1, signal.NSIG) if (code := _code_of(_handler(number))) is not None]
    interrupted = None
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code in codes or (interrupted is not None and _is_given(frame, interrupted)):
            return True
        interrupted, traceback = frame, traceback.tb_next
    return False


def _is_given(frame: FrameType, interrupted: FrameType) -> bool:
    """Whether a function was called with a number and the frame below its own, as only signal handlers are. One that is
    set no more (it has put back what was there before it) is known by that."""
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount + 1]  # a `*args` comes next
    if not names:
        return False
    said = frame.f_locals
    values: list[object] = []
    for name in names:
        value = said.get(name)
        values += value if type(value) is tuple else (value,)
    for number, value in enumerate(values[1:]):  # noqa: SIM110 (a generator would be one more frame)
        if value is interrupted and isinstance(values[number], int):
            return True
    return False


def _handler(number: int) -> Any:
    try:
        return signal.getsignal(number)
    except ValueError:  # the C library keeps some numbers to itself
        return None


def _code_of(handler: Any) -> CodeType | None:
    """The code that runs when a handler is called; None if it is not Python's."""
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
