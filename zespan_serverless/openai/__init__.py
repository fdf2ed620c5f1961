"""OpenAI chat completions as events: sync, async, streamed, parsed, raw; one event a call, whatever becomes of it.

    _observing  a method of others, whose results pass through     _messages  what is said of a request and an answer
    _calls      one call, from its start to its event               _streams   a stream, while the user reads it

Three places are touched: the methods of the `Completions` classes (or of one client), the making of `Stream` objects,
and the iterator inside of those, so that users keep the real thing with everything it can do.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from .._log import warn_once
from ._calls import begin
from ._observing import bound, observed
from ._streams import watch

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from ._observing import Bind

    Client = TypeVar("Client")

__all__ = ["patch_openai", "wrap_openai"]

_MODULES = (
    "openai.resources.chat.completions.completions",
    "openai.resources.chat.completions",  # once a module itself
    "openai.resources.beta.chat.completions",  # once the home of `parse`
)
_CLASSES = ("Completions", "AsyncCompletions")
_METHODS = ("create", "parse")
_STREAMS = ("Stream", "AsyncStream")


def patch_openai() -> None:
    """Trace every chat completion of every client from now on. Idempotent; the decorators call it by themselves.

    If `openai` has not been imported yet, its methods are patched when it is: this never imports it.
    """
    if not any(isinstance(finder, _WhenImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenImported())  # first: another thread may begin to import it right now
    from importlib import import_module

    for name in _MODULES:
        if name in sys.modules:
            _patch(import_module(name))  # waits for a thread that is in the middle of it


def wrap_openai(client: Client) -> Client:
    """Trace the chat completions of one client, and return it: one that `patch_openai` does not reach, of another make
    with the same methods. Sync or async; idempotent."""
    completions = client.chat.completions  # type: ignore[attr-defined]
    _wrap(completions, {name: getattr(completions, name, None) for name in _METHODS})
    if not hasattr(completions, "parse"):  # older clients
        parser = client.beta.chat.completions  # type: ignore[attr-defined]
        _wrap(parser, {"parse": parser.parse})
    return client


def _patch(module: ModuleType) -> None:
    for name in _CLASSES:
        owner = vars(module).get(name)  # not getattr: that would import what the package imports lazily
        if owner is not None:
            _wrap(owner, {method: vars(owner).get(method) for method in _METHODS}, bound)
    for name in _STREAMS:
        owner = vars(module).get(name)
        if owner is not None:
            watch(owner)


def _wrap(owner: Any, methods: dict[str, Any], bind: Bind | None = None) -> None:
    """Have `owner`, a class or one object, use observed `methods`, except where they are observed already."""
    for name, method in methods.items():
        if method is not None and not hasattr(method, "__zespan_original__"):
            watched = functools.update_wrapper(observed(method, functools.partial(begin, method), bind), method)
            watched.__zespan_original__ = method  # type: ignore[attr-defined]
            setattr(owner, name, watched)


class _WhenImported:
    """An import hook for the few modules that hold the methods; openai imports them late, at first use."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in _MODULES:
            return None
        try:
            others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
            if spec is not None:
                _patch_once_loaded(spec.loader)
            return spec
        except Exception as error:
            warn_once("openai calls are not traced: %r", error)
            return None


def _patch_once_loaded(loader: Any) -> None:
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        vars(loader).pop("exec_module", None)  # the modules of a zip file share their loader
        load(module)
        try:
            _patch(module)
        except Exception as error:
            warn_once("openai calls are not traced: %r", error)

    loader.exec_module = exec_module
