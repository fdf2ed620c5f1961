"""A method of somebody else's, whose result or exception passes through untouched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Done = Callable[[Any, BaseException | None], None]


def _is_async(method: Callable[..., Any]) -> bool:
    import inspect

    return inspect.iscoroutinefunction(inspect.unwrap(method))


def observed(method: Callable[..., Any], begin: Callable[..., Done | None]) -> Callable[..., Any]:
    """`method`, whose result or exception passes through; what `begin(args, kwargs)` returned is told of it first."""
    if _is_async(method):

        async def watched_async(*args: Any, **kwargs: Any) -> Any:
            done = begin(args, kwargs)
            try:
                result = await method(*args, **kwargs)
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
            result = method(*args, **kwargs)
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
