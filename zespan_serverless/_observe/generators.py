"""Generators of both kinds whose items are produced inside a scope, and read outside it."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any

from .. import _trace
from .._base.guard import Guarded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping

    from .host import Scope

    Open = Callable[[tuple[Any, ...], Mapping[str, Any]], Scope | None]


class Turns(contextlib.AbstractContextManager[None]):
    """The turns of a generator, each from one item to the next. The scope's context is current only during a turn.

    Create it when the scope has begun, in the `try` whose `finally` calls `leave`.
    """

    def __init__(self, scope: Scope) -> None:
        self._span = _trace.current()
        self._entered: _trace.Entered | None = None
        self._is_shared = False  # whether it is a separate invocation, on a host that serves one at a time
        with Guarded("the start of a generator"):
            self._is_shared = self._span is not None and self._span is _trace.root()
        scope.leave_context()

    def __enter__(self) -> None:
        if self._is_shared and self._span is not None:
            self._span.root.is_paused = False
        self._entered = _trace.Entered(self._span, shared=self._is_shared)
        self._entered.enter()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._span = _trace.current()  # a step inside may continue from one item to the next
        self.leave()
        if self._is_shared and self._span is not None:
            self._span.root.is_paused = True

    def leave(self) -> None:
        """Leave the context of a turn that a signal handler has interrupted."""
        if self._entered is not None:
            self._entered.leave()


def generator(function: Callable[..., Any], open_scope: Open) -> Callable[..., Any]:
    """Wrap a generator function so that each generator runs in its own scope.

    `open_scope` is called with the arguments when the first item is requested. None means no scope. The scope's method
    `produced` or `produced_async`, if it has one, gets each item before the reader does.
    """

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        scope = open_scope(args, kwargs)
        if scope is None:
            return (yield from function(*args, **kwargs))
        turns: Turns | None = None
        try:
            try:
                scope.begin()
                turns = Turns(scope)
                result = yield from _pieces(function(*args, **kwargs), turns, getattr(scope, "produced", None))
            except GeneratorExit:
                scope.closed()
                raise
            except BaseException as error:
                scope.raised(error)
                raise
            return scope.returned(result)
        finally:
            if turns is not None:
                turns.leave()
            scope.leave()

    return wrapper


def _pieces(
    running: Generator[Any, Any, Any], turns: Turns, produced: Callable[[Any], object] | None
) -> Generator[Any, Any, Any]:
    """Yield the items of `running`, each produced in a turn."""
    advance: Callable[[Any], Any] = running.send
    value: Any = None
    try:
        while True:
            with turns:
                piece = advance(value)
            try:
                if produced is not None:
                    with Guarded("an item of a generator"):
                        produced(piece)
                value, advance = (yield piece), running.send
            except GeneratorExit:
                with turns:
                    running.close()
                raise
            except BaseException as thrown:
                value, advance = thrown, running.throw
    except StopIteration as end:
        return end.value


def async_generator(function: Callable[..., Any], open_scope: Open) -> Callable[..., Any]:
    """Wrap an asynchronous generator function in the same way."""

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        scope, turns = open_scope(args, kwargs), None
        produced: Callable[[Any], Awaitable[object]] | None = getattr(scope, "produced_async", None)
        turn: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        try:
            try:
                if scope is not None:
                    scope.begin()
                    turn = turns = Turns(scope)
                running = function(*args, **kwargs)
                advance: Callable[[Any], Any] = functools.partial(_first_step, running)
                value: Any = None
                while True:
                    with turn:
                        piece = await advance(value)
                    try:
                        if produced is not None:
                            with Guarded("an item of a generator"):
                                await produced(piece)
                        value, advance = (yield piece), running.asend
                    except GeneratorExit:
                        with turn:
                            await running.aclose()
                        raise
                    except BaseException as thrown:
                        value, advance = thrown, running.athrow
            except StopAsyncIteration:
                if scope is not None:
                    await scope.returned_async(None)
            except GeneratorExit:
                if scope is not None:
                    await scope.closed_async()
                raise
            except BaseException as error:
                if scope is not None:
                    await scope.raised_async(error)
                raise
        finally:
            if turns is not None:
                turns.leave()
            if scope is not None:
                scope.leave()

    return wrapper


def _first_step(running: Any, value: object) -> Any:
    """Run the first step of an asynchronous generator without registering it with the event loop. At its end the loop
    would close this generator and the wrapper around it, each while the other is running."""
    hooks = sys.get_asyncgen_hooks()
    try:
        sys.set_asyncgen_hooks(None, None)
        return running.asend(value)
    finally:
        sys.set_asyncgen_hooks(*hooks)
