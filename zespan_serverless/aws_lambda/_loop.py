"""The event loop on which a thread runs async handlers. Imported, with asyncio, when one is first called."""

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
            coroutine.close()  # avoids the warning about a coroutine that could not be run


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
        self._is_interrupted = False  # last, because a signal handler may interrupt this, see `__del__`

    def is_usable(self) -> bool:
        """Whether no code has closed or interrupted it, and it is not a parent process's."""
        return not self._is_interrupted and self._pid == os.getpid() and not self._runner.get_loop().is_closed()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run an awaitable to its end, in a copy of the context, so that the next call does not see its variables."""
        try:
            return self._runner.run(coroutine, context=contextvars.copy_context())
        except BaseException as error:
            # If a signal handler raises in the loop itself, it would continue this call's tasks in the next.
            if is_from_signal(error) or getattr(coroutine, "cr_frame", None) is not None:
                self._is_interrupted = True
                self._runner.close()  # cancels them, as asyncio.run does
            raise

    def close(self) -> None:
        """Close the loop; a second call does nothing."""
        if getattr(self, "_is_interrupted", True):
            return  # already closed, or never created
        self._is_interrupted = True
        if self._pid == os.getpid():
            self._runner.get_loop().close()
        else:  # closing it would remove the loop's wakeup from the epoll that it shares with the parent
            _parents.append(self._runner)

    def __del__(self) -> None:
        """Close the loop, because the thread has ended."""
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
