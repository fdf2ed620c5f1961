"""What a Vercel Function sends, when, and what its callers notice of it: nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import Cell, Situation, after, later
from tests.support import SPAN, TRACE, TRACEPARENT, roots
from tests.vercel.conftest import APPS, Deploy
from tests.vercel.driver import Function
from zespan_serverless import ConfigurationError, testing, zespan_vercel
from zespan_serverless.testing import Backend

KINDS = [
    ("classes.py", "handler", "/"),
    ("wsgi_app.py", "app", "/greetings/ada"),
    ("asgi_app.py", "app", "/greetings/ada"),
]
NAMES = {"classes.py": "Vercel, handler class", "wsgi_app.py": "Vercel, WSGI", "asgi_app.py": "Vercel, ASGI"}
PAYLOADS = Path(__file__).parents[1] / "events" / "vercel"
INDEX: dict[str, Any] = json.loads((PAYLOADS / "index.json").read_text())
LATENCY = 0.3  # seconds; far above what a request takes


def added(function: Function, bare: Function, path: str) -> float:
    """Return the milliseconds that telemetry adds to a warm response, in the median: for the table."""
    for one in (function, bare):
        one.get(path)
    took: list[list[float]] = [[], []]
    for _ in range(9):
        for one, times in zip((function, bare), took, strict=True):
            times.append(one.get(path).took_ms)
    return statistics.median(took[0]) - statistics.median(took[1])


@pytest.mark.parametrize(("file", "variable", "path"), KINDS)
@pytest.mark.parametrize("package", [True, False], ids=["with the package vercel", "without it"])
def test_events_arrive_after_the_response_and_before_the_end(
    deploy: Deploy, backend: Backend, cell: Cell, file: str, variable: str, path: str, package: bool
) -> None:
    """The client does not wait for the backend; Vercel is told that the request is over when all is delivered."""
    backend.latency = LATENCY
    function = deploy(file, variable, package=package)
    for number in (1, 2):
        answer = function.get(path, {"traceparent": TRACEPARENT})
        assert len(backend.events) == 2 * number
        assert answer.status == 200
        assert answer.ended_ms > LATENCY * 1000
        assert len(backend.requests) == number
        answered = backend.requests[-1].answered
        assert answered is not None
        assert answer.sent + answer.took_ms / 1000 < answered
    work, root = backend.events[-2:]
    assert (root["trace_id"], root["parent_span_id"], work["parent_span_id"]) == (TRACE, SPAN, root["span_id"])
    assert root["status"] == "success"
    said = root["metadata"]
    assert said["http.response.status_code"] == 200
    assert said["faas.invocation_id"].startswith("iad1::2-")
    assert 9_000 < said["time_left_at_start_ms"] <= 10_000
    assert {name: said.get(name) for name in ("cloud.provider", "cloud.region", "vercel.env", "faas.version")} == {
        "cloud.provider": "vercel",
        "cloud.region": "iad1",
        "vercel.env": "production",
        "faas.version": "dpl_1a2b",
    }
    if package:
        backend.latency = 0.03
        more = added(function, deploy(file, variable, env={"ZESPAN_ENABLED": "0"}), path)
        situation: Situation = "async" if "asgi" in file else "sync"
        cell(NAMES[file], situation, after(more), sent="after the response", later=later(more))


@pytest.mark.parametrize(("file", "variable", "path"), KINDS)
def test_every_request_of_the_library_is_understood(
    deploy: Deploy, backend: Backend, file: str, variable: str, path: str
) -> None:
    """Each has a source and a file, and its event says what its entry does, whatever kind of function it is."""
    assert sorted(INDEX) == sorted(found.stem for found in PAYLOADS.glob("*.json") if found.name != "index.json")
    function = deploy(file, variable)
    for name, expected in INDEX.items():
        request = json.loads((PAYLOADS / f"{name}.json").read_text())
        assert function.get(request["path"], request["headers"]).status == 200
        assert expected["source"].startswith("https://")
        root = roots(backend.events)[-1]
        said = root["metadata"]
        assert said["faas.trigger"] == expected["trigger"]
        assert {key: said.get(key) for key in expected["attributes"]} == expected["attributes"]
        assert [root["trace_id"], root["parent_span_id"]] == expected.get("parent", [root["trace_id"], None])
        assert "secret" not in json.dumps(root)


def test_sync_endpoints_of_an_asgi_application(deploy: Deploy, backend: Backend, cell: Cell) -> None:
    """An endpoint that the framework runs in a thread is traced, too."""
    function = deploy("asgi_app.py")
    function.get("/sync")
    assert [event["operation"] for event in backend.events] == ["work", "GET /sync"]
    more = added(function, deploy("asgi_app.py", env={"ZESPAN_ENABLED": "0"}), "/sync")
    cell(NAMES["asgi_app.py"], "sync", after(more), sent="after the response", later=later(more))
    cell(NAMES["classes.py"], "async", "Vercel calls the methods of a class synchronously.")
    cell(NAMES["wsgi_app.py"], "async", "Flask runs it to its end in the request's thread.")


def test_a_class_without_content_length_does_not_keep_its_client(deploy: Deploy, backend: Backend, cell: Cell) -> None:
    """A response that ends with its connection ends before the flush."""
    backend.latency = LATENCY
    answer = deploy("classes.py", "handler").get("/open")
    request = backend.requests[-1]
    assert answer.body == b'{"path": "/open"}'
    assert request.answered is not None
    assert answer.sent + answer.took_ms / 1000 < request.answered
    assert answer.ended_ms > LATENCY * 1000
    seen = "Everything arrives after the last byte, which does not wait: the class closes its half of the connection."
    cell(NAMES["classes.py"], "stream", seen)


@pytest.mark.parametrize("file", ["wsgi_app.py", "asgi_app.py"])
def test_streamed_pieces_pass_through(deploy: Deploy, backend: Backend, cell: Cell, file: str) -> None:
    """The pieces come as they are made, and the event has the whole of it; where the end is, is the protocol's."""
    backend.latency = LATENCY
    answer = deploy(file).get("/stream")
    assert answer.body == b"0\n1\n2\n"
    *pieces, root = backend.events
    assert [piece["parent_span_id"] for piece in pieces] == [root["span_id"]] * 3
    assert root["metadata"]["handler_duration_ms"] > 140
    if "asgi" in file:
        request = backend.requests[-1]
        assert request.answered is not None
        assert answer.sent + answer.took_ms / 1000 < request.answered
        cell(NAMES[file], "stream", "Everything arrives after the last piece, which does not wait.")
    else:
        seen = "Everything arrives after the last byte; without content-length the end waits for the flush."
        cell(NAMES[file], "stream", seen)


@pytest.mark.parametrize(
    ("file", "variable", "path"),
    [("asgi_app.py", "app", "/background"), ("asgi_app.py", "app", "/wait-until"), ("classes.py", "handler", "/later")],
)
def test_background_work_is_part_of_it(deploy: Deploy, backend: Backend, file: str, variable: str, path: str) -> None:
    """Starlette's background tasks and what is left to `wait_until` are sent before Vercel is told of the end."""
    answer = deploy(file, variable).get(path)
    assert [event["operation"] for event in backend.events].count("later") == 1
    assert answer.ended_ms - answer.took_ms > 200  # it sleeps for 300


@pytest.mark.parametrize(
    ("file", "variable"), [("classes.py", "handler"), ("wsgi_app.py", "app"), ("asgi_app.py", "app")]
)
def test_an_exception_has_the_same_response_and_an_event(
    deploy: Deploy, backend: Backend, cell: Cell, file: str, variable: str
) -> None:
    """What a request raises is its own affair: the same answer, or none, as without us, and an event that says so."""
    seen: list[tuple[int | None, bytes]] = []
    for environment in ({}, {"ZESPAN_ENABLED": "0"}):
        function = deploy(file, variable, env=environment)
        try:
            answer = function.get("/boom")
            seen.append((answer.status, answer.body))
        except http.client.RemoteDisconnected:
            seen.append((None, b""))
    assert seen[0] == seen[1]
    root = backend.events[-1]
    assert root["status"] == "error"
    expected = {"classes.py": "ValueError", "wsgi_app.py": "500", "asgi_app.py": "ValueError"}[file]
    assert root["metadata"]["error.type"] == expected
    cell(
        NAMES[file],
        "exception",
        f"Everything arrives, with `{expected}`; the response is the function's own.",
    )


def test_status_of_a_class(deploy: Deploy, backend: Backend) -> None:
    """A handler class that answers 503 has failed."""
    assert deploy("classes.py", "handler").get("/503").status == 503
    assert (backend.events[-1]["status"], backend.events[-1]["error_message"]) == ("error", "HTTP 503")


@pytest.mark.parametrize(("file", "variable", "path"), KINDS)
def test_concurrent_requests_have_separate_traces(
    deploy: Deploy, backend: Backend, cell: Cell, file: str, variable: str, path: str
) -> None:
    """Requests at the same time, as Vercel's fluid compute sends them, have a trace each, whole at their end."""
    function = deploy(file, variable)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: function.get(path), range(24)))
    assert {answer.status for answer in answers} == {200}
    roots = {event["trace_id"]: event["span_id"] for event in backend.events if event["operation"].startswith("GET")}
    works = {event["trace_id"]: event["parent_span_id"] for event in backend.events if event["operation"] == "work"}
    assert len(roots) == 24
    assert roots == works
    cell(NAMES[file], "concurrent", "Each of 24 requests is in its own trace.")


@pytest.mark.parametrize(("file", "variable", "path"), KINDS)
def test_a_dead_backend_delays_no_client(
    deploy: Deploy, backend: Backend, cell: Cell, file: str, variable: str, path: str
) -> None:
    """No client waits for a backend that hangs, and missed events are sent when it is available again."""
    function = deploy(file, variable, env={"ZESPAN_FLUSH_TIMEOUT": "0.3", "ZESPAN_FLUSH_INTERVAL": "0.2"})
    function.get(path)
    backend.mode = "hang"
    answers = [function.get(path) for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert (
        answers[0].ended_ms - answers[0].took_ms > 200
    )  # it is the flush that takes 300, and comes after the response
    backend.mode = "ok"
    end = time.monotonic() + 20
    while len(backend.events) < 12 and time.monotonic() < end:
        time.sleep(0.2)
        function.get("/none")
    assert sum(event.get("metadata", {}).get("url.path") == path for event in backend.events) == 6
    held = max(answer.ended_ms for answer in answers)
    took = later(max(answer.took_ms for answer in answers))
    seen = (
        f"Everything arrives later. A response takes {took}; a request is over after {held:.0f} ms (flush_timeout 300)."
    )
    cell(NAMES[file], "dead backend", seen, outage="kept, then sent")


@pytest.mark.parametrize(("file", "variable", "path"), KINDS)
def test_a_flush_leaves_the_reserve(
    deploy: Deploy, backend: Backend, cell: Cell, file: str, variable: str, path: str
) -> None:
    """The flush does not use the reserve before Vercel's deadline."""
    backend.mode = "hang"
    function = deploy(file, variable, env={"ZESPAN_FLUSH_TIMEOUT": "10"}, max_duration=1.0)
    answer = function.get(path)
    assert 500 < answer.ended_ms < 1000
    cell(
        NAMES[file],
        "deadline",
        f"The request is over {1000 - answer.ended_ms:.0f} ms before it, though the backend hangs.",
    )


@pytest.mark.parametrize(("file", "variable", "path"), KINDS)
def test_sigterm_sends_pending_events(
    deploy: Deploy, backend: Backend, cell: Cell, file: str, variable: str, path: str
) -> None:
    """Within Vercel's 500 ms what is in memory is sent: events of a current request, and of an earlier outage."""
    function = deploy(file, variable, env={"ZESPAN_FLUSH_TIMEOUT": "0.2"})
    backend.mode = 503
    function.get(path)
    seen: list[Any] = []
    client = threading.Thread(target=lambda: seen.append(_try(function, "/slow")))
    client.start()
    time.sleep(0.4)
    before = len(backend.events)
    backend.mode = "ok"
    function.process.send_signal(signal.SIGTERM)
    function.process.wait(5)
    client.join()
    sent = [event["operation"] for event in backend.events]
    assert before == 0
    assert "work" in sent
    if file == "asgi_app.py":  # uvicorn finishes what is under way
        assert seen == [200]
        assert "GET /slow" in sent
    text = "What is in memory arrives before the process ends."
    cell(NAMES[file], "SIGTERM", text, stopped="everything in memory is sent")


def _try(function: Function, path: str) -> object:
    try:
        return function.get(path).status
    except (OSError, http.client.HTTPException, AssertionError) as error:
        return error


@pytest.mark.parametrize(("file", "variable", "path"), KINDS[1:])
def test_before_return_delivers_before_the_response(
    deploy: Deploy, backend: Backend, file: str, variable: str, path: str
) -> None:
    """With before_return an application's client has its response when the backend has the events."""
    backend.latency = LATENCY
    answer = deploy(file, variable, env={"ZESPAN_FLUSH_MODE": "before_return"}).get(path)
    assert answer.took_ms > LATENCY * 1000
    assert len(backend.events) == 2


def test_a_bare_asgi_function(deploy: Deploy, backend: Backend) -> None:
    """A decorated `async def app(scope, receive, send)` is still what Vercel takes for ASGI."""
    assert deploy("bare.py").get("/").body == b"bare"
    assert backend.events[-1]["operation"] == "GET /"


@pytest.mark.parametrize("file", ["classes.py", "asgi_app.py"])
def test_a_switched_off_function_sends_nothing(deploy: Deploy, backend: Backend, file: str) -> None:
    """With ZESPAN_ENABLED=0 the function answers, and nothing is sent."""
    function = deploy(file, "handler" if file == "classes.py" else "app", env={"ZESPAN_ENABLED": "0"})
    assert function.get("/").status in (200, 404)
    assert backend.requests == []


def test_importing_a_function_starts_nothing() -> None:
    """In a test or a build, though it has Vercel's environment, there is no thread, and SIGTERM is as it was."""
    code = "import signal, threading, wsgi_app, classes; print(threading.active_count(), signal.getsignal(15))"
    environment = {"PYTHONPATH": f"{APPS}{os.pathsep}{APPS.parents[2]}", "VERCEL": "1", "ZESPAN_API_KEY": "zsp_test"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", *str(signal.SIG_DFL).split()]


def test_what_is_none_of_the_three_is_refused() -> None:
    """Mistakes are told while decorating."""
    for wrong in (42, object(), lambda one: one, int):
        with pytest.raises(ConfigurationError):
            zespan_vercel(wrong)
    with pytest.raises(ConfigurationError, match="unknown setting"):
        zespan_vercel(flush_timeuot=1)  # type: ignore[call-overload]


def test_what_is_no_method_is_left_alone() -> None:
    """A class may have other attributes whose names begin as its methods' do."""

    @zespan_vercel
    class Handler(BaseHTTPRequestHandler):
        do_log = False

        def __init__(self) -> None: ...

        @property
        def do_nothing(self) -> int:
            return 3

        def do_GET(self) -> None: ...

    assert (Handler.do_log, Handler().do_nothing) == (False, 3)


def test_a_class_stays_itself() -> None:
    """It is the same class, with the same names; its `super` works, and decorating it twice does no harm."""

    class Base(BaseHTTPRequestHandler):
        def __init__(self) -> None:
            self.command, self.path, self.headers = "GET", "/a?b", http.client.HTTPMessage()

        def do_GET(self) -> list[str]:
            """Base's."""
            return ["base"]

    class Derived(Base):
        def do_GET(self) -> list[str]:
            """Derived's."""
            return [*super(handler, self).do_GET(), "derived"]

    handler = Derived
    assert zespan_vercel(zespan_vercel(Derived)) is Derived
    assert (Derived.do_GET.__name__, Derived.do_GET.__doc__) == ("do_GET", "Derived's.")
    with testing.recording() as events:
        assert Derived().do_GET() == ["base", "derived"]
    assert [event["operation"] for event in events] == ["GET /a"]
