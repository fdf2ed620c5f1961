"""The event loop on which a thread runs async handlers. Imported at the first call of one, with asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from typing import TYPE_CHECKING, Any

from .._base import RESETS
from .._base.guard import Guarded, is_from_signal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping


def run(handler: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call a handler, and run it on this thread's event loop, to which the connections of async clients belong."""
    loop: _OwnLoop | None = getattr(_own, "loop", None)
    if loop is None or not loop.is_usable():
        loop = _own.loop = _OwnLoop()
    coroutine = handler(*args, **kwargs)
    try:
        return loop.run(coroutine)
    finally:
        if hasattr(coroutine, "close"):
            coroutine.close()  # one that could not be run is not warned of


def is_running() -> bool:
    """Whether the caller is on an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _OwnLoop:
    """The event loop on which a thread runs async handlers."""

    def __init__(self) -> None:
        self._runner, self._pid = asyncio.Runner(), os.getpid()
        self._is_interrupted = False  # last: a signal handler may interrupt this, too, see `__del__`

    def is_usable(self) -> bool:
        """Not if somebody has closed or interrupted it, or if it is a parent process's."""
        return not self._is_interrupted and self._pid == os.getpid() and not self._runner.get_loop().is_closed()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """To its end, in a copy of the context: else a call would see the variables that the one before has set."""
        try:
            return self._runner.run(coroutine, context=contextvars.copy_context())
        except BaseException as error:
            # A signal handler may have raised in the loop itself, which goes on with this call's tasks in the next.
            if is_from_signal(error) or getattr(coroutine, "cr_frame", None) is not None:
                self._is_interrupted = True
                self._runner.close()  # cancels them, as asyncio.run does
            raise

    def close(self) -> None:
        """Close the loop; a second call does nothing."""
        if getattr(self, "_is_interrupted", True):
            return  # it has been closed, or never was
        self._is_interrupted = True
        if self._pid == os.getpid():
            self._runner.get_loop().close()
        else:  # to close it would take the loop's own wakeup out of the epoll that the parent has in common with us
            _parents.append(self._runner)

    def __del__(self) -> None:
        """The thread has ended."""
        with Guarded("the end of an event loop"):
            self.close()


_own = threading.local()
_parents: list[object] = []


def _reset() -> None:
    """Let the next async handler of this thread have a new loop."""
    loop: _OwnLoop | None = _own.__dict__.pop("loop", None)
    if loop is not None:  # not left to the garbage collector, which may find the loop's sockets first
        loop.close()


RESETS.append(_reset)
