"""The work of a web request, counted, so that it does not depend on the machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from zespan_serverless import asgi, wsgi
from zespan_serverless.testing import Backend

# Calls of Python functions per request, of which 157 and 152 are counted under Python 3.11, and a sixth more.
ASGI_CALLS, WSGI_CALLS = 185, 180
REQUESTS, ROUNDS = 50, 3


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def _wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("content-length", "2")])
    return [b"ok"]


async def _nothing(message: Any = None) -> dict[str, Any]:
    return {"type": "http.request"}


def _asgi_requests(app: Any) -> None:
    headers = [(b"host", b"localhost"), (b"user-agent", b"curl/8.1"), (b"accept", b"*/*")]
    scope = {"type": "http", "method": "GET", "path": "/things/1", "headers": headers, "scheme": "http"}

    async def serve() -> None:
        for _ in range(REQUESTS):
            await app(dict(scope), _nothing, _nothing)

    asyncio.run(serve())


def _wsgi_requests(app: Any) -> None:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/things/1", "HTTP_HOST": "localhost", "HTTP_USER_AGENT": "curl"}
    for _ in range(REQUESTS):
        app(dict(environ), lambda *arguments: None)


def _fewest(requests: Callable[[Any], None], app: Any) -> float:
    """Return the calls of Python functions in this thread, per request, of the round with the fewest: a thread that
    meets the sender at a lock makes more."""
    return min(_counted(requests, app) for _ in range(ROUNDS))


def _counted(requests: Callable[[Any], None], app: Any) -> float:
    count, before = 0, sys.getprofile()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        requests(app)
    finally:
        sys.setprofile(before)
    return count / REQUESTS


def test_a_request_of_asgi_makes_few_calls(backend: Backend) -> None:
    """The middleware adds a limited number of calls to those of the application, in the thread that serves it."""
    traced = asgi.ZespanMiddleware(_app, api_key="zsp_test", base_url=backend.url)
    _asgi_requests(traced)  # the first request imports
    added = _fewest(_asgi_requests, traced) - _fewest(_asgi_requests, _app)
    assert 0 < added <= ASGI_CALLS
    assert len(backend.wait_for((1 + ROUNDS) * REQUESTS)) == (1 + ROUNDS) * REQUESTS


def test_a_request_of_wsgi_makes_few_calls(backend: Backend) -> None:
    """The same for WSGI."""
    traced = wsgi.ZespanMiddleware(_wsgi, api_key="zsp_test", base_url=backend.url)
    _wsgi_requests(traced)
    added = _fewest(_wsgi_requests, traced) - _fewest(_wsgi_requests, _wsgi)
    assert 0 < added <= WSGI_CALLS
    assert len(backend.wait_for((1 + ROUNDS) * REQUESTS)) == (1 + ROUNDS) * REQUESTS
