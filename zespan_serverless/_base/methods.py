"""Third-party methods, as class attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def bound(method: Any, args: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Bind `method`, as found in a class, to the object that it is called on; the other arguments are left.

    What other tools put into the class need not be a function: a wrapt proxy learns from its `__get__` which object it
    is on, and a mock, which has none, gets the arguments without the object.
    """
    if not args:
        return method, args
    get = getattr(type(method), "__get__", None)
    return (method if get is None else get(method, args[0], type(args[0]))), args[1:]
