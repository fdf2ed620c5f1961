"""ASGI applications: FastAPI, Starlette, Django, Quart, under any server."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from . import _container, _lifecycle, _settings
from ._web import WebHost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping

    from ._invocation import Invocation
    from ._lifecycle import Call

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["ZespanMiddleware"]

_HEADERS_READ = 512
# What ends a response; the last two are extensions (https://asgi.readthedocs.io/en/latest/extensions.html).
_LAST = ("http.response.body", "http.response.zerocopysend", "http.response.pathsend")


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

    def __init__(self, app: Application, **settings: Any) -> None:
        self.app = app
        self._arguments = _settings.check(settings)
        self._host = _Host()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, _flushing(send))
        else:
            await self.app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = _lifecycle.enter(self._host, self._arguments, (scope,), {})
        if call is None:
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(call, send)
        try:
            await self.app(scope, receive, exchange.send)
        except Exception as error:
            await exchange.end(error)
            raise
        except BaseException as error:  # cancelled: there is no waiting any more
            exchange.cut(error)
            raise
        else:
            await exchange.end(None)
        finally:
            call.reset()


class _Host(WebHost):
    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Invocation:
        scope = args[0]
        headers: Iterable[tuple[bytes, bytes]] = scope.get("headers") or ()

        def header(name: str) -> str | None:
            wanted = name.encode()
            for key, value in islice(headers, _HEADERS_READ):
                if key == wanted:
                    return bytes(value).decode("latin-1")
            return None

        def route() -> object:  # FastAPI's and Starlette's router puts it there
            return getattr(scope.get("route"), "path", None)

        path = f"{scope.get('root_path', '')}{scope['path']}" if _is_cut(scope) else scope["path"]
        return self.request(scope["method"], path, scope.get("scheme", "http"), header, route)


class _Exchange:
    """One request's response on its way out. The invocation is closed once: by its last piece, its error or its end."""

    def __init__(self, call: Call, send: Send) -> None:
        self._call, self._send = call, send
        self._status: int | None = None
        self._over = False

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message.get("status")
        elif kind in _LAST and not message.get("more_body"):
            await self.end(None)
        await self._send(message)

    async def end(self, error: Exception | None) -> None:
        """Close the invocation; wait for the flush where nothing of ours runs after the response."""
        if not self._over:
            self._over = True
            report = self._call.close(error, self._status)
            with _lifecycle.Guarded("the flush"):
                if not self._call.hands_over(report, error):
                    report()
                    await self._call.flushed()

    def cut(self, error: BaseException) -> None:
        if not self._over:
            self._over = True
            report = self._call.close(error, self._status)
            with _lifecycle.Guarded("the flush"):
                report()
                self._call.container.delivery.flush_soon(self._call.container.settings.flush_timeout)


def _flushing(send: Send) -> Send:
    """`send` of a lifespan: when the application is done with its shutdown, what is left is sent."""

    async def sent(message: Message) -> None:
        container = _container.current()
        if container is not None and str(message["type"]).startswith("lifespan.shutdown."):
            with _lifecycle.Guarded("the shutdown"):
                await _lifecycle.flushed(container, container.settings.flush_timeout)
        await send(message)

    return sent


def _is_cut(scope: Scope) -> bool:
    """Whether the server has left root_path out of path, as ASGI 2.3's did."""
    root = scope.get("root_path") or ""
    return bool(root) and not scope["path"].startswith(root)
