"""Vercel Functions: `@zespan_vercel`, for a handler class, a WSGI or an ASGI application."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import _process, asgi, wsgi
from . import settings as _settings
from ._base import aio
from ._base.guard import Guarded
from ._delivery.aio import flush_async
from ._delivery.budget import flush_budget
from ._observe import wrap
from ._observe.bodies import Exchange
from ._observe.web import WebHost
from ._platforms.vercel import time_left
from ._trace.context import LISTS
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Unpack

    from ._observe.active import ActiveInvocation
    from ._process.container import Container
    from ._record.invocation import Invocation
    from .settings import SettingsKwargs

    A = TypeVar("A")

__all__ = ["zespan_vercel"]

_IPC = "VERCEL_IPC_PATH"
"""Set if Vercel's runtime reports the end of a request over a socket. Otherwise the response is the end."""
_STATUS = "_zespan_status"


@overload
def zespan_vercel(app: A, /, **settings: Unpack[SettingsKwargs]) -> A: ...
@overload
def zespan_vercel(**settings: Unpack[SettingsKwargs]) -> Callable[[A], A]: ...
def zespan_vercel(app: Any = None, /, **settings: Any) -> Any:
    """Trace every request of a Vercel Function, and deliver its events without adding to its response::

        @zespan_vercel
        class handler(BaseHTTPRequestHandler):
            def do_GET(self): ...

        app = FastAPI()  # or Flask(...)
        ...
        app = zespan_vercel(app)  # at the end of the module

    Takes every setting by keyword (see `Settings`), with or without the application. In a class each `do_` method is
    traced; an application is wrapped, and Vercel still recognizes it. Raises ConfigurationError for an unknown setting,
    and for any other object.

    Events are sent after the response and before Vercel considers the request finished, for at most `flush_timeout`
    seconds and never during the last `flush_reserve` seconds before Vercel's deadline. With `before_return` an
    application's response is held until they are sent. https://vercel.com/docs/functions/runtimes/python
    """
    if app is None:
        _settings.check(settings)
        return functools.partial(zespan_vercel, **settings)
    if isinstance(app, type):
        traced: Any = _class(app, _settings.check(settings))
    else:
        traced = _application(app, settings)
    with Guarded("the import of the function"):
        if _serves() and _settings.usable(_settings.resolve(_settings.check(settings))):
            _process.watch()  # only during import is this the main thread, which may handle signals
    return traced


def _application(app: Any, settings: Mapping[str, Any]) -> object:
    """Wrap an application, recognized as Vercel's runtime does: an `asgi` attribute, or the number of arguments."""
    found = getattr(app, "asgi", None)
    found = found if callable(found) else app
    if callable(found):
        awaited = aio.is_async(found)
        if found is not app or (awaited and _arity(found) == 3):
            return found if isinstance(found, _Asgi) else _Asgi(found, **settings)
        if not awaited and _arity(found) == 2:
            return found if isinstance(found, _Wsgi) else _Wsgi(found, **settings)
    raise ConfigurationError(f"zespan_vercel takes a handler class, a WSGI or an ASGI application. Got {app!r}")


def _arity(app: Callable[..., object]) -> int:
    """Return the number of required arguments."""
    import inspect

    try:
        parameters = inspect.signature(app).parameters.values()
    except (ValueError, TypeError):
        return 0
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.default is one.empty and one.kind in positional for one in parameters)


def _class(handler: type, arguments: Mapping[str, Any]) -> type:
    """Trace the class itself, because in a subclass its own `super(handler, self)` would recurse endlessly."""
    names = [name for name in dir(handler) if name.startswith("do_") and callable(getattr(handler, name, None))]
    methods = {name: _static(handler, name) for name in names}
    if not methods or not hasattr(handler, "send_response_only"):
        raise ConfigurationError(
            f"a handler class derives from BaseHTTPRequestHandler, and has do_ methods: {handler!r}"
        )
    if vars(handler).get("__zespan_observed__"):
        return handler
    tracer = wrap.Tracer(_Host(), arguments)
    for name, method in methods.items():
        setattr(handler, name, _method(method, tracer))
    traced: Any = handler
    traced.send_response_only = _noting(_static(handler, "send_response_only"))
    traced.__zespan_observed__ = True
    return handler


def _static(handler: type, name: str) -> Any:
    return next(vars(kind)[name] for kind in handler.__mro__ if name in vars(kind))


def _bound(method: Any, request: Any) -> Callable[..., Any]:
    found: Callable[..., Any] = method.__get__(request, type(request)) if hasattr(method, "__get__") else method
    return found


def _noting(method: Any) -> Callable[..., Any]:
    @functools.wraps(method)
    def send_response_only(self: Any, code: Any, *args: Any, **kwargs: Any) -> Any:
        vars(self)[_STATUS] = code
        return _bound(method, self)(code, *args, **kwargs)

    return send_response_only


def _method(method: Any, tracer: wrap.Tracer[Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def do(self: Any, *args: Any, **kwargs: Any) -> Any:
        active = tracer.open(self)
        if active is None:
            return _bound(method, self)(*args, **kwargs)
        return wrap.call(_Exchange(active, self), lambda: _bound(method, self)(*args, **kwargs), (), {})

    return do


class _Host(WebHost[Any]):
    """A handler class as a host. Its request ends when the method returns, so a flush comes after the response."""

    def process_stays_alive(self, invocation: Invocation) -> bool:
        return False

    def read(self, request: Any) -> Invocation:
        def header(name: str) -> str | None:
            lines = request.headers.get_all(name)
            return None if not lines else ",".join(lines) if name in LISTS else lines[0]

        scheme = header("x-forwarded-proto") or "http"
        return self.invocation(request.command, request.path.partition("?")[0], scheme, header, lambda: None)


class _Exchange(Exchange):
    def __init__(self, active: ActiveInvocation, request: Any) -> None:
        super().__init__(active)
        self._request = request
        vars(request).pop(_STATUS, None)

    def end(self, error: BaseException | None, *, is_cut: bool = False) -> None:
        super().end(error, is_cut=is_cut)
        with Guarded("the flush"):
            _follow_theirs()

    def _close(self, error: BaseException | None, is_cut: bool) -> None:
        self.status = vars(self._request).get(_STATUS)
        super()._close(error, is_cut)
        with Guarded("the end of a response"):
            if self.status is not None and _lingering() is not None:
                _end_response(self._request)


def _end_response(request: Any) -> None:
    """Close the sending half of the connection. Without a content-length a client would otherwise wait for the end of
    the connection, and so for the flush. The server closes the rest when the request is over."""
    if request.close_connection:
        import socket

        request.wfile.flush()
        request.connection.shutdown(socket.SHUT_WR)


class _Asgi(asgi.ZespanMiddleware):
    """ASGI on Vercel: a request ends when the application returns, and has CPU until then."""

    def __init__(self, app: Any, **settings: Unpack[SettingsKwargs]) -> None:
        super().__init__(app, **settings)
        self._host.platform = _outlasting(self._host)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        except Exception:
            await self._linger(scope)
            raise
        await self._linger(scope)

    async def _linger(self, scope: Any) -> None:
        container = _lingering()
        if container is not None and scope.get("type") == "http":
            with Guarded("the flush"):
                _follow_theirs()
                if container.delivery.pending or container.settings.flush:
                    await flush_async(container.delivery, _budget(container))


class _Wsgi(wsgi.ZespanMiddleware):
    """WSGI on Vercel: the server closes the body after its last piece, and then reports the end to Vercel."""

    def __init__(self, app: Any, **settings: Unpack[SettingsKwargs]) -> None:
        super().__init__(app, **settings)
        self._host.platform = _outlasting(self._host)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = super().__call__(environ, start_response)
        return body if _lingering() is None else _Body(body)


class _Body:
    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            container = _lingering()
            if container is not None:
                with Guarded("the flush"):
                    _follow_theirs()
                    budget = _budget(container)
                    report = container.delivery.flush(budget)
                    container.delivery.notify(report, max(0.0, budget - report.elapsed))


def _outlasting(host: WebHost[Any]) -> Any:
    """Return the host's platform: one that gives CPU after the response, if the request lasts that long."""
    return host.platform.replaced(keeps_cpu=host.platform.keeps_cpu or _IPC in os.environ)


def _lingering() -> Container | None:
    """Return the container, if the request has to wait for its events after the response."""
    container = _process.current() if _IPC in os.environ else None
    return None if container is None or container.settings.flush_mode == "before_return" else container


def _budget(container: Container) -> float:
    settings = container.settings
    return flush_budget(time_left(), settings.flush_timeout, settings.flush_reserve)


def _follow_theirs() -> None:
    """Flush again after the application's own `wait_until` work, which may capture more events.

    Vercel's runtime runs all registered work, and then the work registered meanwhile, which is this flush.
    """
    functions, container = sys.modules.get("vercel.functions"), _lingering()
    if functions is None or container is None:
        return

    async def meanwhile() -> None:
        functions.wait_until(last())

    async def last() -> None:
        if container.delivery.pending or container.settings.flush:
            await flush_async(container.delivery, _budget(container))

    functions.wait_until(meanwhile())


def _serves() -> bool:
    """Whether this is a process that serves requests on Vercel, and not a test or a build."""
    return _IPC in os.environ and "vercel_runtime.vc_init" in sys.modules
