"""Patches of third-party modules: one import hook applies each as soon as its module is imported."""

from __future__ import annotations

import sys
from _thread import get_ident
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .guard import Guarded, pass_on
from .log import warn_once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Patch = Callable[[ModuleType], object]


def when_imported(patches: Mapping[str, Mapping[str, Patch]]) -> None:
    """Patch modules when they are imported, and now those that already are. Imports none.

    `patches` maps a module's name to its patches, each with a text for the log if it fails. A patch with the same text
    replaces an earlier one. Patches may be applied more than once.
    """
    finder = next((finder for finder in sys.meta_path if isinstance(finder, WhenImported)), None)
    if finder is None:
        finder = WhenImported()
        sys.meta_path.insert(0, finder)
    for name, by_meaning in patches.items():  # all first: another thread may begin to import one right now
        finder.patches.setdefault(name, {}).update(by_meaning)
    for name, by_meaning in patches.items():
        if sys.modules.get(name) is not None:  # None forbids the import
            with Guarded(f"the import of {name}"):  # which may fail in the thread that we wait for
                _apply(by_meaning, import_module(name))


class WhenImported:
    """A finder for `sys.meta_path`. It calls the other finders, and wraps the loader that they return."""

    def __init__(self, patches: Mapping[str, Mapping[str, Patch]] | None = None) -> None:
        self.patches: dict[str, dict[str, Patch]] = {name: dict(some) for name, some in (patches or {}).items()}
        self._asking: set[int] = set()  # ids of threads: a second hook of this kind would call this one

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        thread = get_ident()
        if name not in self.patches or thread in self._asking:
            return None
        self._asking.add(thread)
        try:
            others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
            if spec is not None and hasattr(spec.loader, "exec_module"):
                spec.loader = _Loader(spec.loader, self.patches[name])  # type: ignore[assignment]
            return spec
        except Exception as error:
            pass_on(error)
            for meaning in self.patches[name]:
                warn_once("not-patched", "%s: %r", meaning, error)
            return None
        finally:
            self._asking.discard(thread)


class _Loader:
    """Stands in for a module's loader until the module is loaded. Then the module gets its own back, and is patched."""

    def __init__(self, loader: Any, patches: Mapping[str, Patch]) -> None:
        self._loader, self._patches = loader, patches

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _apply(self._patches, module)


def _apply(patches: Mapping[str, Patch], module: ModuleType) -> None:
    for meaning, patch in [*patches.items()]:
        try:
            patch(module)
        except Exception as error:
            pass_on(error)
            warn_once("not-patched", "%s: %r", meaning, error)


def bound(method: Any, args: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Bind `method`, as found in a class, to the object that it is called on; the other arguments are left.

    What other tools put into the class need not be a function: a wrapt proxy learns from its `__get__` which object it
    is on, and a mock, which has none, gets the arguments without the object.
    """
    if not args:
        return method, args
    get = getattr(type(method), "__get__", None)
    return (method if get is None else get(method, args[0], type(args[0]))), args[1:]
