"""The middleware in Foundry's own host, which its platform suspends as soon as a response is complete."""

from __future__ import annotations

import http.client
from collections.abc import Callable

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.agents.support import Runtime, series, stop_at_once, trace, traceparent
from tests.hosts import Cell
from tests.support import TRACEPARENT, Answer, below, calls, roots, until
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=2)

Start = Callable[..., Runtime]

HOST = "Azure AI Foundry"
ENVIRONMENT = {
    "FOUNDRY_AGENT_NAME": "demo",
    "FOUNDRY_AGENT_VERSION": "3",
    "FOUNDRY_AGENT_SESSION_ID": "session-1",
    "FOUNDRY_PROJECT_ARM_ID": "/subscriptions/s/projects/p",
}
HEADERS = {"x-agent-user-id": "bob", "x-agent-foundry-call-id": "call-1", "x-agent-invocation-id": "invocation-1"}


def serve(start: Start, **env: str) -> Runtime:
    return start("foundry", "on_foundry.py", **{**ENVIRONMENT, **env})


def test_no_event_is_lost_when_a_sandbox_is_suspended(start: Start, backend: Backend, cell: Cell) -> None:
    """A process that is stopped as soon as each response is complete, and then killed, has sent every event: of both
    protocols, streamed or not, in the caller's trace, with the session and the user."""
    bodies: list[tuple[str, dict[str, object], int]] = [
        ("/invocations", {"kind": "json"}, 1),
        ("/invocations", {"kind": "stream"}, 2),
        ("/invocations", {"kind": "fails"}, 1),
        ("/responses", {"model": "m", "input": "Hi"}, 1),
        ("/responses", {"model": "m", "input": "Hi", "stream": True}, 1),
    ]
    with serve(start) as runtime:
        paths, asked = [path for path, _, _ in bodies], [body for _, body, _ in bodies]
        assert series(runtime, paths, stop_at_once, HEADERS, asked) == [200, 200, 500, 200, 200]
    events = backend.events
    found = {root["trace_id"]: len(below(root, events)) for root in roots(events)}
    assert found == {trace(number): count for number, (_, _, count) in enumerate(bodies)}
    assert {(event["session_id"], event["user_id"]) for event in events} == {("session-1", "bob")}
    first, _, failed, *_ = sorted(roots(events), key=lambda root: str(root["trace_id"]))
    assert (first["metadata"]["faas.name"], first["metadata"]["faas.version"]) == ("demo", "3")
    assert (first["metadata"]["faas.invocation_id"], first["metadata"]["foundry.call_id"]) == ("invocation-1", "call-1")
    assert (failed["status"], failed["metadata"]["http.response.status_code"]) == ("error", 500)
    seen = "Everything arrives before the response ends."
    cell(HOST, "async", seen, sent="before the response ends", later="the round trip to the backend")
    cell(HOST, "sync", "A handler is an `async def`.")
    cell(HOST, "stream", "Each piece passes at once; everything arrives before the end of the stream.")
    cell(HOST, "deadline", "None is known.")
    cell(HOST, "snapshot", "Everything arrives, though a sandbox is suspended right after each response.")


def test_requests_at_once_an_outage_and_sigterm(
    start: Start, backend: Backend, model: ModelEndpoint, cell: Cell
) -> None:
    """Eight requests at once have a trace each. A response during an outage ends within flush_timeout, and its events
    come with the next; SIGTERM waits for a request, whose events are sent."""

    def ask(number: int) -> Callable[[], Answer]:
        return runtime.later("/invocations", {"kind": "json"}, traceparent=traceparent(number), **HEADERS)

    with serve(start, ZESPAN_FLUSH_TIMEOUT="0.5") as runtime:
        assert {answer().status for answer in [ask(number) for number in range(8)]} == {200}
        assert len(roots(backend.events)) == 8
        backend.mode = 503
        assert ask(8)().status == 200
        backend.mode, model.latency_ms = "ok", 1000
        answer, asked = ask(9), len(model.requests)
        until(lambda: len(model.requests) > asked)
        runtime.terminate()
        assert answer().status == 200
        assert runtime.wait().code == 0
    found = {root["trace_id"]: len(below(root, backend.events)) for root in roots(backend.events)}
    assert found == {trace(number): 1 for number in range(10)}
    cell(HOST, "concurrent", "Everything of eight requests arrives, each in its own trace.")
    seen = "Everything arrives with the next request; a response is held for `flush_timeout` at most."
    cell(HOST, "dead backend", seen, outage="kept, then sent; three responses wait")
    cell(HOST, "SIGTERM", "The current request ends, and everything arrives.", stopped="everything is sent")


def test_error_of_a_stream(start: Start, backend: Backend, cell: Cell) -> None:
    """An exception that breaks a stream off is in the event."""
    with serve(start) as runtime:
        with pytest.raises(http.client.IncompleteRead):
            runtime.ask("/invocations", {"kind": "stream_fails"}, traceparent=TRACEPARENT)
        events = backend.wait_for(2)
    (root,) = roots(events)
    assert (root["status"], root["metadata"]["error.type"]) == ("error", "LookupError")
    seen = "Everything arrives; the exception of a stream by its type, any other by the status 500 of the host."
    cell(HOST, "exception", seen)


def test_sigterm_and_readiness(start: Start, backend: Backend) -> None:
    """The host's checks have no event; after SIGTERM it ends as it does without this package."""
    with serve(start) as runtime:
        assert runtime.ask("/readiness").status == 200
        assert runtime.ask("/invocations", {"kind": "json"}, traceparent=TRACEPARENT).status == 200
        runtime.terminate()
        assert runtime.wait().code == 0
    assert (len(roots(backend.events)), len(calls(backend.events))) == (1, 1)
