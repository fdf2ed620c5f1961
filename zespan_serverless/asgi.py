"""ASGI applications: FastAPI, Starlette, Django, Quart, under any server."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from . import _observe, _process, _trace
from . import settings as _settings
from ._base import aio
from ._base.guard import Guarded, contain
from ._delivery.aio import flush_async
from ._observe import wrap
from ._observe.api import after_restore, before_snapshot
from ._observe.bodies import Exchange
from ._observe.web import WebHost, address, django_route, go_on, note_inner_error
from ._trace.context import LISTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
    from typing import Unpack

    from ._observe.active import ActiveInvocation
    from ._platforms.platform import Hook
    from ._process.container import Container
    from ._record.invocation import Invocation
    from .settings import SettingsKwargs

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Any, Any, Any], Awaitable[None]]  # the type of Starlette and others

__all__ = ["ZespanMiddleware"]

_HEADERS_READ = 512
_LISTS = tuple(map(str.encode, LISTS))
# The last two are extensions: https://asgi.readthedocs.io/en/latest/extensions.html
_BODIES = ("http.response.body", "http.response.zerocopysend", "http.response.pathsend")


class ZespanMiddleware:
    """Traces every HTTP request of an ASGI application, and delivers its events without holding its response::

        app.add_middleware(ZespanMiddleware)      # FastAPI, Starlette
        app = ZespanMiddleware(app)               # anything else

    Takes every setting by keyword (see `Settings`); raises ConfigurationError for an unknown one.

    Bodies pass through unchanged, piece by piece; the request's event ends with the last piece. Background tasks are
    part of its trace; websockets and lifespan pass through. A thread sends the events. Where the platform gives CPU to
    requests only (Cloud Run by default, Lambda behind the Web Adapter), the last piece of the response is held until
    they are sent, for at most `flush_timeout` seconds. `flush_mode="after_response"` turns that off.
    """

    if TYPE_CHECKING:  # the types of newer Starlettes do not allow for a name, by which older ones give it
        app: Application
        _host: _Host
        _tracer: wrap.Tracer[Scope]

        def __init__(self, app: Application, /, **settings: Unpack[SettingsKwargs]) -> None: ...

    else:

        def __init__(self, app, **settings):
            self.app = app
            arguments = _settings.check(settings)
            self._host = _Host(arguments)
            self._tracer = wrap.Tracer(self._host, arguments)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope.get("type")
        if kind == "lifespan":
            await self.app(scope, receive, self._flushing(send))
        elif kind != "http":
            await self._connect(scope, receive, send)
        elif self._host.platform.has_hooks and (hook := self._hook(scope)) is not None:
            await self._announced(hook, scope, receive, send)
        elif (active := self._tracer.open(scope)) is not None:
            if self._host.platform.names_audience:
                self._address(active, scope)
            exchange = _Exchange(active, scope["method"], receive, send)
            # Knative's has methods, which the application calls.
            sender = exchange.redirected(send) if hasattr(send, "structured") else exchange.send
            await wrap.call_async(exchange, self.app, (scope, exchange.receive, sender), {})
        else:
            try:
                await self.app(scope, receive, send)
            except Exception as error:
                note_inner_error(error)
                raise

    def _hook(self, scope: Scope) -> Hook | None:
        with Guarded("a hook of the platform"):
            return self._host.platform.hook(scope["path"], lambda name: _header(scope)(name))
        return None

    def _address(self, active: ActiveInvocation, scope: Scope) -> None:
        with Guarded("the user of a request"):
            address(active.span, *self._host.platform.audience(_header(scope)))

    async def _announced(self, hook: Hook, scope: Scope, receive: Receive, send: Send) -> None:
        """Act on what the platform announces, and answer it where the application does not know it."""
        if hook == "restored":
            after_restore()
        elif hook == "resumed":
            go_on()
        messages: list[Message] = []
        failure: Exception | None = None

        async def keep(message: Message) -> None:
            messages.append(message)

        try:
            await self.app(scope, receive, keep)
        except Exception as error:  # Starlette raises it after a response that says so
            failure = error
        if hook == "snapshot":
            with Guarded("a snapshot"):
                await aio.in_thread(before_snapshot)
        if messages and messages[0].get("status") in (404, 405):
            head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
            messages = [head, {"type": "http.response.body", "body": b""}]
        for message in messages:
            await send(message)
        if failure is not None:
            raise failure

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket, which has no event; what is captured in it is sent."""
        container, waits = None, False
        with Guarded("the start of a connection"):
            container = _observe.start(self._tracer.settings)
            waits = not self._host.platform.keeps_cpu
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            waits = waits and isinstance(error, Exception)  # otherwise it is cancelled
            raise
        finally:
            with Guarded("the flush"):
                if container is not None and (container.delivery.pending or container.settings.flush):
                    if waits:
                        await flush_async(container.delivery, container.settings.flush_timeout)
                    else:
                        container.delivery.flush_in_background(container.settings.flush_timeout)

    def _flushing(self, send: Send) -> Send:
        """Wrap `send` of a lifespan, to flush when the application has shut down."""

        async def sent(message: Message) -> None:
            with Guarded("the lifespan"):
                kind, container = message["type"], _process.current()
                if kind == "lifespan.startup.complete":
                    self._host.is_told_to_stop = True
                elif _trace.root() is not None:
                    pass  # Mangum does this at every call of a function, which flushes by itself
                elif container is not None and kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                    await aio.in_thread(functools.partial(_finish, container))
            await send(message)

        return sent


def _finish(container: Container) -> None:
    """Flush when a server ends, because many servers end without atexit. Events that cannot be sent are reported."""
    report = container.delivery.flush(container.settings.flush_timeout, probe=True, last=True)
    container.delivery.notify(report, 0)
    if report.pending and not container.active:
        container.delivery.close_at_exit(0)


class _Host(WebHost["Scope"]):
    is_told_to_stop = False  # until the application has responded to the lifespan protocol

    def read(self, request: Scope) -> Invocation:
        path, root = request["path"], request.get("root_path") or ""
        if root and not path.startswith(root):  # ASGI 2.3 servers left it out
            path = root + path
        return self.invocation(
            request["method"],
            path,
            request.get("scheme", "http"),
            _header(request),
            lambda: _route(request, root),
            request,
        )


class _Exchange(Exchange):
    """The response of one request. The invocation is closed once: by its last piece, its error or its end."""

    def __init__(self, active: ActiveInvocation, method: str, receive: Receive, send: Send) -> None:
        Exchange.__init__(self, active, method)  # `super` costs 0.5 us before Python 3.12
        self._receive, self._send = receive, send
        self._trailers = False  # whether they come after the body

    def leave(self) -> None:
        Exchange.leave(self)
        self.flush_rest()

    async def receive(self) -> Message:
        message = await self._receive()
        if not self.is_over and message.get("type") == "http.disconnect":
            self.is_cut = True
        return message

    def redirected(self, sender: Any) -> Any:
        """Return a copy of Knative's sender of CloudEvents that sends by `send`, as two messages for each event."""
        with Guarded("a response"):
            copied = object.__new__(type(sender))
            copied.__dict__.update(sender.__dict__, _send=self.send)
            self._send = sender._send
            return copied
        return sender

    async def send(self, message: Message) -> None:
        if not self.is_over:
            last, error = False, None
            try:
                last = self._ends(message)
                if last and self.status is not None and self.status >= 500:
                    error = sys.exception()  # a response from an except block: the exception says more than the status
            except Exception as failure:
                contain(failure, "a response")
            if last:
                await self.end_async(error if isinstance(error, Exception) else None, is_cut=self.is_cut)
        await self._send(message)

    def _ends(self, message: Message) -> bool:
        """Whether the client has the whole response with this message."""
        kind = message.get("type")
        if kind in _BODIES:
            return not self._trailers and (not message.get("more_body") or self.is_last(message.get("body")))
        if kind == "http.response.start":
            self.status, self._trailers = message.get("status"), bool(message.get("trailers"))
            return self.announced(lambda: _length(message))
        return kind == "http.response.trailers" and not message.get("more_trailers")


def _header(scope: Scope) -> Callable[[str], str | None]:
    """Gives a header of a request by its lower-case name."""
    lines = _headers(scope)[:_HEADERS_READ]
    headers = dict(reversed(lines))  # the first element counts
    for listed in _LISTS:
        if listed in headers:
            headers[listed] = b",".join(value for key, value in lines if key == listed)

    def header(name: str) -> str | None:
        value = headers.get(name.encode())
        return None if value is None else str(value, "latin-1")

    return header


def _length(message: Message) -> bytes | None:
    """Return the Content-Length header of a response."""
    return next((value for name, value in _headers(message) if name.lower() == b"content-length"), None)


def _headers(message: Mapping[str, Any]) -> Sequence[tuple[bytes, bytes]]:
    """Return the headers of a scope or a response; none if they are an iterator, which must not be consumed here."""
    headers = message.get("headers")
    return headers if isinstance(headers, (list, tuple)) else ()


def _route(scope: Scope, root: str) -> str | None:
    """Return the matched route, as it is written in the code.

    FastAPI's and Starlette's routers store it in the scope, but without the enclosing mounts, which are in root_path.
    FastAPI's included routers store their route and its prefix separately. Django stores nothing.
    """
    route = scope.get("route")
    if route is None:
        return django_route("asgi", scope["path"].removeprefix(root))
    inner = scope.get("fastapi")
    context = inner.get("effective_route_context") if isinstance(inner, dict) else None
    known = context if getattr(context, "original_route", None) is route else route
    path = getattr(known, "path", None)
    if not isinstance(path, str):
        return None
    mount = (scope.get("root_path") or "").removeprefix(root)
    if mount:
        names = {str(value): name for name, value in (scope.get("path_params") or {}).items()}
        parts = (f"{{{names[part]}}}" if names.get(part, path) not in path else part for part in mount.split("/"))
        mount = "/".join(parts)
    return mount + path if hasattr(route, "endpoint") else mount or path  # a mount without routes ends in itself
