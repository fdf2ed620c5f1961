"""WSGI applications: Flask, Django, Bottle, under any server."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from . import _process
from . import settings as _settings
from ._base.guard import Guarded, contain
from ._observe import wrap
from ._observe.api import after_restore, before_snapshot
from ._observe.bodies import Body, Exchange
from ._observe.web import WebHost, django_route, go_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Unpack

    from ._observe.active import ActiveInvocation
    from ._platforms.platform import Hook
    from ._record.invocation import Invocation
    from .settings import SettingsKwargs

    Environ = dict[str, Any]
    Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

__all__ = ["ZespanMiddleware"]

_FORKING = frozenset(("gunicorn", "uwsgi", "mod_wsgi"))


class ZespanMiddleware:
    """Traces every request of a WSGI application, and delivers its events without holding its response::

        app.wsgi_app = ZespanMiddleware(app.wsgi_app)     # Flask
        application = ZespanMiddleware(application)       # anything else

    Takes every setting by keyword (see `Settings`); raises ConfigurationError for an unknown one.

    Streamed bodies pass through piece by piece; the request's event ends with the last piece. A thread sends the
    events. Where the platform gives CPU to requests only (Cloud Run by default, Lambda behind the Web Adapter), they
    are sent before the response ends, within `flush_timeout` seconds. `flush_mode="after_response"` turns that off.
    """

    def __init__(self, app: Application, **settings: Unpack[SettingsKwargs]) -> None:
        self.app = app
        arguments = _settings.check(settings)
        self._host = _Host(arguments)
        self._tracer = wrap.Tracer(self._host, arguments)
        with Guarded("the start of a server"):
            self._host.expect_threads(arguments)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._host.platform.has_hooks and (hook := self._hook(environ)) is not None:
            return self._announced(hook, environ, start_response)
        request = _Request(environ)
        active = self._tracer.open(request)
        if active is None:
            return self.app(environ, start_response)
        exchange = _Exchange(active, request, start_response)
        body: Iterable[bytes] = wrap.call(exchange, self.app, (environ, exchange.start_response), {})
        return body

    def _hook(self, environ: Environ) -> Hook | None:
        with Guarded("a hook of the platform"):
            return self._host.platform.hook(environ.get("PATH_INFO", ""), _header(environ))
        return None

    def _announced(self, hook: Hook, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Act on what the platform announces, and answer it where the application does not know it."""
        if hook == "restored":
            after_restore()
        elif hook == "resumed":
            go_on()
        started: list[Any] = []

        def keep(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
            started[:] = status, headers
            return body.append

        body: list[bytes] = []
        try:
            pieces = self.app(environ, keep)
            try:
                body += pieces
            finally:
                getattr(pieces, "close", bool)()
        finally:
            if hook == "snapshot":
                before_snapshot()
        if started and started[0][:3] in ("404", "405"):
            started, body = ["200 OK", [("Content-Length", "0")]], []
        start_response(*started)
        return body


class _Request:
    """A request, and the Flask rule that it has matched, once known."""

    __slots__ = ("environ", "rule")

    def __init__(self, environ: Environ) -> None:
        self.environ = environ
        self.rule: str | None = None


class _Host(WebHost[_Request]):
    def expect_threads(self, arguments: Mapping[str, Any]) -> None:
        """Prepare for SIGTERM now, in the main thread: many servers call applications in other threads only.

        Not under servers that fork after this: they tell their workers to end, which then act at exit.
        """
        elsewhere = self.platform.attributes.get("cloud.provider") in ("azure", "vercel")  # which do that themselves
        if not elsewhere and _FORKING.isdisjoint(sys.modules) and _settings.usable(_settings.resolve(arguments)):
            _process.watch()

    def subject(self, request: _Request) -> Environ:
        return request.environ

    def read(self, request: _Request) -> Invocation:
        environ = request.environ
        header = _header(environ)
        path = _decoded(f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}")
        method, scheme = environ.get("REQUEST_METHOD", "GET"), environ.get("wsgi.url_scheme", "http")
        return self.invocation(method, path, scheme, header, lambda: _route(request), environ)


class _Exchange(Exchange):
    def __init__(self, active: ActiveInvocation, request: _Request, start_response: Callable[..., Any]) -> None:
        Exchange.__init__(self, active, request.environ.get("REQUEST_METHOD", "GET"))
        self._request, self._environ, self._start_response = request, request.environ, start_response
        self._wrapped: object = None
        wrapper = self._environ.get("wsgi.file_wrapper")
        if wrapper is not None and not isinstance(wrapper, type):
            self._watch(wrapper)

    def _watch(self, wrapper: Callable[..., Any]) -> None:
        """Remember the last result of the server's wrapper of files, which is not a class for isinstance."""

        def file_wrapper(*args: Any, **kwargs: Any) -> Any:
            self._wrapped = wrapper(*args, **kwargs)
            return self._wrapped

        self._environ["wsgi.file_wrapper"] = file_wrapper

    def start_response(self, status: str, *args: Any, **kwargs: Any) -> Any:
        try:
            self._noted(int(status[:3]), *args, **kwargs)
        except Exception as failure:
            contain(failure, "the status of a response")
        return self._start_response(status, *args, **kwargs)

    def _noted(self, status: int, headers: Iterable[tuple[str, str]] = (), exc_info: Any = None) -> None:
        self.status = status
        request = self._environ.get("werkzeug.request")  # available now, and gone after Flask's request
        rule = getattr(getattr(request, "url_rule", None), "rule", None)
        if isinstance(rule, str):
            self._request.rule = rule
        if exc_info and isinstance(exc_info[1], Exception) and status >= 500:
            self.error = exc_info[1]
        self.announced(lambda: _length(headers))

    def follow(self, result: Any) -> Any:
        try:
            if not self._is_complete(result):
                return _SizedBody(result, self) if hasattr(result, "__len__") else Body(result, self)
        except Exception as failure:
            contain(failure, "a response")
        return result

    def _is_complete(self, body: object) -> bool:
        """Whether no application code runs while this body is read; then the server gets it unchanged."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        return (
            isinstance(body, (list, tuple, bytes))
            or (isinstance(wrapper, type) and isinstance(body, wrapper))
            or (body is self._wrapped and body is not None)
        )


class _SizedBody(Body):
    """A body with a length: for one piece, servers use its length as that of the response."""

    def __len__(self) -> int:
        return len(self.body)  # type: ignore[arg-type]


def _header(environ: Environ) -> Callable[[str], str | None]:
    """Gives a header of a request by its lower-case name."""

    def header(name: str) -> str | None:
        value = environ.get(_key(name))
        return value if isinstance(value, str) else None

    return header


@functools.lru_cache(maxsize=64)
def _key(name: str) -> str:
    """Return what a header is called in the environ. The names are those that this package asks for."""
    return "HTTP_" + name.upper().replace("-", "_")


def _length(headers: object) -> str | None:
    """Return the Content-Length header of a response; None if its headers are an iterator, which is for the server."""
    lines: Any = headers if isinstance(headers, (list, tuple)) else ()
    return next((value for name, value in lines if name.lower() == "content-length"), None)


def _decoded(path: str) -> str:
    """Decode a path, whose bytes WSGI passes as Latin-1: https://peps.python.org/pep-3333/#unicode-issues."""
    if path.isascii():
        return path
    try:
        return path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return path


def _route(request: _Request) -> str | None:
    """Return the matched route, as it is written in the code: Flask's rule, or Django's route."""
    environ = request.environ
    if request.rule is not None:
        return _decoded(environ.get("SCRIPT_NAME", "")) + request.rule
    return django_route("wsgi", _decoded(environ.get("PATH_INFO", "")) or "/")
