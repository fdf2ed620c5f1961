"""Steps and contexts as decorators of functions, coroutines, and generators of both kinds."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .. import _trace
from .._base import aio
from . import generators

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])


class Block(Protocol):
    """A `with` block that can also be opened and closed without making its span current."""

    def __enter__(self) -> object: ...

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool | None: ...

    def open(self) -> _trace.Span:
        """Begin the block, and return the span to make current."""
        ...

    def close(self, error: BaseException | None) -> None:
        """End the block, with the exception that was raised inside."""
        ...


def covering(function: F, block: Callable[[], Block]) -> F:
    """Wrap `function` so that each call has its own block. It lasts until a coroutine has been awaited, or a generator
    is exhausted or closed. Kind and signature stay the same."""
    kind = aio.kind(function)
    wrapper: Callable[..., Any]
    if kind == "generator":
        wrapper = generators.generator(function, lambda args, kwargs: _Scope(block()))
    elif kind == "async generator":
        wrapper = generators.async_generator(function, lambda args, kwargs: _Scope(block()))
    else:
        wrapper = (_coroutine if kind == "coroutine" else _call)(function, block)
    return functools.wraps(function)(wrapper)  # type: ignore[return-value]


def _call(function: Callable[..., Any], block: Callable[[], Block]) -> Callable[..., Any]:
    def traced(*args: Any, **kwargs: Any) -> Any:
        with block():
            return function(*args, **kwargs)

    return traced


def _coroutine(function: Callable[..., Any], block: Callable[[], Block]) -> Callable[..., Any]:
    async def traced(*args: Any, **kwargs: Any) -> Any:
        with block():
            return await function(*args, **kwargs)

    return traced


class _Scope:
    """A block as the `Scope` of a generator."""

    def __init__(self, block: Block) -> None:
        self._block, self._is_over = block, False
        self._entered: _trace.Entered | None = None

    def begin(self) -> None:
        self._entered = _trace.Entered(self._block.open())
        self._entered.enter()

    def leave_context(self) -> None:
        if self._entered is not None:
            self._entered.leave()

    def closed(self) -> None:
        self._close(None)

    def raised(self, error: BaseException) -> None:
        self._close(error)

    def returned(self, result: Any) -> Any:
        self._close(None)
        return result

    async def closed_async(self) -> None:
        self._close(None)

    async def raised_async(self, error: BaseException) -> None:
        self._close(error)

    async def returned_async(self, result: Any) -> Any:
        return self.returned(result)

    def leave(self) -> None:
        if not self._is_over:
            self.leave_context()
            self._close(sys.exception())

    def _close(self, error: BaseException | None) -> None:
        self._block.close(error)
        self._is_over = True
