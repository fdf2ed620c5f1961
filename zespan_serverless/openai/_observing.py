"""A method of somebody else's, whose result or exception passes through untouched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Done = Callable[[Any, BaseException | None], None]
    Bind = Callable[[Any, tuple[Any, ...]], tuple[Callable[..., Any], tuple[Any, ...]]]


def _is_async(method: Callable[..., Any]) -> bool:
    import inspect

    return inspect.iscoroutinefunction(inspect.unwrap(method))


def bound(method: Any, args: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """What `method`, found in a class, is on the object that it is called on, and the arguments without that object.

    What other tools put there need not be a function: a wrapt proxy learns from its `__get__` which object it is on,
    and a mock does not want to know.
    """
    get = getattr(type(method), "__get__", None)
    if not args:
        return method, args
    return (method if get is None else get(method, args[0], type(args[0]))), args[1:]


def observed(
    method: Callable[..., Any], begin: Callable[..., Done | None], bind: Bind | None = None
) -> Callable[..., Any]:
    """`method`, whose result or exception passes through; what `begin(args, kwargs)` returned is told of it first.

    With `bind`, `method` is as it stands in a class, and is bound anew for each call.
    """
    if _is_async(method):

        async def watched_async(*args: Any, **kwargs: Any) -> Any:
            done = begin(args, kwargs)
            try:
                call, rest = bind(method, args) if bind else (method, args)
                result = await call(*rest, **kwargs)
            except BaseException as error:
                if done:
                    done(None, error)
                raise
            if done:
                done(result, None)
            return result

        return watched_async

    def watched(*args: Any, **kwargs: Any) -> Any:
        done = begin(args, kwargs)
        try:
            call, rest = bind(method, args) if bind else (method, args)
            result = call(*rest, **kwargs)
        except BaseException as error:
            if done:
                done(None, error)
            raise
        if done:
            done(result, None)
        return result

    return watched


def once(owner: Any, name: str, begin: Callable[[], Done | None]) -> None:
    """Observe the next call of one object's method; nothing stays behind."""

    def first(*_: object) -> Done | None:
        vars(owner).pop(name, None)
        return begin()

    setattr(owner, name, observed(getattr(owner, name), first))
