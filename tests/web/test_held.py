"""Where the CPU goes with the response: on request-billed Cloud Run, and behind the Lambda Web Adapter."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts import Cell, Situation
from tests.support import below, until
from tests.web.support import Server, named, pieces
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host


CLOUD_RUN = {"K_SERVICE": "chat", "K_REVISION": "chat-00007-abc"}
LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "chat", "AWS_LAMBDA_FUNCTION_VERSION": "7"}
SERVERS = [("uvicorn", "fastapi_app:app", "FastAPI"), ("gunicorn gthread", "flask_app:app", "Flask")]
PLATFORMS = [("Cloud Run, request-billed", CLOUD_RUN), ("Lambda Web Adapter", LAMBDA)]


def context(seconds: float = 30) -> str:
    """The Web Adapter's header: https://github.com/awslabs/aws-lambda-web-adapter#request-context-and-lambda-context."""
    return json.dumps({"request_id": "req-1", "deadline": round((time.time() + seconds) * 1000), "env_config": {}})


@pytest.fixture(scope="module")
def ingest() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture(
    params=[(*platform, *server) for platform in PLATFORMS for server in SERVERS],
    ids=lambda param: f"{param[0]}, {param[2]} ({param[4]})",
    scope="module",
)
def held(request: pytest.FixtureRequest, ingest: Backend) -> Iterator[tuple[str, Server]]:
    platform, env, server, app, framework = request.param
    with Server(server, app, {**env, "ZESPAN_BASE_URL": ingest.url, "ZESPAN_FLUSH_TIMEOUT": "1"}) as running:
        yield f"{platform}, {server} ({framework})", running


@pytest.mark.parametrize("path", ["/hello", "/sync", "/fail"])
def test_the_response_ends_when_its_events_are_there(
    held: tuple[str, Server], ingest: Backend, cell: Cell, path: str
) -> None:
    """When the client has the whole response, the backend has all of the request's events."""
    host, server = held
    kind = path
    if path != "/fail":
        path = f"{path}/held"
    found = len(named(ingest.events, path))
    for number in range(1, 6):
        server.ask(path, x_amzn_lambda_context=context())
        assert len(named(ingest.events, path)) == found + number
    root = named(ingest.events, path)[-1]
    assert root["metadata"]["faas.name"] == "chat"
    if "Lambda" in host:
        assert root["metadata"]["faas.invocation_id"] == "req-1"
        assert 25_000 < root["metadata"]["time_left_at_end_ms"] <= 30_000
    seen = "Everything arrives before the response ends."
    if kind == "/hello":
        cell(host, "async", "Flask has none." if "Flask" in host else seen)
    elif kind == "/fail":
        cell(host, "exception", seen)
    else:
        cell(host, "sync", seen, sent="before the response ends", later="the round trip to the backend")


def test_a_stream_is_held_by_its_end_only(
    held: tuple[str, Server], ingest: Backend, cell: Cell, tmp_path: Path
) -> None:
    """Each piece is with the client before the next one is made; the end comes when the events have been sent."""
    host, server = held
    found = len(named(ingest.events, "/stream"))
    with pieces(server, "/stream", tmp_path) as lines:
        assert list(lines) == [b"0\n", b"1\n", b"2\n"]
    root = named(ingest.events, "/stream")[found]
    assert len([e for e in below(root, ingest.events) if e["operation"] == "piece"]) == 3
    cell(host, "stream", "Each piece passes at once; everything arrives before the end of the last one.")


def test_an_announced_length_is_where_a_response_ends(held: tuple[str, Server], ingest: Backend) -> None:
    """The last byte that was announced is held: the server's own end may come when there is no CPU any more."""
    found = len(named(ingest.events, "/sized"))
    with held[1].open("/sized") as response:
        assert response.read(4) == b"abcd"
        assert len(named(ingest.events, "/sized")) == found + 1


@pytest.mark.parametrize(("path", "method"), [("/status/204", "GET"), ("/status/200", "GET"), ("/sized", "HEAD")])
def test_a_response_without_a_body_is_held(held: tuple[str, Server], ingest: Backend, path: str, method: str) -> None:
    """A client that waits for the headers alone has them when the events have been sent."""
    found = len(named(ingest.events, path))
    ingest.latency = 0.05
    assert held[1].ask(path, method=method).body in (b"", b"200")
    ingest.latency = 0
    assert len(named(ingest.events, path)) == found + 1


def test_a_hanging_backend_holds_it_until_the_timeout(held: tuple[str, Server], ingest: Backend, cell: Cell) -> None:
    """Then the response ends all the same; a breaker keeps later ones from waiting, and nothing is lost."""
    host, server = held
    server.ask("/hello/warm")
    # What the deadline leaves is the bound here: the flush alone would take a second.
    ingest.mode = "hang"
    lasts = [
        server.ask(f"/hello/hang{number}", x_amzn_lambda_context=context(0.5)).seconds
        for number in range(4 if "Lambda" in host else 1)
    ]
    ingest.mode = "ok"
    if "Lambda" in host:
        cell(host, "deadline", f"The response is held for {lasts[0] * 1000:.0f} of the 500 ms that were left.")
    seen = f"Everything arrives once it is back; a response is held for {max(lasts):.1f} s at most."
    cell(host, "dead backend", seen, outage="kept, then sent; three responses wait")
    end = time.monotonic() + 10
    while not named(ingest.events, "/hello/hang0") and time.monotonic() < end:
        server.ask("/hello/again")
        time.sleep(0.05)
    assert named(ingest.events, "/hello/hang0")


def test_requests_at_once_share_sends(held: tuple[str, Server], ingest: Backend, cell: Cell) -> None:
    """16 held responses wait for a few sends, not each for its own."""
    host, server = held
    server.ask("/hello/warm")
    ingest.latency = 0.03
    before = len(ingest.requests)
    answers = server.at_once([f"/who/n{number}" for number in range(16)])
    sends = len(ingest.requests) - before
    ingest.latency = 0
    assert [answer.status for answer in answers] == [200] * 16
    assert all(named(ingest.events, f"/who/n{number}") for number in range(16))
    assert sends < 16
    cell(host, "concurrent", "Everything of 16 requests arrives, in fewer sends.")


@pytest.mark.parametrize(("platform", "env"), PLATFORMS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize(("server", "app", "framework"), SERVERS)
def test_sigterm_answers_the_request_and_sends_the_rest(
    start: Callable[..., Server],
    backend: Backend,
    cell: Cell,
    tmp_path: Path,
    platform: str,
    env: dict[str, str],
    server: str,
    app: str,
    framework: str,
) -> None:
    """The current request is answered, and held as ever; what was left of earlier ones is sent, too."""
    running = start(server, app, **env, ZESPAN_FLUSH_TIMEOUT="0.2")
    backend.mode = 503
    running.ask("/hello/before")
    answer = running.later(f"/slow?gate={tmp_path}")
    until((tmp_path / "started").exists)
    backend.mode = "ok"
    running.terminate()
    (tmp_path / "go").touch()
    assert answer().status == 200
    assert running.wait().code is not None
    assert named(backend.events, "/slow")
    assert named(backend.events, "/hello/before")
    seen = "The current request ends, and everything arrives."
    cell(f"{platform}, {server} ({framework})", "SIGTERM", seen, stopped="everything is sent")


@pytest.mark.parametrize(("server", "app", "framework"), SERVERS)
def test_after_response_says_that_the_cpu_stays(
    start: Callable[..., Server], backend: Backend, cell: Cell, server: str, app: str, framework: str
) -> None:
    """On instance-billed Cloud Run nothing is held, however long the backend takes; a SIGTERM sends what is there."""
    env = {**CLOUD_RUN, "ZESPAN_FLUSH_MODE": "after_response", "ZESPAN_FLUSH_TIMEOUT": "60"}
    running = start(server, app, **env)
    host = f"Cloud Run, instance-billed, {server} ({framework})"
    paths: dict[Situation, str] = {"async": "/hello/a", "sync": "/sync/a", "exception": "/fail", "stream": "/stream"}
    many = [f"/who/n{number}" for number in range(16)]
    backend.mode = "hang"
    for path in [*paths.values()] * 5:
        running.ask(path)  # it waits for 20 s
    assert {answer.status for answer in running.at_once(many)} == {200}
    backend.mode = "ok"
    running.terminate()
    running.wait()
    assert all(len(named(backend.events, path)) == 5 for path in paths.values())
    assert all(named(backend.events, path) for path in many)
    for situation in paths:
        seen = "Everything arrives after the response, which does not wait for the backend."
        cell(host, situation, seen, sent="after the response", later="less than the round trip to the backend")
    if framework == "Flask":
        cell(host, "async", "Flask has none.")
    cell(host, "concurrent", "Everything of 16 requests arrives.")
    cell(host, "dead backend", "Everything arrives once it is back; no response is held.", outage="kept, then sent")
    cell(host, "SIGTERM", "Everything arrives.", stopped="everything is sent")
    cell(host, "deadline", "None matters: no request waits.")


@pytest.mark.parametrize(("server", "app", "framework"), SERVERS)
def test_before_return_is_obeyed_where_the_cpu_stays(
    start: Callable[..., Server], backend: Backend, server: str, app: str, framework: str
) -> None:
    """Who wants every event acknowledged before the answer has it so anywhere."""
    running = start(server, app, ZESPAN_FLUSH_MODE="before_return")
    for number in range(3):
        running.ask(f"/hello/{number}")
        assert named(backend.events, f"/hello/{number}")


@pytest.mark.parametrize(("server", "app", "framework"), SERVERS)
def test_cloud_runs_timeout_is_a_deadline(
    start: Callable[..., Server], backend: Backend, cell: Cell, server: str, app: str, framework: str
) -> None:
    """What a request has left of the service's timeout bounds the hold, where the environment tells it."""
    running = start(server, app, **CLOUD_RUN, CLOUD_RUN_TIMEOUT_SECONDS="1", ZESPAN_FLUSH_TIMEOUT="60")
    backend.mode = "hang"
    took = running.ask("/hello/x").seconds  # the client waits for 20 s
    backend.mode = "ok"
    seen = f"The response is held for {took * 1000:.0f} of 1,000 ms."
    cell(f"Cloud Run, request-billed, {server} ({framework})", "deadline", seen)
