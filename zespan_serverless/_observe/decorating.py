"""Steps and contexts as decorators: of functions, coroutines, and generators of both kinds."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .. import _trace
from .._base import aio

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])


class Scope(Protocol):
    """A `with` block, and its two halves without what is current in between."""

    def __enter__(self) -> object: ...

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool | None: ...

    def open(self) -> _trace.Span:
        """Begin. Gives the span to be current inside."""
        ...

    def close(self, error: BaseException | None) -> None:
        """End, with what has been raised inside."""
        ...


def covering(function: F, scope: Callable[[], Scope]) -> F:
    """`function` with a scope of its own around each call, that lasts as long as the call runs: a coroutine until it
    has been awaited, a generator until it is exhausted or closed. Kind and signature stay the same."""
    kind = aio.kind(function)
    make = {"generator": _generator, "async generator": _async_generator, "coroutine": _coroutine}.get(kind, _call)
    return functools.wraps(function)(make(function, scope))  # type: ignore[return-value]


def _call(function: Callable[..., Any], scope: Callable[[], Scope]) -> Callable[..., Any]:
    def traced(*args: Any, **kwargs: Any) -> Any:
        with scope():
            return function(*args, **kwargs)

    return traced


def _coroutine(function: Callable[..., Any], scope: Callable[[], Scope]) -> Callable[..., Any]:
    async def traced(*args: Any, **kwargs: Any) -> Any:
        with scope():
            return await function(*args, **kwargs)

    return traced


class _Turns:
    """A generator's scope. It runs in turns, from one piece to the next: what is current inside is current in these
    only, not in the code that reads the pieces."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._now: _trace.Span | None = scope.open()

    def __enter__(self) -> None:
        self._here = _trace.enter(self._now)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._now = _trace.current()  # a step inside may go on from one piece to the next
        self._here.leave()
        if error is not None:
            is_end = isinstance(error, (StopIteration, StopAsyncIteration, GeneratorExit))
            self._scope.close(None if is_end else error)

    def closed(self) -> None:
        """Nobody wants any more pieces."""
        self._scope.close(None)


def _generator(function: Callable[..., Any], scope: Callable[[], Scope]) -> Callable[..., Any]:
    def traced(*args: Any, **kwargs: Any) -> Any:
        running, turn = function(*args, **kwargs), _Turns(scope())
        advance, value = running.send, None
        try:
            while True:
                with turn:
                    piece = advance(value)
                try:
                    value, advance = (yield piece), running.send
                except GeneratorExit:
                    with turn:
                        running.close()
                    turn.closed()
                    raise
                except BaseException as thrown:
                    value, advance = thrown, running.throw
        except StopIteration as end:
            return end.value

    return traced


def _first_step(running: Any, value: object) -> Any:
    """The first step of an asynchronous generator that its loop does not see: at the loop's end it would close both
    this one and the one around it, each in the midst of the other."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return running.asend(value)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _async_generator(function: Callable[..., Any], scope: Callable[[], Scope]) -> Callable[..., Any]:
    async def traced(*args: Any, **kwargs: Any) -> Any:
        running, turn = function(*args, **kwargs), _Turns(scope())
        advance, value = functools.partial(_first_step, running), None
        try:
            while True:
                with turn:
                    piece = await advance(value)
                try:
                    value, advance = (yield piece), running.asend
                except GeneratorExit:
                    with turn:
                        await running.aclose()
                    turn.closed()
                    raise
                except BaseException as thrown:
                    value, advance = thrown, running.athrow
        except StopAsyncIteration:
            return

    return traced
