"""What `test_never_harm` needs: every host as a row of one table, and a way to make any function of ours fail."""

from __future__ import annotations

import asyncio
import functools
import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace
from typing import Any, NamedTuple

import zespan_serverless
from zespan_serverless import (
    asgi,
    run,
    span,
    testing,
    traced_records,
    with_context,
    wsgi,
    zespan_azure,
    zespan_cloud_event,
    zespan_gcf,
    zespan_job,
    zespan_lambda,
    zespan_vercel,
)

Work = Callable[[], Any]
Serve = Callable[[], Any]
Host = Callable[[Work], Serve]

PACKAGE = str(Path(zespan_serverless.__file__).parent)
EVENT = {"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": "{}"}]}
CONTEXT = testing.LambdaContext(timeout=1e6)
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


# ---------------------------------------------------------------------- hosts: they call the work once, as theirs do


def _lambda(work: Work) -> Serve:
    handler = zespan_lambda(lambda event, context: work())
    return lambda: handler(EVENT, CONTEXT)


def _lambda_async(work: Work) -> Serve:
    @zespan_lambda(flush_mode="before_return")
    async def handler(event: object, context: object) -> Any:
        await asyncio.sleep(0)
        return work()

    return lambda: handler(EVENT, CONTEXT)


def _lambda_awaited(work: Work) -> Serve:
    @zespan_lambda
    async def handler(event: object, context: object) -> Any:
        return work()

    async def test() -> Any:
        return await handler(EVENT, CONTEXT)

    return lambda: asyncio.run(test())


def _lambda_records(work: Work) -> Serve:
    @zespan_lambda
    def handler(event: object, context: object) -> Any:
        results = [work() for _ in traced_records(EVENT)]
        assert len(results) == 1
        return results[0]

    return lambda: handler(EVENT, CONTEXT)


def _steps(work: Work) -> Serve:
    @zespan_lambda
    def handler(event: object, context: object) -> Any:
        with with_context(user_id="u", tags={"a": "b"}), span("step") as details:
            details["a"] = 1
            zespan_serverless.capture({"operation": "x"})
            zespan_serverless.traceparent()
            return work()

    return lambda: handler(EVENT, CONTEXT)


def _asgi(work: Work, wrap: Callable[[Any], Any] = asgi.ZespanMiddleware, *, streams: bool = False) -> Serve:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        if streams:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        result = work()
        if not streams:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": b"x", "result": result})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"host", b"example.com"), (b"traceparent", TRACEPARENT.encode())]
    scope = {"type": "http", "method": "GET", "path": "/a", "headers": headers}
    wrapped = wrap(app)

    def serve() -> Any:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(wrapped(dict(scope), receive, send))
        assert [one["type"] for one in sent] == ["http.response.start", *["http.response.body"] * (1 + streams)]
        return sent[-1]["result"]

    return serve


def _wsgi(work: Work, wrap: Callable[[Any], Any] = wsgi.ZespanMiddleware, *, streams: bool = False) -> Serve:
    def pieces() -> Iterator[Any]:
        yield b"x"
        yield work()

    def app(environ: Any, start_response: Callable[..., Any]) -> Any:
        result = pieces() if streams else [b"x", work()]
        start_response("200 OK", [("Content-Length", "1")])
        return result

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "HTTP_HOST": "h", "HTTP_TRACEPARENT": TRACEPARENT}
    wrapped = wrap(app)

    def serve() -> Any:
        started: list[str] = []
        body = wrapped(dict(environ), lambda status, headers: started.append(status))
        try:
            result = list(body)
        finally:
            if hasattr(body, "close"):
                body.close()
        assert started == ["200 OK"]
        assert result[0] == b"x"
        return result[1]

    return serve


class _Request:
    """As Flask's, of which functions are given a proxy."""

    method, path, scheme, headers = "GET", "/a", "https", {"host": "h", "traceparent": TRACEPARENT}


class _CloudEvent:
    def __init__(self) -> None:
        self.data = {"message": {"data": "eA=="}}

    def get_attributes(self) -> dict[str, str]:
        return {"id": "1", "type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub/topics/t"}


def _google(work: Work) -> Serve:
    function: Any = zespan_gcf(lambda request: work())
    return lambda: function(_Request())


def _google_async(work: Work) -> Serve:
    @zespan_gcf(flush_timeout=0.5)
    async def function(request: object) -> Any:
        return work()

    return lambda: asyncio.run(function(_Request()))


def _google_streamed(work: Work) -> Serve:
    @zespan_gcf
    def function(request: object) -> Iterator[Any]:
        yield b"x"
        yield work()

    return lambda: list(function(_Request()))[1]


def _google_event(work: Work) -> Serve:
    function: Any = zespan_cloud_event(lambda event: work())
    return lambda: function(_CloudEvent())


def _google_job(work: Work) -> Serve:
    return zespan_job(lambda: work())


def _azure(work: Work) -> Serve:
    @zespan_azure
    def function(req: object) -> Any:
        return work()

    context = SimpleNamespace(
        function_name="f", invocation_id="i", trace_context=SimpleNamespace(trace_parent=TRACEPARENT)
    )
    return lambda: function(req=_Request(), context=context)  # type: ignore[call-arg]


def _azure_async(work: Work) -> Serve:
    @zespan_azure(flush_mode="before_return")
    async def function(req: object) -> Any:
        return work()

    return lambda: asyncio.run(function(req=_Request(), context=None))  # type: ignore[call-arg]


def _vercel(work: Work) -> Serve:
    @zespan_vercel
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> Any:
            self.send_response(200)
            self.end_headers()
            return work()

        def log_message(self, format: str, *args: Any) -> None: ...

    def serve() -> Any:
        request = Handler.__new__(Handler)
        request.command, request.path, request.headers = "GET", "/a", Message()
        request.request_version, request.requestline, request.close_connection = "HTTP/1.1", "GET /a HTTP/1.1", True
        request.wfile = io.BytesIO()
        return request.do_GET()

    return serve


def _script(work: Work) -> Serve:
    def serve() -> Any:
        with run("script"):
            return work()

    return serve


def _script_function(work: Work) -> Serve:
    return run(lambda: work())


def _script_async(work: Work) -> Serve:
    @run("script")
    async def main() -> Any:
        return work()

    return lambda: asyncio.run(main())


def _by_hand(work: Work) -> Serve:
    def serve() -> Any:
        try:
            return work()
        finally:
            zespan_serverless.capture({"operation": "x"})
            zespan_serverless.flush()

    zespan_serverless.init()
    return serve


HOSTS: dict[str, Host] = {
    "lambda": _lambda,
    "lambda async": _lambda_async,
    "lambda awaited": _lambda_awaited,
    "lambda records": _lambda_records,
    "lambda steps": _steps,
    "asgi": _asgi,
    "asgi streamed": functools.partial(_asgi, streams=True),
    "wsgi": _wsgi,
    "wsgi streamed": functools.partial(_wsgi, streams=True),
    "google": _google,
    "google async": _google_async,
    "google streamed": _google_streamed,
    "google event": _google_event,
    "google job": _google_job,
    "azure": _azure,
    "azure async": _azure_async,
    "vercel class": _vercel,
    "vercel asgi": functools.partial(_asgi, wrap=zespan_vercel),
    "vercel wsgi": functools.partial(_wsgi, wrap=zespan_vercel),
    "run": _script,
    "run function": _script_function,
    "run async": _script_async,
    "by hand": _by_hand,
}
"""A host that comes adds its line: what serves one request, whose work this is, as its platform does."""


# ---------------------------------------------------------------------- what they came to


class Came(NamedTuple):
    """What came out of one request, and how often the work was done."""

    result: Any
    error: BaseException | None
    calls: int
    seconds: float


def came(host: Host, work: Work, *, struck: Callable[[], AbstractContextManager[None]] = nullcontext) -> Came:
    """`struck` is in force while the request is served, not while the function is decorated."""
    calls = []

    def once() -> Any:
        calls.append(1)
        return work()

    serve = host(once)
    began, result, error = time.monotonic(), None, None
    try:
        with struck():
            result = serve()
    except BaseException as raised:
        error = raised
    return Came(result, error, len(calls), time.monotonic() - began)


# ---------------------------------------------------------------------- failures of ours


class Ours(NamedTuple):
    """One function of the package: where it begins."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.name}"


def ours(code: CodeType) -> Ours | None:
    if not code.co_filename.startswith(PACKAGE) or code.co_name == "<module>":
        return None
    return Ours(code.co_filename.removeprefix(PACKAGE + "/"), code.co_firstlineno, code.co_qualname)


class Used(NamedTuple):
    """The functions of ours that a request calls.

    `in_the_way`: without them the user's function is not called, or not returned from. `here`: all others that the
    thread calls that serves the request; `elsewhere`: what only other threads call.
    """

    in_the_way: set[Ours]
    here: set[Ours]
    elsewhere: set[Ours]


def used(host: Host, work: Work) -> Used:
    here: set[Ours] = set()
    elsewhere: set[Ours] = set()
    in_the_way: set[Ours] = set()
    me = threading.get_ident()

    def profile(frame: FrameType, event: str, arg: object) -> None:
        function = ours(frame.f_code) if event == "call" else None
        if function is not None:
            (here if threading.get_ident() == me else elsewhere).add(function)

    def watched() -> Any:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            function = ours(frame.f_code)
            if function is not None:
                in_the_way.add(function)
            frame = frame.f_back
        return work()

    @contextmanager
    def profiled() -> Iterator[None]:
        threading.setprofile(profile)
        sys.setprofile(profile)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    came(host, watched, struck=profiled)
    return Used(in_the_way, here - in_the_way, elsewhere - here - in_the_way)


@contextmanager
def struck(function: Ours, strike: Callable[[], object]) -> Iterator[None]:
    """Have a function of ours do this when it is called, in whatever thread; an exception is then its own."""

    def trace(frame: FrameType, event: str, arg: object) -> None:
        if frame.f_code.co_firstlineno == function.line and ours(frame.f_code) == function:
            strike()

    threading.settrace(trace)
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)
