"""OpenAI chat completions as events: sync, async, streamed, parsed, raw; one event a call, whatever becomes of it.

    _observing  a method of others, whose results pass through     _messages  what is said of a request and an answer
    _calls      one call, from its start to its event               _streams   a stream, while the user reads it
    _sdk        whether the SDK `zespan` traces the same call

These places are touched, so that users keep the real thing with everything it can do: the methods of the `Completions`
classes (or of one client); the clients' `request`, for calls that come past those; the making of `Stream` objects, and
the iterator inside of them.
"""

from __future__ import annotations

import functools
import sys
from _thread import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from ..._base.guard import pass_on
from ..._base.log import warn_once
from ._calls import begin, begin_request
from ._observing import bound, observed
from ._streams import watch

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from ._observing import Begin, Bind, Done

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
_BASE, _CLIENTS = "openai._base_client", ("SyncAPIClient", "AsyncAPIClient")
_SDK = "zespan.wrappers.openai_wrapper"


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
    with the same methods. Sync or async; idempotent. Never raises: what cannot be traced is said in the log."""
    try:
        completions = client.chat.completions  # type: ignore[attr-defined]
        _wrap(completions, {name: getattr(completions, name, None) for name in _METHODS})
        if getattr(completions, "parse", None) is None:  # older clients
            parser = getattr(getattr(getattr(client, "beta", None), "chat", None), "completions", None)
            _wrap(parser, {"parse": getattr(parser, "parse", None)})
    except Exception as error:
        pass_on(error)
        warn_once("calls of this %s are not traced: %r", type(client).__name__, error)
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
    for name in _CLIENTS:
        owner = vars(sys.modules.get(_BASE, module)).get(name)
        if owner is not None:
            _observe(owner, "request", vars(owner).get("request"), _begin_request, bound)


def _wrap(owner: Any, methods: dict[str, Any], bind: Bind | None = None) -> None:
    """Have `owner`, a class or one object, use observed `methods`, except where they are observed already."""
    for name, method in methods.items():
        _observe(owner, name, method, functools.partial(_begin, method), bind)


def _observe(owner: Any, name: str, method: Any, begin: Begin, bind: Bind | None) -> None:
    if method is None or hasattr(method, "__zespan_original__"):
        return
    watched: Any = observed(method, begin, bind)
    # Who unwraps the method finds what is there without us.
    watched.__wrapped__ = getattr(method, "__wrapped__", method)
    watched.__zespan_original__ = method
    setattr(owner, name, watched)


def _begin(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Done | None:
    if _is_traced_by_sdk(method):
        return None
    return begin(args[0] if args else getattr(method, "__self__", None), kwargs)


def _begin_request(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Done | None:
    options = kwargs.get("options", args[2] if len(args) > 2 else None)
    if not args or options is None or _is_traced_by_sdk(None):
        return None
    return begin_request(args[0], options)


def _is_traced_by_sdk(method: Any) -> bool:
    """Whether the SDK `zespan` makes an event of this call."""
    if _SDK not in sys.modules:
        return False
    try:
        from ...sdks.zespan import traces

        return traces(method)
    except Exception as error:
        pass_on(error)
        return False


class _WhenImported:
    """An import hook for the few modules that hold the methods; openai imports them late, at first use."""

    def __init__(self) -> None:
        self._asking: set[int] = set()  # threads: a second hook like this one would ask us in turn

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        thread = get_ident()
        if name not in _MODULES or thread in self._asking:
            return None
        self._asking.add(thread)
        try:
            others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
            if spec is not None and hasattr(spec.loader, "exec_module"):
                spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
            return spec
        except Exception as error:
            pass_on(error)
            warn_once("openai calls are not traced: %r", error)
            return None
        finally:
            self._asking.discard(thread)


class _Loader:
    """A module's loader, until the module is loaded: it then has its own again, and is patched."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        try:
            _patch(module)
        except Exception as error:
            pass_on(error)
            warn_once("openai calls are not traced: %r", error)
