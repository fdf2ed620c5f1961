"""Wraps the methods that an SDK's calls pass through, of classes or of one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.hook import bound
from ._call import begin
from ._wrap import observed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from ._request import Choke
    from ._wrap import Observer


def patch(module: ModuleType, chokes: Iterable[Choke]) -> None:
    """Wrap the methods of this module's classes. Idempotent."""
    for choke in chokes:
        for name in choke.functions:
            _observe_beneath(vars(module).get(name), choke)
        for name in choke.classes:
            owner = vars(module).get(name)  # not getattr, which would import what the package imports lazily
            if owner is not None:
                for method in choke.methods:
                    _observe(owner, method, vars(owner).get(method), choke, in_class=True)


def patch_object(owner: Any, choke: Choke) -> bool:
    """Wrap one object's methods. Return False if it has none of them. Idempotent."""
    methods = {name: getattr(owner, name, None) for name in choke.methods}  # all, before one is replaced
    for name, method in methods.items():
        _observe(owner, name, method, choke, in_class=False)
    return any(map(callable, methods.values()))


def _observe_beneath(decorated: Any, choke: Choke) -> None:
    """Observe the function under a decorator of the SDK, because the user may hold the decorated one already."""
    names = getattr(getattr(decorated, "__code__", None), "co_freevars", ())
    if "original_function" in names:
        cell = decorated.__closure__[names.index("original_function")]
        _observe(cell, "cell_contents", cell.cell_contents, choke, in_class=False)


def _observe(owner: Any, name: str, method: Any, choke: Choke, *, in_class: bool) -> None:
    """Replace a method with an observed one, unless it is observed already."""
    if method is None or hasattr(method, "__zespan_original__"):
        return

    def begin_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Observer | None:
        on, rest = (args[0] if args else None, args[1:]) if in_class else (getattr(method, "__self__", None), args)
        return begin(choke, method, on, rest, kwargs)

    watched: Any = observed(method, begin_call, bound if in_class else None)
    # # code that unwraps the method finds the original
    watched.__wrapped__ = getattr(method, "__wrapped__", method)
    watched.__zespan_original__ = method
    setattr(owner, name, watched)
