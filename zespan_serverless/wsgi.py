"""WSGI applications: Flask, Django, Bottle, under any server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _lifecycle, _settings, _trace
from ._web import WebHost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ._invocation import Invocation
    from ._lifecycle import Call

    Environ = dict[str, Any]
    Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

__all__ = ["ZespanMiddleware"]


class ZespanMiddleware:
    """Traces every request of a WSGI application, and delivers its events without holding its response.

        app.wsgi_app = ZespanMiddleware(app.wsgi_app)     # Flask
        application = ZespanMiddleware(application)       # anything else

    Takes every setting by keyword (see `Settings`); raises ConfigurationError for one that does not exist.

    Streamed bodies pass through piece by piece; the request's event ends with the last piece. Events are sent by a
    thread; where the platform gives CPU to requests only (Cloud Run by default, Lambda behind the Web Adapter) they are
    sent before the response ends, in `flush_timeout` seconds at most: `flush_mode="after_response"` says that it need
    not wait.
    """

    def __init__(self, app: Application, **settings: Any) -> None:
        self.app = app
        self._arguments = _settings.check(settings)
        self._host = _Host()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        call = _lifecycle.enter(self._host, self._arguments, (environ,), {})
        if call is None:
            return self.app(environ, start_response)
        exchange = _Exchange(call, start_response)
        try:
            body = self.app(environ, exchange.start_response)
        except BaseException as error:
            call.reset()
            exchange.end(error)
            raise
        call.reset()
        if _is_complete(body, environ):
            exchange.end(None)
            return body
        return _Body(body, exchange)


class _Host(WebHost):
    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Invocation:
        environ = args[0]

        def header(name: str) -> str | None:
            value = environ.get("HTTP_" + name.upper().replace("-", "_"))
            return value if isinstance(value, str) else None

        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        method, scheme = environ.get("REQUEST_METHOD", "GET"), environ.get("wsgi.url_scheme", "http")
        return self.request(method, path, scheme, header, lambda: _route(environ))


class _Exchange:
    """One request's response. The invocation is closed once: by the end of the body, or by an error."""

    def __init__(self, call: Call, start_response: Callable[..., Any]) -> None:
        self.call, self._start_response = call, start_response
        self._status: int | None = None
        self._over = False

    def start_response(self, status: str, *args: Any, **kwargs: Any) -> Any:
        with _lifecycle.Guarded("the status of a response"):
            self._status = int(status[:3])
        return self._start_response(status, *args, **kwargs)

    def end(self, error: BaseException | None) -> None:
        if not self._over:
            self._over = True
            self.call.settle(self.call.close(error, self._status), error)


class _Body:
    """A streamed body: what its pieces are made of happens in the request's trace, and its end is the request's."""

    def __init__(self, body: Iterable[bytes], exchange: _Exchange) -> None:
        self._body, self._exchange = body, exchange
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = _trace.enter(self._exchange.call.span)
        try:
            if self._pieces is None:
                self._pieces = iter(self._body)
            return next(self._pieces)
        except StopIteration:
            self._exchange.end(None)
            raise
        except BaseException as error:
            self._exchange.end(error)
            raise
        finally:
            _trace.leave(token)

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        token = _trace.enter(self._exchange.call.span)
        try:
            if close is not None:
                close()
        except BaseException as error:
            self._exchange.end(error)
            raise
        finally:
            _trace.leave(token)
        self._exchange.end(None)

    def __del__(self) -> None:
        self._exchange.end(None)  # of a server that forgets to close what nobody reads to its end


def _is_complete(body: object, environ: Environ) -> bool:
    """Whether nothing of the application runs any more while this body is read; then the server gets it as it is."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(body, (list, tuple, bytes)) or (isinstance(wrapper, type) and isinstance(body, wrapper))


def _route(environ: Environ) -> object:
    """The rule that Flask has found, if it tells: under `flask.Flask` it is in no place that WSGI knows of."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return getattr(rule, "rule", None)
