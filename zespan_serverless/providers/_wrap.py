"""A method of somebody else's, whose result or exception passes through untouched."""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Done = Callable[[Any, BaseException | None], None]
    Begin = Callable[[tuple[Any, ...], dict[str, Any]], Done | None]
    Bind = Callable[[Any, tuple[Any, ...]], tuple[Callable[..., Any], tuple[Any, ...]]]


def observed(method: Any, begin: Begin, bind: Bind | None = None) -> Callable[..., Any]:
    """`method`, whose result or exception passes through; what `begin(args, kwargs)` returned is told of it first.

    It stays what it is: a coroutine function if it is one, and otherwise one that does its work when it is called, such
    as to reject arguments, although what it returns may have to be awaited. With `bind`, `method` is as it stands in a
    class, and is bound anew for each call.
    """
    import inspect
    from functools import update_wrapper

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        here, rest = bind(method, args) if bind else (method, args)
        return here(*rest, **kwargs)

    async def watched_coroutine(*args: Any, **kwargs: Any) -> Any:
        with _Telling() as telling:
            telling.done = begin(args, kwargs)
            telling.result = await call(args, kwargs)
        return telling.result

    def watched_awaitable(*args: Any, **kwargs: Any) -> Any:
        try:
            awaitable = call(args, kwargs)
        except BaseException as error:  # a missing argument
            with _Telling() as telling:
                telling.done = begin(args, kwargs)
                raise error
        return _in_place_of(awaitable, begin, args, kwargs)

    def watched(*args: Any, **kwargs: Any) -> Any:
        with _Telling() as telling:
            telling.done = begin(args, kwargs)
            telling.result = call(args, kwargs)
            if hasattr(type(telling.result), "__await__"):  # a wrapper that does not say so
                done, telling.done = telling.done, None
                return _in_place_of(telling.result, lambda *_: done, args, kwargs)
        return telling.result

    if inspect.iscoroutinefunction(method):
        return update_wrapper(watched_coroutine, method)
    return update_wrapper(watched_awaitable if _is_async(method) else watched, method)


def _is_async(method: Any) -> bool:
    """Whether there is a coroutine function beneath what is around it."""
    import inspect

    return inspect.iscoroutinefunction(inspect.unwrap(method))


def bound(method: Any, args: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """What `method`, found in a class, is on the object that it is called on, and the arguments without that object.

    What other tools put there need not be a function: a wrapt proxy learns from its `__get__` which object it is on,
    and a mock does not want to know.
    """
    if not args:
        return method, args
    get = getattr(type(method), "__get__", None)
    return (method if get is None else get(method, args[0], type(args[0]))), args[1:]


def once(owner: Any, name: str, begin: Callable[[], Done | None]) -> None:
    """Observe the next call of one object's method; nothing stays behind."""

    def first(*_: object) -> Done | None:
        vars(owner).pop(name, None)
        return begin()

    setattr(owner, name, observed(getattr(owner, name), first))


class _Telling:
    """Around a call: who is to be told of its end is told, whatever strikes the call or our own lines around it."""

    def __init__(self) -> None:
        self.done: Done | None = None
        self.result: Any = None

    def __enter__(self) -> _Telling:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self.done is not None:
            self.done(self.result, error)


async def _awaited(held: _Held, begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What somebody's awaitable gives; the call begins when ours is awaited."""
    with _Telling() as telling:
        telling.done = begin(args, kwargs)
        telling.result = await held.awaitable
    return telling.result


class _Held:
    """What `_awaited` is to wait for. If it never does, Python warns of ours, and need not warn of theirs as well."""

    def __init__(self, awaitable: Any) -> None:
        self.awaitable = awaitable

    def __del__(self) -> None:
        if isinstance(self.awaitable, CoroutineType):
            self.awaitable.close()


def _in_place_of(awaitable: Any, begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A coroutine with the name of theirs, which is in the warning about one that was never awaited."""
    ours = _awaited(_Held(awaitable), begin, args, kwargs)
    for name in ("__name__", "__qualname__"):
        setattr(ours, name, getattr(awaitable, name, None) or getattr(ours, name))
    return ours
