"""ASGI applications: FastAPI, Starlette, Django, Quart, under any server."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import _container, _lifecycle, _settings, _trace
from ._web import Response, WebHost, content_length, django_route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping

    from ._invocation import Invocation
    from ._lifecycle import Call

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Any, Any, Any], Awaitable[None]]  # whatever its own names for these types are

__all__ = ["ZespanMiddleware"]

_HEADERS_READ = 512


class ZespanMiddleware:
    """Traces every HTTP request of an ASGI application, and delivers its events without holding its response.

        app.add_middleware(ZespanMiddleware)      # FastAPI, Starlette
        app = ZespanMiddleware(app)               # anything else

    Takes every setting by keyword (see `Settings`); raises ConfigurationError for one that does not exist.

    Bodies pass through piece by piece as they come; the request's event ends with the last piece. Background tasks are
    part of its trace, websockets and lifespan are passed through. Events are sent by a thread; where the platform gives
    CPU to requests only (Cloud Run by default, Lambda behind the Web Adapter) the last piece of the response is held
    until they are sent, `flush_timeout` seconds at most: `flush_mode="after_response"` says that it need not be.
    """

    if TYPE_CHECKING:  # the types of newer Starlettes do not allow for a name, by which older ones give it
        app: Application
        _arguments: Mapping[str, Any]
        _host: _Host

        def __init__(self, app: Application, /, **settings: Any) -> None: ...

    else:

        def __init__(self, app, **settings):
            self.app = app
            self._arguments = _settings.check(settings)
            self._host = _Host(self._arguments)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope.get("type")
        if kind == "http":
            await self._serve(scope, receive, send)
        elif kind == "lifespan":
            await self.app(scope, receive, self._flushing(send))
        else:
            await self.app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = _lifecycle.enter(self._host, self._arguments, (scope,), {})
        if call is None:
            with _lifecycle.passing():
                await self.app(scope, receive, send)
            return
        exchange = _Exchange(self._host, call, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as error:
            await exchange.end(error)
            raise
        except BaseException as error:  # cancelled: there is no waiting any more
            exchange.break_off(error)
            raise
        else:
            await exchange.end(None)
            exchange.afterwards()
        finally:
            call.reset()

    def _flushing(self, send: Send) -> Send:
        """`send` of a lifespan: when the application is done with its shutdown, what is left is sent."""

        async def sent(message: Message) -> None:
            with _lifecycle.Guarded("the lifespan"):
                kind, container = message["type"], _container.current()
                if kind == "lifespan.startup.complete":
                    self._host.is_told_to_stop = True
                elif _trace.root() is not None:
                    pass  # Mangum does this at every call of a function, which has a flush of its own
                elif container is not None and kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                    await _lifecycle.flushed(container, container.settings.flush_timeout)
            await send(message)

        return sent


class _Host(WebHost):
    is_told_to_stop = False  # until the application has answered the lifespan protocol

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Invocation:
        scope = args[0]
        headers = dict(reversed(list(islice(_headers(scope), _HEADERS_READ))))  # the first of each counts
        path, root = scope["path"], scope.get("root_path") or ""
        if not path.startswith(root):  # ASGI 2.3's servers left it out
            path = root + path
        return self.request(
            scope["method"],
            path,
            scope.get("scheme", "http"),
            lambda name: _text(headers.get(name.encode())),
            lambda: _route(scope, root),
            scope,
        )


class _Exchange:
    """One request's response on its way out. The invocation is closed once: by its last piece, its error or its end."""

    __slots__ = (
        *("_call", "_captured", "_cut", "_host", "_left", "_over", "_receive", "_send", "_status"),
        "_trailers",
    )

    def __init__(self, host: _Host, call: Call, receive: Receive, send: Send) -> None:
        self._host, self._call, self._receive, self._send = host, call, receive, send
        self._status: int | None = None
        self._trailers = False  # whether they come after the body
        self._left = -1  # bytes of the body that are to come, if that matters and is known
        self._over = self._cut = False
        self._captured = 0  # events so far, when it was over

    async def receive(self) -> Message:
        message = await self._receive()
        if not self._over and message.get("type") == "http.disconnect":
            self._cut = True
        return message

    async def send(self, message: Message) -> None:
        if not self._over:
            last, error = False, None
            with _lifecycle.Guarded("a response"):
                last = self._ends(message)
                if last and self._status is not None and self._status >= 500:
                    error = sys.exception()  # who answers from an except block: that says more than the status
            if last:
                await self.end(error if isinstance(error, Exception) else None)
        await self._send(message)

    def _ends(self, message: Message) -> bool:
        """Whether the client has the whole response with this message."""
        kind = message.get("type")
        if kind == "http.response.start":
            self._status, self._trailers = message.get("status"), bool(message.get("trailers"))
            if self._host.holds(self._call.invocation):  # then nothing may run after the last byte
                headers: Iterable[tuple[bytes, bytes]] = _headers(message)
                lengths = (value for name, value in headers if name.lower() == b"content-length")
                self._left = content_length(next(lengths, None)) or -1
            return False
        if kind == "http.response.trailers":
            return not message.get("more_trailers")
        if kind == "http.response.body" and self._left > 0:
            self._left = max(0, self._left - len(message.get("body") or b""))
        # The other two are extensions: https://asgi.readthedocs.io/en/latest/extensions.html
        return (
            kind in ("http.response.body", "http.response.zerocopysend", "http.response.pathsend")
            and not self._trailers
            and not (message.get("more_body") and self._left)
        )

    async def end(self, error: Exception | None) -> None:
        """Close the invocation; wait for the flush where nothing of ours runs after the response."""
        if not self._over:
            self._over = True
            report = self._close(error)
            with _lifecycle.Guarded("the flush"):
                if not self._call.hands_over(report, error):
                    report()
                    await self._call.flushed()
                self._captured = self._call.container.delivery.captured

    def afterwards(self) -> None:
        """The application is done with what it had to do after the response."""
        with _lifecycle.Guarded("the flush"):
            if self._call.container.delivery.captured != self._captured:  # by a background task, or for other requests
                self._flush_soon()

    def break_off(self, error: BaseException) -> None:
        """End what cannot wait, whatever the platform."""
        with _lifecycle.Guarded("the flush"):
            if not self._over:
                self._over = True
                self._close(error)()
            self._flush_soon()

    def _flush_soon(self) -> None:
        self._call.container.delivery.flush_soon(self._call.container.settings.flush_timeout)

    def _close(self, error: BaseException | None) -> Callable[[], None]:
        return self._call.close(error, Response(self._status, self._cut))


def _headers(said: Mapping[str, Any]) -> Iterable[tuple[bytes, bytes]]:
    """Those of a scope or a response; none if they can be read only once: that is for somebody else to do."""
    headers = said.get("headers")
    return headers if isinstance(headers, (list, tuple)) else ()


def _text(value: bytes | None) -> str | None:
    return None if value is None else bytes(value).decode("latin-1")


def _route(scope: Scope, root: str) -> str | None:
    """The route that was taken, as it stands in the code.

    FastAPI's and Starlette's routers leave it in the scope, but without the mounts that led to it, which have gone into
    root_path; FastAPI's included routers keep theirs with the prefix beside it. Django leaves nothing there.
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
