"""What applications do besides answering: routes, files, websockets, a start that fails, handlers of their own."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import below, until
from tests.web.support import APPS, Server, named
from zespan_serverless.testing import Backend

Start = Callable[..., Server]

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def ingest() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def fastapi(ingest: Backend) -> Iterator[Server]:
    with Server("uvicorn", "fastapi_app:app", {"ZESPAN_BASE_URL": ingest.url}) as server:
        yield server


@pytest.fixture(scope="module")
def flask(ingest: Backend) -> Iterator[Server]:
    with Server("gunicorn gthread", "flask_app:app", {"ZESPAN_BASE_URL": ingest.url}) as server:
        yield server


def route(server: Server, ingest: Backend, path: str) -> str | None:
    """Return the route that the event of a request for a path has."""
    server.ask(path)
    until(lambda: named(ingest.events, path))
    found: str | None = named(ingest.events, path)[0]["metadata"].get("http.route")
    return found


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/items/3", "/v1/items/{number}"),
        ("/part/3", "/part/{number}"),
        ("/inner/acme/hello/3", "/inner/{tenant}/hello/{name}"),
        ("/nowhere", None),
    ],
)
def test_routes_of_fastapi_and_starlette(fastapi: Server, ingest: Backend, path: str, expected: str | None) -> None:
    """With the prefixes of included routers and mounts: what is the same for every request, and no more."""
    assert route(fastapi, ingest, path) == expected


@pytest.mark.parametrize(("path", "expected"), [("/items/3", "/items/<int:number>"), ("/nowhere", None)])
def test_routes_of_flask(flask: Server, ingest: Backend, path: str, expected: str | None) -> None:
    """With the prefix of a blueprint, though Flask takes its request out of the environ at its end."""
    assert route(flask, ingest, path) == expected


def test_routes_of_django(start: Start, backend: Backend) -> None:
    """Included and regular-expression routes, by ASGI."""
    server = start("uvicorn", "django_app:asgi", BY_ASGI="1")
    assert route(server, backend, "/items/3") == "/items/<int:number>"
    assert route(server, backend, "/year/2026") == r"/^year/(?P<year>\d{4})$"
    assert route(server, backend, "/nowhere") is None


def test_an_answered_exception_is_named(fastapi: Server, ingest: Backend) -> None:
    """FastAPI makes a 503 of an HTTPException; its event has both."""
    assert fastapi.ask("/unavailable").status == 503
    until(lambda: named(ingest.events, "/unavailable"))
    (root,) = named(ingest.events, "/unavailable")
    assert (root["status"], root["metadata"]["http.response.status_code"]) == ("error", 503)
    assert (root["metadata"]["error.type"], root["error_message"]) == ("HTTPException", "503: later")


@pytest.mark.parametrize("name", ["fastapi", "flask"])
def test_background_work_is_in_the_requests_trace(name: str, request: pytest.FixtureRequest, ingest: Backend) -> None:
    """Starlette's background tasks and Flask's call_on_close are in the request's trace, and sent soon after it."""
    found = len(named(ingest.events, "/background"))
    assert request.getfixturevalue(name).ask("/background").status == 200
    until(lambda: len(named(ingest.events, "/background")) == found + 1, 3)
    root = named(ingest.events, "/background")[found]
    until(lambda: below(root, ingest.events), 3)  # flush_interval, which sends without a flush, is 5 s
    assert [event["operation"] for event in below(root, ingest.events)] == ["after"]


def test_a_file_is_sent_by_the_server_itself(flask: Server, ingest: Backend) -> None:
    """gunicorn gets its own kind of file, and the client all of it."""
    assert flask.ask("/file").body == (APPS / "flask_app.py").read_bytes()
    until(lambda: named(ingest.events, "/file"))


def test_websockets_pass_without_an_event(fastapi: Server, ingest: Backend) -> None:
    """A real handshake, a message in each direction, and no event."""
    with socket.create_connection(("127.0.0.1", fastapi.port), 5) as connection:
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall(
            f"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        stream = connection.makefile("rb")
        assert b"101" in stream.readline()
        while stream.readline().strip():
            pass
        mask = b"\1\2\3\4"
        connection.sendall(b"\x81\x82" + mask + bytes(b ^ m for b, m in zip(b"hi", mask, strict=False)))
        assert stream.read(4) == b"\x81\x02hi"
        stream.close()
    assert named(ingest.events, "/echo") == []


def test_pipelined_requests_have_events_of_their_own(fastapi: Server, ingest: Backend) -> None:
    """A server may start the second in the context of the first, whose trace is not its own."""
    with socket.create_connection(("127.0.0.1", fastapi.port), 5) as connection:
        ask = "GET /hello/p{} HTTP/1.1\r\nHost: x\r\n\r\n"
        last = "GET /hello/p2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        connection.sendall((ask.format(0) + ask.format(1) + last).encode())
        with connection.makefile("rb") as stream:
            assert stream.read().count(b"200 OK") == 3
    until(lambda: all(named(ingest.events, f"/hello/p{number}") for number in range(3)))
    assert len({named(ingest.events, f"/hello/p{number}")[0]["trace_id"] for number in range(3)}) == 3


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_an_application_that_cannot_start(server: str) -> None:
    """The server gives up as it does without us."""
    codes = []
    for traced in ("1", "0"):
        failing = Server(server, "broken_app:app", {"TRACED": traced})
        with pytest.raises(RuntimeError, match="cannot start"), failing:
            pass
        failing.terminate()
        codes.append(failing.wait().code)
        failing.__exit__()
    assert codes[0] == codes[1]


@pytest.mark.parametrize("server", ["uvicorn", "uvicorn, 2 workers", "gunicorn UvicornWorker"])
def test_the_users_own_signal_handler_runs(start: Start, backend: Backend, tmp_path: Path, server: str) -> None:
    """It runs, the server stops, and what was buffered is sent."""
    running = start(server, "fastapi_app:app", ZESPAN_FLUSH_INTERVAL="3600")
    running.ask("/hello/first")
    running.ask(f"/handler?gate={tmp_path}")
    running.terminate()
    assert running.wait().code is not None
    assert (tmp_path / "mine").exists()
    assert named(backend.events, "/hello/first")
    assert [e for e in backend.events if e["operation"] == "shutdown"]  # the lifespan's


@pytest.mark.parametrize("server", ["gunicorn --preload", "gunicorn gevent", "gunicorn gthread"])
def test_telemetry_started_before_the_fork(start: Start, backend: Backend, server: str) -> None:
    """Workers send their own events, and the one of the import arrives once for each time that there was one."""
    running = start(server, "broken_app:early", EARLY="1")
    for number in range(3):
        running.ask(f"/hello/{number}")
    until(lambda: all(named(backend.events, f"/hello/{number}") for number in range(3)))
    running.terminate()
    assert running.wait().code == 0
    assert len([e for e in backend.events if e["operation"] == "imported"]) == 1
