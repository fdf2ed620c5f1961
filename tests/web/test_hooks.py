"""Lifecycle hooks that platforms send to a web application, which need not know them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import zespan_serverless
from zespan_serverless import asgi, wsgi
from zespan_serverless.testing import Backend

PREFIX = "/aws/lambda-microvms/runtime/v1/"
IMAGE = {"AWS_LAMBDA_MICROVM_IMAGE_ARN": "arn:aws:lambda:eu-west-1:123456789012:microvm-image/chat"}
COMPUTE = {"FC_FUNCTION_NAME": "chat"}

Ask = Callable[[str], tuple[int, bytes]]
HTTP_TRIGGER = {"x-fc-control-path": "/http-invoke"}
"""What Function Compute adds to a client's request, and refuses from clients."""


def by_asgi() -> Ask:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        knows = scope["path"] in ("/chat", f"{PREFIX}validate")
        zespan_serverless.capture({"operation": scope["path"]})
        await send({"type": "http.response.start", "status": 200 if knows else 404, "headers": []})
        await send({"type": "http.response.body", "body": b"known" if knows else b"not found"})

    wrapped = asgi.ZespanMiddleware(app)

    def ask(path: str) -> tuple[int, bytes]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
        asyncio.run(wrapped(scope, receive, send))  # type: ignore[arg-type]
        return sent[0]["status"], b"".join(message["body"] for message in sent[1:])

    return ask


def by_wsgi() -> Ask:
    def app(environ: Any, start_response: Any) -> Any:
        knows = environ["PATH_INFO"] in ("/chat", f"{PREFIX}validate")
        zespan_serverless.capture({"operation": environ["PATH_INFO"]})
        start_response("200 OK" if knows else "404 Not Found", [])
        return [b"known" if knows else b"not found"]

    wrapped = wsgi.ZespanMiddleware(app)

    def ask(path: str) -> tuple[int, bytes]:
        started: list[str] = []
        body = wrapped({"REQUEST_METHOD": "POST", "PATH_INFO": path}, lambda status, headers: started.append(status))
        return int(started[0][:3]), b"".join(body)

    return ask


@pytest.mark.parametrize("make", [by_asgi, by_wsgi])
@pytest.mark.parametrize(
    ("environment", "suspend", "others"),
    [(IMAGE, f"{PREFIX}suspend", ["ready", "run", "resume", "terminate"]), (COMPUTE, "/pre-freeze", [])],
)
def test_hooks_are_answered_and_events_are_sent_before_a_process_stops(
    make: Callable[[], Ask],
    environment: dict[str, str],
    suspend: str,
    others: list[str],
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the hook is answered, everything has been sent, also what the application captures in it. An application
    that does not know a hook need not; one that does answers itself. Hooks have no events."""
    for name, value in {**environment, "ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_key"}.items():
        monkeypatch.setenv(name, value)
    ask = make()
    assert ask("/chat") == (200, b"known")
    assert ask(suspend) == (200, b"")
    assert {event["operation"] for event in backend.events} == {"/chat", suspend, "POST /chat"}
    assert [ask(f"{PREFIX}{name}") for name in others] == [(200, b"")] * len(others)
    if environment is IMAGE:
        assert ask(f"{PREFIX}validate") == (200, b"known")
    assert ask("/unknown") == (404, b"not found")


def asked_by_asgi(app: Any, path: str, headers: dict[str, str], log: list[str]) -> None:
    """Send a request, and log the status and the pieces as the client gets them."""

    async def send(message: dict[str, Any]) -> None:
        log.append(str(message["status"]) if "status" in message else message["body"].decode())

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    lines = [(name.encode(), headers[name].encode()) for name in headers]
    scope = {"type": "http", "method": "GET", "path": path, "headers": lines}
    asyncio.run(asgi.ZespanMiddleware(app)(scope, receive, send))  # type: ignore[arg-type]


def asked_by_wsgi(app: Any, path: str, headers: dict[str, str], log: list[str]) -> None:
    """Do the same with a WSGI application."""
    more = {f"HTTP_{name.upper().replace('-', '_')}": headers[name] for name in headers}
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, **more}
    body = wsgi.ZespanMiddleware(app)(environ, lambda status, headers: log.append(status[:3]))
    log.extend(piece.decode() for piece in body)


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize(("path", "status"), [("/initialize", "200"), ("/pre-freeze", "404"), ("/pre-stop", "404")])
def test_a_request_of_a_client_is_no_hook(
    kind: str, path: str, status: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Function Compute a client may ask for the path of a hook: the response is streamed and stays as it is, and the
    request has an event."""
    for name, value in {**COMPUTE, "ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_key"}.items():
        monkeypatch.setenv(name, value)
    log: list[str] = []

    async def by_pieces(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": int(status), "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        log.append("between")
        await send({"type": "http.response.body", "body": b"two"})

    def pieces(environ: Any, start_response: Any) -> Any:
        start_response(f"{status} Text", [])
        yield b"one"
        log.append("between")
        yield b"two"

    if kind == "asgi":
        asked_by_asgi(by_pieces, path, HTTP_TRIGGER, log)
    else:
        asked_by_wsgi(pieces, path, HTTP_TRIGGER, log)
    assert log == [status, "one", "between", "two"]
    zespan_serverless.flush(5)
    assert [event["operation"] for event in backend.events] == [f"GET {path}"]


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_an_error_in_a_hook_stays_as_it_is(kind: str, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in a hook propagates, after the response that the application has sent; and events are sent."""
    for name, value in {**COMPUTE, "ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_key"}.items():
        monkeypatch.setenv(name, value)
    log: list[str] = []

    async def sends(scope: Any, receive: Any, send: Any) -> None:
        zespan_serverless.capture({"operation": "stopping"})
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"sorry"})
        raise ValueError("made up")

    def fails(environ: Any, start_response: Any) -> Any:
        zespan_serverless.capture({"operation": "stopping"})
        raise ValueError("made up")

    zespan_serverless.init()
    ask, app = (asked_by_asgi, sends) if kind == "asgi" else (asked_by_wsgi, fails)
    with pytest.raises(ValueError, match="made up"):
        ask(app, "/pre-stop", {}, log)
    assert log == (["500", "sorry"] if kind == "asgi" else [])
    assert [event["operation"] for event in backend.events] == ["stopping"]


def test_a_hook_may_pass_exc_info_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """`start_response` of a hook takes the name that PEP 3333 gives its third argument."""
    monkeypatch.setenv("FC_FUNCTION_NAME", "chat")
    log: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [], exc_info=None)
        return [b"done"]

    asked_by_wsgi(app, "/pre-stop", {}, log)
    assert log == ["200", "done"]
