"""Servers of which a platform takes snapshots, which the tests play: a stop by SIGSTOP, and connections that end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.hosts import RESTORED, Cell, Situation
from tests.support import below, roots, until
from tests.web.support import Server, named
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=3)

Start = Callable[..., Server]
each_server = pytest.mark.parametrize(
    ("server", "app", "framework"),
    [("uvicorn", "fastapi_app:app", "FastAPI"), ("gunicorn gthread", "flask_app:app", "Flask")],
)
IMAGE = {"AWS_LAMBDA_MICROVM_IMAGE_ARN": "arn:aws:lambda:eu-west-1:123456789012:microvm-image/chat"}
HOOKS = "/aws/lambda-microvms/runtime/v1"
SNAPSTART = {
    "AWS_LAMBDA_FUNCTION_NAME": "chat",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
    "AWS_LWA_READINESS_CHECK_PATH": "/status/200",
    "AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH": "/snapshot/before",
    "AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH": "/snapshot/after",
}


def snapshot(server: Server, before: str, backend: Backend) -> None:
    """Announce a snapshot, and take it: what is not sent when the hook is answered is not sent before it goes on."""
    assert server.ask(before, b"").status == 200
    server.freeze()


def restore(server: Server, after: str, backend: Backend) -> None:
    """Go on after a snapshot, of which no connection is left."""
    backend.close_connections()
    server.thaw()
    assert server.ask(after, b"").status == 200


def assert_none_is_shared(backend: Backend) -> None:
    """Requests have traces of their own, also after a restore, and no event has arrived twice."""
    found = [root for root in roots(backend.events) if root["parent_span_id"] is None]  # without a caller's trace
    assert len({root["trace_id"] for root in found}) == len(found)
    assert len({event["event_id"] for event in backend.events}) == len(backend.events)


@each_server
def test_life_of_a_microvm(start: Start, backend: Backend, cell: Cell, server: str, app: str, framework: str) -> None:
    """When a MicroVM is suspended or terminated, or its image is made, every event has been sent; after that it
    delivers again, also what a backend did not take before. The application knows none of the hooks."""
    host = f"Lambda MicroVM, {server} ({framework})"
    running = start(server, app, **IMAGE, ZESPAN_FLUSH_TIMEOUT="3")
    running.ask("/hello/import")
    snapshot(running, f"{HOOKS}/ready", backend)
    assert named(backend.events, "/hello/import")
    restore(running, f"{HOOKS}/run", backend)
    paths: dict[Situation, str] = {"sync": "/sync/a", "async": "/hello/a", "stream": "/stream", "exception": "/fail"}
    for situation, path in paths.items():
        running.ask(path)
        snapshot(running, f"{HOOKS}/suspend", backend)
        (root,) = named(backend.events, path)
        assert root["metadata"]["start_kind"] == ("snapstart" if path == "/sync/a" else "warm")
        assert len(below(root, backend.events)) == {"/stream": 3, "/fail": 0}.get(path, 1)
        restore(running, f"{HOOKS}/resume", backend)
        seen = "Everything arrives after the response, and before a snapshot."
        cell(host, situation, seen, sent="after the response, and before a snapshot")
    many = [f"/who/n{number}" for number in range(16)]
    assert {answer.status for answer in running.at_once(many)} == {200}
    snapshot(running, f"{HOOKS}/suspend", backend)
    assert all(named(backend.events, path) for path in many)
    restore(running, f"{HOOKS}/resume", backend)
    backend.mode = "hang"
    running.ask("/hello/hung")
    snapshot(running, f"{HOOKS}/suspend", backend)  # waits for `flush_timeout`
    backend.mode = "ok"
    restore(running, f"{HOOKS}/resume", backend)
    until(lambda: named(backend.events, "/hello/hung"))
    assert running.ask(f"{HOOKS}/suspend", b"", x_aws_proxy_auth="token").status == 404
    running.ask("/hello/last")
    snapshot(running, f"{HOOKS}/terminate", backend)
    running.kill()
    assert named(backend.events, "/hello/last")
    hooks = [event for event in backend.events if "microvms" in event["operation"]]
    assert [event["metadata"]["http.response.status_code"] for event in hooks] == [404]  # of the client
    cell(host, "concurrent", "Everything of 16 requests arrives.")
    cell(host, "dead backend", "Everything arrives once it is back; a snapshot waits for `flush_timeout` at most.")
    cell(host, "deadline", "None is known.", later="less than the round trip to the backend", outage="kept, then sent")
    seen = "At the hook `terminate`, everything arrives before its answer."
    cell(host, "SIGTERM", seen, stopped="everything is sent by the hook `terminate`")
    assert_none_is_shared(backend)
    seen = (
        "Everything arrives before the answers of `ready` and `suspend`. After `run` the process begins as `snapstart`,"
    )
    cell(host, "snapshot", f"{seen} with new traces and connections, as after `resume`; nothing arrives twice.")
    if framework == "Flask":
        cell(host, "async", "Flask has none.")


@each_server
def test_snapstart_behind_the_web_adapter(
    start: Start, backend: Backend, cell: Cell, server: str, app: str, framework: str
) -> None:
    """Everything has been sent before the snapshot, and the first request after the restore is a start of its own
    kind. The Adapter's requests have no events; a client's request for the same path has one."""
    running = start(server, app, **SNAPSTART)
    for path in ("/status/200", "/hello/warm-up"):
        running.ask(path)
    snapshot(running, "/snapshot/before", backend)
    assert named(backend.events, "/hello/warm-up")
    restore(running, "/snapshot/after", backend)
    running.ask("/status/200")
    context = json.dumps({"request_id": "r-1", "deadline": round((time.time() + 30) * 1000)})
    for path in ("/hello/first", "/hello/next"):
        running.ask(path, x_amzn_lambda_context=context)
    first, second = named(backend.events, "/hello/first") + named(backend.events, "/hello/next")
    assert [root["metadata"]["start_kind"] for root in (first, second)] == ["snapstart", "warm"]
    assert first["metadata"]["faas.invocation_id"] == "r-1"
    assert running.ask("/snapshot/before", b"", x_amzn_lambda_context=context).status in (404, 405)
    found = {root["metadata"]["url.path"] for root in roots(backend.events)}
    assert found == {"/hello/warm-up", "/hello/first", "/hello/next", "/snapshot/before"}
    assert_none_is_shared(backend)
    cell(f"Lambda Web Adapter, {server} ({framework})", "snapshot", RESTORED)


@each_server
def test_a_machine_that_is_suspended_without_notice(
    start: Start, backend: Backend, cell: Cell, server: str, app: str, framework: str
) -> None:
    """A machine that is stopped and goes on later, as on Fly.io: events wait in memory meanwhile, and those of the next
    request arrive as well, although the connection that was open has ended."""
    running = start(server, app)
    running.ask("/hello/first")
    until(lambda: named(backend.events, "/hello/first"))
    backend.mode = "refuse"
    running.ask("/hello/kept")
    running.freeze()
    backend.mode = "ok"
    backend.close_connections()
    running.thaw()
    running.ask("/hello/next")
    until(lambda: named(backend.events, "/hello/kept") and named(backend.events, "/hello/next"))
    assert_none_is_shared(backend)
    seen = "Without notice, as on Fly.io: what is in memory arrives when the machine goes on, over a new connection."
    cell(f"{server} ({framework})", "snapshot", seen)
