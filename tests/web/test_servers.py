"""Every kind of server with a framework of its kind: what arrives, when, what it costs, and how the server stops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest

from tests.hosts import Cell, Situation, after, later
from tests.support import SPAN, TRACE, TRACEPARENT, added, below, until
from tests.web.support import Server, named, pieces
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host


class Row(NamedTuple):
    """A server and an application. `many`: whether it serves requests at the same time; `drains`: whether it lets a
    request that is under way finish when it is told to stop."""

    host: str
    server: str
    app: str
    route: str
    env: Mapping[str, str] = MappingProxyType({})
    many: bool = True
    drains: bool = True


ROWS = [
    Row("uvicorn (FastAPI)", "uvicorn", "fastapi_app:app", "/hello/{name}"),
    Row("uvicorn, uvloop (FastAPI)", "uvicorn uvloop", "fastapi_app:app", "/hello/{name}"),
    Row("uvicorn, 2 workers (FastAPI)", "uvicorn, 2 workers", "fastapi_app:app", "/hello/{name}"),
    Row("uvicorn (Django)", "uvicorn", "django_app:asgi", "/hello/<str:name>", {"BY_ASGI": "1"}),
    Row("hypercorn (Starlette)", "hypercorn", "starlette_app:app", "/hello/{name}"),
    Row("hypercorn, trio (Starlette)", "hypercorn trio", "starlette_app:app", "/hello/{name}"),
    Row("gunicorn UvicornWorker (FastAPI)", "gunicorn UvicornWorker", "fastapi_app:app", "/hello/{name}"),
    Row("gunicorn sync (Flask)", "gunicorn sync", "flask_app:app", "/hello/<name>", many=False),
    Row("gunicorn gthread (Flask)", "gunicorn gthread", "flask_app:app", "/hello/<name>"),
    Row("gunicorn gevent (Flask)", "gunicorn gevent", "flask_app:app", "/hello/<name>"),
    Row("gunicorn --preload (Django)", "gunicorn --preload", "django_app:wsgi", "/hello/<str:name>"),
    Row("werkzeug (Flask)", "werkzeug", "flask_app:app", "/hello/<name>", drains=False),
]


class Pair(NamedTuple):
    """The same server twice: with the middleware, and without."""

    traced: Server
    bare: Server


@pytest.fixture(params=ROWS, ids=lambda row: row.host, scope="module")
def row(request: pytest.FixtureRequest) -> Row:
    found: Row = request.param
    return found


@pytest.fixture(scope="module")
def ingest(row: Row) -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def pair(row: Row, ingest: Backend) -> Iterator[Pair]:
    env = {**row.env, "ZESPAN_BASE_URL": ingest.url, "ZESPAN_FLUSH_TIMEOUT": "1"}
    traced, bare = Server(row.server, row.app, env), Server(row.server, row.app, {**env, "TRACED": "0"})
    with traced, bare:
        yield Pair(traced, bare)


@pytest.mark.parametrize(("path", "situation"), [("/hello", "async"), ("/sync", "sync")])
def test_request_is_one_event_in_the_callers_trace(
    row: Row, pair: Pair, ingest: Backend, cell: Cell, path: str, situation: Situation
) -> None:
    """One event for the request, in the caller's trace and by its route, and the step below it."""
    if situation == "async" and "Flask" in row.host:
        cell(row.host, situation, "Flask has none.")
        return
    answer = pair.traced.ask(f"{path}/ada", traceparent=TRACEPARENT)
    assert (answer.status, answer.body) == (pair.bare.ask(f"{path}/ada").status, pair.bare.ask(f"{path}/ada").body)
    until(lambda: named(ingest.events, f"{path}/ada"))
    (root,) = named(ingest.events, f"{path}/ada")
    assert (root["trace_id"], root["parent_span_id"], root["status"]) == (TRACE, SPAN, "success")
    assert root["metadata"]["http.response.status_code"] == 200
    if situation == "sync" and "Flask" in row.host:
        assert root["metadata"]["http.route"] in ("/sync/<name>", "/hello/<name>")
    else:
        assert root["metadata"]["http.route"] == row.route.replace("/hello", path)
        assert root["operation"] == f"GET {row.route.replace('/hello', path)}"
    assert [step["operation"] for step in below(root, ingest.events)] == ["step"]
    more = added(pair.traced, pair.bare, f"{path}/ada")
    cell(row.host, situation, after(more), sent="after the response", later=later(more))


def test_streams_event_ends_with_its_last_piece(
    row: Row, pair: Pair, ingest: Backend, cell: Cell, tmp_path: Path
) -> None:
    """Each piece is with the client before the next one is made; the request's event ends with the last."""
    with pieces(pair.traced, "/stream", tmp_path) as lines:
        assert list(lines) == [b"0\n", b"1\n", b"2\n"]
    until(lambda: named(ingest.events, "/stream"))
    (root,) = named(ingest.events, "/stream")
    assert [piece["operation"] for piece in below(root, ingest.events)] == ["piece"] * 3
    assert root["status"] == "success"
    assert "client_disconnected" not in root["metadata"]
    cell(row.host, "stream", "Each piece passes at once. " + after(added(pair.traced, pair.bare, "/stream")))


def test_exception_is_an_error_of_the_requests_event(row: Row, pair: Pair, ingest: Backend, cell: Cell) -> None:
    """The client gets the framework's own answer, and the request's event is an error."""
    ours, theirs = pair.traced.ask("/fail", traceparent=TRACEPARENT), pair.bare.ask("/fail")
    assert (ours.status, ours.body) == (theirs.status, theirs.body) == (500, theirs.body)
    until(lambda: named(ingest.events, "/fail"))
    (root,) = named(ingest.events, "/fail")
    assert root["status"] == "error"
    kind = root["metadata"]["error.type"]
    assert kind == ("500" if "Flask" in row.host or "Django" in row.host else "ValueError")
    seen = f"The event has `{kind}`. " + after(added(pair.traced, pair.bare, "/fail"))
    cell(row.host, "exception", seen)


@pytest.mark.parametrize("code", [404, 503])
def test_status_of_5xx_is_an_error_and_4xx_is_not(row: Row, pair: Pair, ingest: Backend, code: int) -> None:
    """A 5xx status is an error; a 4xx one is the client's."""
    assert pair.traced.ask(f"/status/{code}").status == code
    until(lambda: named(ingest.events, f"/status/{code}"))
    (root,) = named(ingest.events, f"/status/{code}")
    assert (root["status"], root["metadata"]["http.response.status_code"]) == (
        "error" if code == 503 else "success",
        code,
    )


def test_client_that_leaves_is_noted_on_the_event(row: Row, pair: Pair, ingest: Backend, tmp_path: Path) -> None:
    """The application hears of it as it does without us; the request's event is sent, and says so."""
    with pair.traced.open(f"/flood?gate={tmp_path}") as response:
        response.read(100_000)
    until((tmp_path / "left").exists)
    until(lambda: named(ingest.events, "/flood"))
    (root,) = named(ingest.events, "/flood")
    assert (root["metadata"]["client_disconnected"], root["status"]) == (True, "success")


def test_concurrent_requests_have_traces_of_their_own(row: Row, pair: Pair, ingest: Backend, cell: Cell) -> None:
    """64 requests at once: each in a trace of its own with its own events, in far fewer sends than requests."""
    ingest.latency = 0.03
    before = len(ingest.requests)
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda n: pair.traced.ask(f"/who/n{n}"), range(64)))
    assert [answer.status for answer in answers] == [200] * 64
    until(lambda: len([e for e in ingest.events if e["operation"].startswith("GET /who")]) == 64)
    traces = set()
    for number in range(64):
        (root,) = named(ingest.events, f"/who/n{number}")
        (step,) = below(root, ingest.events)
        (llm,) = below(step, ingest.events)
        assert (step["operation"], llm["operation"]) == (f"n{number}", f"call of n{number}")
        traces.add(root["trace_id"])
    assert len(traces) == 64
    sends = len(ingest.requests) - before
    ingest.latency = 0
    if row.many:
        assert sends <= 16
    cell(row.host, "concurrent", "Everything of 64 requests arrives.")


def test_dead_backend_delays_no_response(row: Row, pair: Pair, ingest: Backend, cell: Cell) -> None:
    """No response waits for a backend that never answers, and when it is back all is delivered."""
    ingest.mode = "hang"
    for number in range(3):
        assert pair.traced.ask(f"/hello/dead{number}").status == 200
    took = added(pair.traced, pair.bare, "/hello/dead")
    ingest.mode = "ok"
    # An open breaker lets the next attempt through after 5 s.
    until(lambda: all(named(ingest.events, f"/hello/dead{number}") for number in range(3)), 15)
    seen = f"Everything arrives once it is back; responses are {later(took)} later."
    cell(row.host, "dead backend", seen, outage="kept, then sent")
    cell(row.host, "deadline", "None is known.")


def test_sigterm_ends_the_server_as_it_does_without_us(
    row: Row, pair: Pair, ingest: Backend, cell: Cell, tmp_path: Path
) -> None:
    """A request under way ends as it does without us, exit code and time are the server's, and all is sent."""
    gates = {name: tmp_path / name for name in ("traced", "bare")}
    answers = {}
    for name, server in zip(gates, pair, strict=True):
        gates[name].mkdir()
        answers[name] = server.later(f"/slow?gate={gates[name]}")
        until((gates[name] / "started").exists)
    if row.many:
        pair.traced.ask("/hello/before")
    for server in pair:
        server.terminate()
    for name in gates:  # both signals have been sent, and neither waits for the other
        if row.drains:
            (gates[name] / "go").touch()
    for name in gates:
        if row.drains:
            assert answers[name]().status == 200
        else:
            with pytest.raises((OSError, HTTPException)):
                answers[name]()
    codes = {name: server.wait() for name, server in zip(gates, pair, strict=True)}
    assert codes["traced"].code == codes["bare"].code is not None
    if not row.drains:
        assert named(ingest.events, "/hello/before") or not row.many
        seen = f"Everything but the current request arrives, which this server breaks off (exit {codes['bare'].code})."
        cell(row.host, "SIGTERM", seen, stopped="all but the current request")
        return
    (root,) = named(ingest.events, "/slow")
    assert [step["operation"] for step in below(root, ingest.events)] == ["step"]
    assert named(ingest.events, "/hello/before") or not row.many
    seen = f"The current request ends, and everything arrives. Exit {codes['bare'].code}, as without the package."
    cell(row.host, "SIGTERM", seen, stopped="everything is sent")
