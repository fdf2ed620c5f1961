"""Changes the arguments of another library's method at each call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._base.hook import bound
from .._base.log import warn_once

if TYPE_CHECKING:
    from collections.abc import Callable

    Arguments = tuple[tuple[Any, ...], dict[str, Any]]
    Change = Callable[[tuple[Any, ...], dict[str, Any]], Arguments]


def change_arguments(owner: Any, name: str, change: Change) -> None:
    """Map the arguments of each call of a class's method through `change`. Idempotent.

    A coroutine function stays one. If `change` fails, the arguments are passed unchanged.
    """
    import inspect
    from functools import update_wrapper

    method = vars(owner).get(name)
    if method is None or hasattr(method, "__zespan_outbound__"):
        return

    def changed(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        try:
            return change(args, kwargs)
        except Exception as error:
            pass_on(error)
            warn_once("not-propagated", "the trace context is left out of a call of %s: %r", name, error)
            return args, kwargs

    def called(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = changed(args, kwargs)
        here, rest = bound(method, args)
        return here(*rest, **kwargs)

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = changed(args, kwargs)
        here, rest = bound(method, args)
        return await here(*rest, **kwargs)

    wrapper: Any = update_wrapper(awaited if inspect.iscoroutinefunction(method) else called, method)
    wrapper.__zespan_outbound__ = True
    setattr(owner, name, wrapper)
