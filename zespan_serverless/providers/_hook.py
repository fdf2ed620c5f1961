"""One import hook for all SDKs: a module of the table is patched as soon as it has been imported."""

from __future__ import annotations

import sys
from _thread import get_ident
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._base.log import warn_once

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def install(rooms: Mapping[str, str]) -> None:
    """Patch these modules when they are imported, each with the choke points of its room."""
    finder = next((finder for finder in sys.meta_path if isinstance(finder, WhenImported)), None)
    if finder is None:
        finder = WhenImported()
        sys.meta_path.insert(0, finder)
    finder.rooms.update(rooms)


def patch_imported(name: str, room: str) -> None:
    """Patch a module that is in `sys.modules`; waits for a thread that is in the middle of importing it."""
    _patch(import_module(name), room)


def _patch(module: ModuleType, room: str) -> None:
    from ._patch import patch  # not above: a process without an SDK is spared it

    patch(module, import_module(f"{__package__}.{room}").CHOKES)


class WhenImported:
    """A finder for `sys.meta_path`. It asks the others, and wraps the loader that they find."""

    def __init__(self, rooms: Mapping[str, str] | None = None) -> None:
        self.rooms = dict(rooms or {})
        self._asking: set[int] = set()  # ids of threads: a second hook of this kind would ask us in turn

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        thread = get_ident()
        if name not in self.rooms or thread in self._asking:
            return None
        self._asking.add(thread)
        try:
            others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
            if spec is not None and hasattr(spec.loader, "exec_module"):
                spec.loader = _Loader(spec.loader, self.rooms[name])  # type: ignore[assignment]
            return spec
        except Exception as error:
            pass_on(error)
            _warn(self.rooms[name], error)
            return None
        finally:
            self._asking.discard(thread)


class _Loader:
    """Stands in for a module's loader until the module is loaded. Then the module gets its own back, and is patched."""

    def __init__(self, loader: Any, room: str) -> None:
        self._loader, self._room = loader, room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        try:
            _patch(module, self._room)
        except Exception as error:
            pass_on(error)
            _warn(self._room, error)


def _warn(room: str, error: Exception) -> None:
    warn_once("%s calls are not traced: %r", room, error)
