"""Cloudflare Python Workers: `@zespan_cloudflare`, for entrypoint classes, Durable Objects and Workflows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar, overload
from urllib.parse import urlsplit

from ._base import aio
from ._base.guard import Guarded
from ._observe import wrap
from ._observe.bodies import Exchange
from ._observe.web import WebHost
from ._record.invocation import Description, Invocation
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from ._observe.host import Scope
    from .settings import SettingsKwargs

    C = TypeVar("C", bound=type)

__all__ = ["zespan_cloudflare"]

_TRIGGERS = {"alarm": "timer", "queue": "pubsub", "scheduled": "timer"}
"""By the name of the handler; that of every other one but `fetch` is "other"."""
_STREAMED = ("text/event-stream", "application/x-ndjson", "application/jsonl")
"""Types of bodies that are produced while they are sent, and have no length that has to be kept."""


@overload
def zespan_cloudflare(entrypoint: C, /, **settings: Unpack[SettingsKwargs]) -> C: ...
@overload
def zespan_cloudflare(**settings: Unpack[SettingsKwargs]) -> Callable[[C], C]: ...
def zespan_cloudflare(entrypoint: Any = None, /, **settings: Any) -> Any:
    """Trace every call of a Worker's handlers, and deliver their events after the response::

        @zespan_cloudflare
        class Default(WorkerEntrypoint):
            async def fetch(self, request): ...
            async def scheduled(self, controller, env, ctx): ...
            async def queue(self, batch, env, ctx): ...

    Each public method is traced, if it is a coroutine function: handlers, and methods that other Workers call. Also for
    a `DurableObject` and a `WorkflowEntrypoint`. Takes every setting by keyword (see `Settings`), with or without the
    class; others come from the Worker's variables and secrets. Raises ConfigurationError for an unknown setting, and
    for anything but a class with such methods.

    Workers have no threads. The events are sent by `fetch` in the time that `waitUntil` gives a request after its
    response, for at most `flush_timeout` seconds. What cannot be sent by then is sent during the next request of the
    same isolate. https://developers.cloudflare.com/workers/languages/python/
    """
    return wrap.configured(entrypoint, settings, _decorate)


def _decorate(entrypoint: Any, settings: Mapping[str, Any]) -> Any:
    methods = _methods(entrypoint) if isinstance(entrypoint, type) else {}
    if not methods:
        text = "zespan_cloudflare decorates a class with async methods, such as fetch(self, request)"
        raise ConfigurationError(f"{text}. Got {entrypoint!r}")
    for name, method in methods.items():
        if not wrap.is_marked(method):
            host = _Fetch() if name == "fetch" else _Handler(entrypoint.__name__, name)
            setattr(entrypoint, name, wrap.mark(wrap.traced(method, host, settings)))
    return entrypoint


def _methods(entrypoint: type) -> dict[str, Any]:
    """Return what the platform may call: public coroutine functions of the class and its bases, but Cloudflare's."""
    found: dict[str, Any] = {}
    for kind in reversed(entrypoint.__mro__):
        if kind.__module__.partition(".")[0] not in ("workers", "builtins"):
            found.update(vars(kind))
    return {
        name: value
        for name, value in found.items()
        if not name.startswith("_") and hasattr(value, "__code__") and aio.is_async(value)
    }


class _Handler(WebHost[Any]):
    """A handler that is not called by HTTP, or a method that another Worker calls. A call's request is its argument."""

    def __init__(self, owner: str, method: str) -> None:
        super().__init__()
        self._name, self._method = f"{owner}.{method}", method

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return args[1] if len(args) > 1 else next(iter(kwargs.values()), None)

    def read(self, request: Any) -> Invocation:
        trigger, method, operation = _TRIGGERS.get(self._method, "other"), self._method, self._name
        attributes: dict[str, object] = {"faas.trigger": trigger}
        with Guarded("the arguments of a handler"):
            if method == "scheduled":
                cron, at = request.cron, request.scheduledTime
                attributes |= {"faas.cron": str(cron), "faas.time": _time(at)}
                operation = f"scheduled {cron}"
            elif method == "queue":
                operation = f"queue {request.queue}"
                attributes |= {
                    "messaging.system": "cloudflare_queues",  # OpenTelemetry has no term for it
                    "messaging.operation.type": "process",
                    "messaging.destination.name": str(request.queue),
                    "messaging.batch.message_count": len(request.messages),
                }
        return Invocation(None, self._name, describe=lambda: Description(attributes, operation))


class _Fetch(WebHost[Any]):
    """The handler `fetch`. Its request is one of the SDK, or of JavaScript."""

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return args[1] if len(args) > 1 else next(iter(kwargs.values()), None)

    def read(self, request: Any) -> Invocation:
        if request is None:  # what `async def fetch(self)` gets
            return Invocation(None, "fetch", describe=lambda: Description({"faas.trigger": "http"}, "fetch"))
        url, headers = urlsplit(str(request.url)), request.headers

        def header(name: str) -> str | None:
            value = headers.get(name)
            return value if isinstance(value, str) else None  # JavaScript's null is an object

        method = str(getattr(request.method, "value", request.method))
        return self.invocation(method, url.path or "/", url.scheme, header, lambda: None)

    def scope(self, active: Any, request: Any) -> Scope:
        return _Exchange(active)


class _Exchange(Exchange):
    """The response to one request. It ends with its body, if that is a stream; otherwise when `fetch` returns."""

    def follow(self, result: Any) -> Any:
        with Guarded("a response"):
            response = getattr(result, "js_object", result)
            self.status = int(response.status)
            kind = response.headers.get("content-type")
            if isinstance(kind, str) and kind.partition(";")[0].strip().lower() in _STREAMED and response.body:
                return self._followed(result, response)
        return result

    def _followed(self, result: Any, response: Any) -> Any:
        """Return the response with a body that passes through, and whose end we are told of."""
        from importlib import import_module

        js, ffi = import_module("js"), import_module("pyodide.ffi")
        ended = ffi.create_proxy(lambda *_: self.end(None))
        cancelled = ffi.create_proxy(lambda *_: self.end(None, is_cut=True))
        stages = ffi.to_js({"flush": ended, "cancel": cancelled}, dict_converter=js.Object.fromEntries)
        passing = js.TransformStream.new(stages)
        body = response.body.pipeThrough(passing)
        self.is_streamed = True
        followed = js.Response.new(body, response)
        if response is result:
            return followed
        with Guarded("a response"):  # the body of the original is locked by now
            return import_module("workers").Response(followed)  # a subclass may be made from anything
        return followed


def _time(milliseconds: Any) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(float(milliseconds) / 1000))
