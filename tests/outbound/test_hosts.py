"""What a caller hands on reaches what the function calls, on every host."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import azure.functions
import flask
import pytest

from tests.support import SPAN, TRACE
from zespan_serverless import run, testing, trace_headers, zespan_azure, zespan_gcf, zespan_lambda, zespan_vercel
from zespan_serverless.asgi import ZespanMiddleware as Asgi
from zespan_serverless.wsgi import ZespanMiddleware as Wsgi

LINES = [
    ("traceparent", f"00-{TRACE}-{SPAN}-02"),
    ("tracestate", "a=1"),
    ("baggage", "user=ada"),
    ("tracestate", "b=2"),
    ("baggage", "plan=pro;x"),
]
JOINED = {"traceparent": f"00-{TRACE}-{SPAN}-02", "tracestate": "a=1,b=2", "baggage": "user=ada,plan=pro;x"}


def by_asgi() -> dict[str, str]:
    found: dict[str, str] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(trace_headers())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nothing(*_: object) -> Any: ...

    headers = [(name.encode(), text.encode()) for name, text in LINES]
    asyncio.run(Asgi(app)({"type": "http", "method": "GET", "path": "/", "headers": headers}, nothing, nothing))
    return found


def by_wsgi() -> dict[str, str]:
    found: dict[str, str] = {}

    def app(environ: Any, start_response: Any) -> list[bytes]:
        found.update(trace_headers())
        start_response("200 OK", [])
        return []

    environ = {f"HTTP_{name.upper()}": text for name, text in JOINED.items()}
    list(Wsgi(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/", **environ}, lambda *_: lambda data: None))
    return found


def by_vercel() -> dict[str, str]:
    found: dict[str, str] = {}

    @zespan_vercel
    class handler(BaseHTTPRequestHandler):  # noqa: N801
        def do_GET(self) -> None:
            found.update(trace_headers())
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        client = http.client.HTTPConnection(*server.server_address[:2])  # type: ignore[arg-type]
        client.putrequest("GET", "/")
        for name, text in LINES:
            client.putheader(name, text)
        client.endheaders()
        client.getresponse().read()
        client.close()
        thread.join()
    return found


def by_google() -> dict[str, str]:
    @zespan_gcf
    def function(request: flask.Request) -> Any:
        return trace_headers()

    app = flask.Flask(__name__)
    app.add_url_rule("/", view_func=lambda: function(flask.request))
    answer: Any = app.test_client().get("/", headers=JOINED).json
    return dict(answer)


def by_azure() -> dict[str, str]:
    @zespan_azure
    def function(req: azure.functions.HttpRequest, context: Any) -> dict[str, str]:
        return trace_headers()

    context = testing.AzureContext("f", traceparent=JOINED["traceparent"])
    context.trace_context.trace_state = JOINED["tracestate"]
    found: dict[str, str] = function(azure.functions.HttpRequest("GET", "https://x/", body=b""), context)
    return {**found, "baggage": JOINED["baggage"]}  # Azure's host hands none on


def by_lambda() -> dict[str, str]:
    @zespan_lambda
    def handler(event: object, context: object) -> dict[str, str]:
        return trace_headers()

    lines: dict[str, list[str]] = {}
    for name, text in LINES:
        lines.setdefault(name, []).append(text)
    event = {"headers": dict(LINES), "multiValueHeaders": lines}
    found: dict[str, str] = handler(event, testing.LambdaContext())
    return found


def by_client_context() -> dict[str, str]:
    @zespan_lambda
    def handler(event: object, context: object) -> dict[str, str]:
        return trace_headers()

    context: Any = testing.LambdaContext()
    context.w3c = lambda: dict(JOINED)
    found: dict[str, str] = handler({}, context)
    return found


def by_environment() -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, text in JOINED.items():
            patch.setenv(name.upper(), text)
        with run("digest"):
            return trace_headers()


@pytest.fixture(autouse=True)
def recorded() -> Iterator[list[Any]]:
    with testing.recording() as events:
        yield events


@pytest.mark.parametrize(
    "host",
    [by_asgi, by_wsgi, by_vercel, by_google, by_azure, by_lambda, by_client_context, by_environment],
    ids=lambda host: host.__name__,
)
def test_what_a_caller_hands_on_goes_on(host: Callable[[], dict[str, str]], recorded: list[Any]) -> None:
    """Trace, random flag, state and baggage; and the root event says that the caller does not sample."""
    found = host()
    (root,) = recorded
    assert found == {**JOINED, "traceparent": f"00-{TRACE}-{root['span_id']}-03"}
    assert root["parent_span_id"] == SPAN
    assert root["metadata"]["trace.sampled_by_caller"] is False
    assert not any(text in str(root) for text in ("user=", "plan=", "a=1"))
