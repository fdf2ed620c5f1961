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
