"""Observes another library's method: its result or exception passes through unchanged."""

from __future__ import annotations

from functools import update_wrapper
from types import CoroutineType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    Begin = Callable[[tuple[Any, ...], dict[str, Any]], "Observer | None"]
    Bind = Callable[[Any, tuple[Any, ...]], tuple[Callable[..., Any], tuple[Any, ...]]]

    class Observer(Protocol):
        """Observes one call of a method. Raises nothing except what a signal handler raises."""

        def done(self, result: Any, error: BaseException | None, /) -> Any:
            """Take what the method has returned or raised. Return the result that the caller gets."""

        def pause(self) -> None:
            """Note that the method has returned an awaitable: other calls may come before it is awaited."""

        def resume(self) -> None:
            """Note that the awaitable is being awaited."""


_PLAIN_MAX = 256
_PLAIN: dict[int, type] = {}
"""Types of results that are not awaited, by id, because a user's metaclass may define `__hash__`."""


class Taker:
    """An observer that takes the result and does nothing else."""

    def __init__(self, done: Callable[[Any, BaseException | None], Any]) -> None:
        self.done = done

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""


def observed(method: Any, begin: Begin, bind: Bind | None = None) -> Callable[..., Any]:
    """Wrap `method`. What `begin(args, kwargs)` returns observes the call.

    A coroutine function stays one. Any other function still does its work when it is called, such as rejecting
    arguments, even if its result has to be awaited. With `bind`, `method` is a class attribute, and is bound at each
    call.
    """
    import inspect

    # A function takes its object like any argument; a proxy declares that it is one.
    call = method if bind is None or type(method) is FunctionType else _binding(method, bind)

    async def watched_coroutine(*args: Any, **kwargs: Any) -> Any:
        with _Observation() as observation:
            observation.by = begin(args, kwargs)
            observation.result = await call(*args, **kwargs)
        return observation.result

    def watched_awaitable(*args: Any, **kwargs: Any) -> Any:
        try:
            awaitable = call(*args, **kwargs)
        except BaseException as error:  # a missing argument
            with _Observation() as observation:
                observation.by = begin(args, kwargs)
                raise error
        return _in_place_of(awaitable, begin, args, kwargs)

    def watched(*args: Any, **kwargs: Any) -> Any:
        with _Observation() as observation:
            observation.by = begin(args, kwargs)
            observation.result = call(*args, **kwargs)
            kind = type(observation.result)
            if _PLAIN.get(id(kind)) is not kind and _has_await(kind):  # a sync wrapper of a coroutine function
                return _in_place_of(observation.result, observation.paused(), args, kwargs)
        return observation.result

    if inspect.iscoroutinefunction(method):
        return update_wrapper(watched_coroutine, method)
    return update_wrapper(watched_awaitable if _is_async(method) else watched, method)


def _binding(method: Any, bind: Bind) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        here, rest = bind(method, args)
        return here(*rest, **kwargs)

    return call


def _has_await(kind: type) -> bool:
    """Whether results of this type are awaited. A "no" is cached, because pydantic takes a microsecond for it."""
    if hasattr(kind, "__await__"):
        return True
    if len(_PLAIN) < _PLAIN_MAX:
        _PLAIN[id(kind)] = kind
    return False


def _is_async(method: Any) -> bool:
    """Whether the innermost function, beneath all wrappers, is a coroutine function."""
    import inspect

    return inspect.iscoroutinefunction(inspect.unwrap(method))


def once(owner: Any, name: str, begin: Callable[[], Observer | None]) -> None:
    """Observe the next call of one object's method, and then remove the wrapper, unless it has been wrapped again."""
    begins = [begin]

    def first(*_: object) -> Observer | None:
        if vars(owner).get(name) is wrapper:
            del vars(owner)[name]
        return begins.pop()() if begins else None

    wrapper = observed(getattr(owner, name), first)
    setattr(owner, name, wrapper)


class _Observation:
    """A `with` block around a call: its observer is called at the end, even if a signal handler raises."""

    by: Observer | None = None
    result: Any = None

    def paused(self) -> Begin:
        """Pause the observer. The returned function resumes it."""
        observer = self.by
        if observer is not None:
            observer.pause()
        self.by = None

        def begin(*_: object) -> Observer | None:
            if observer is not None:
                observer.resume()
            return observer

        return begin

    def __enter__(self) -> _Observation:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self.by is not None:
            self.result = self.by.done(self.result, error)


async def _awaited(held: _Held, begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Await the method's awaitable; the call begins when the returned coroutine is awaited."""
    with _Observation() as observation:
        observation.by = begin(args, kwargs)
        observation.result = await held.awaitable
    return observation.result


class _Held:
    """The awaitable of `_awaited`. If ours is never awaited, Python warns of it; the wrapped one is closed silently."""

    def __init__(self, awaitable: Any) -> None:
        self.awaitable = awaitable

    def __del__(self) -> None:
        if isinstance(self.awaitable, CoroutineType):
            self.awaitable.close()


def _in_place_of(awaitable: Any, begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a coroutine with the name of the wrapped one, which Python's warning mentions if it is never awaited."""
    ours = _awaited(_Held(awaitable), begin, args, kwargs)
    for name in ("__name__", "__qualname__"):
        setattr(ours, name, getattr(awaitable, name, None) or getattr(ours, name))
    return ours
