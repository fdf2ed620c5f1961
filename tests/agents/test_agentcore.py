"""`@zespan_agentcore` on the real runtime, in the part of a session's microVM that the platform plays."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from websockets.sync.client import connect
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.agents.support import Runtime, ping, series, stop_at_once, stop_when_idle, trace, traceparent
from tests.hosts import Cell, Situation
from tests.support import SPAN, TRACE, TRACEPARENT, Answer, below, calls, roots, until
from zespan_serverless import zespan_agentcore
from zespan_serverless.agentcore._tasks import Task
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host

Start = Callable[..., Runtime]

HOST = "Amazon Bedrock AgentCore"
ARN = "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/demo-AbC123/runtime-endpoint/DEFAULT:DEFAULT"
ENVIRONMENT = {"OTEL_RESOURCE_ATTRIBUTES": f"service.name=demo.DEFAULT,cloud.resource_id={ARN}"}
SESSION = "session-" + "1" * 33
HEADERS = {
    "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id": SESSION,
    "X-Amzn-Bedrock-AgentCore-Runtime-Request-Id": "request-1",
    "baggage": "user.id=bob,other=x",
}


ENTRYPOINTS = {  # model calls in each
    "sync": 1,
    "without_context": 1,
    "coroutine": 1,
    "generator": 2,
    "async_generator": 2,
    "returned_generator": 2,
    "returned_async_generator": 2,
    "response": 2,
    "task": 2,
}


def serve(start: Start, *kinds: str, how: str = "decorator", **env: str) -> Runtime:
    return start("agentcore", "on_agentcore.py", KINDS=",".join(kinds), HOW=how, **{**ENVIRONMENT, **env})


def invoke(runtime: Runtime, kind: str, trace_id: str = TRACE) -> Answer:
    parent = f"00-{trace_id}-{SPAN}-01"
    return runtime.ask(f"/{kind}/invocations", {"prompt": "Hi"}, traceparent=parent, **HEADERS)


def paths(kinds: Iterable[str]) -> list[str]:
    return [f"/{kind}/invocations" for kind in kinds]


@pytest.mark.host(seconds=4)
@pytest.mark.parametrize("how", ["decorator", "above", "middleware"])
def test_no_event_is_lost_when_an_idle_session_is_stopped(start: Start, backend: Backend, cell: Cell, how: str) -> None:
    """A session that is stopped whenever `/ping` says Healthy, and then killed, has sent every event by then: of each
    kind of entrypoint, in the caller's trace and session."""
    kinds = {kind: count for kind, count in ENTRYPOINTS.items() if (kind, how) != ("task", "middleware")}
    with serve(start, *kinds, how=how) as runtime:
        assert set(series(runtime, paths(kinds), stop_when_idle, HEADERS)) == {200}
    events = backend.events
    if how == "middleware":  # to which a `/ping` below a mount is a request like any other
        events = [event for event in events if event["trace_id"].startswith("0" * 16)]
    found = {root["trace_id"]: len(below(root, events)) for root in roots(events)}
    assert found == {trace(number): count for number, count in enumerate(kinds.values())}
    assert {(event["session_id"], event["user_id"]) for event in events} == {(SESSION, "bob")}
    root = roots(events)[0]["metadata"]
    assert (root["faas.name"], root["faas.invocation_id"], root["cloud.region"]) == ("demo", "request-1", "us-east-1")
    if how == "decorator":
        situations: tuple[Situation, ...] = ("sync", "async", "stream")
        for situation in situations:
            seen = "Everything arrives after the response, and before the session is idle."
            cell(HOST, situation, seen, sent="after the response, while the session is busy")
        cell(HOST, "deadline", "None is known.", later="less than 1 ms")


@pytest.mark.host(seconds=4)
def test_before_return_survives_a_stop_right_after_the_response(start: Start, backend: Backend) -> None:
    """With flush_mode="before_return" every event has been sent when the response has ended."""
    kinds = {kind: count for kind, count in ENTRYPOINTS.items() if kind != "task"}  # which captures later
    with serve(start, *kinds, ZESPAN_FLUSH_MODE="before_return") as runtime:
        assert set(series(runtime, paths(kinds), stop_at_once, HEADERS)) == {200}
    events = backend.events
    assert (len(roots(events)), len(calls(events))) == (len(kinds), sum(kinds.values()))


def test_response_does_not_wait_for_the_backend(start: Start, backend: Backend, cell: Cell) -> None:
    """While a backend that never answers is waited for, the response is out, and `/ping` says HealthyBusy; not for
    longer than flush_timeout. The runtime logs no line about it, and the next invocation brings the events. Those of
    eight invocations at once arrive in the callers' traces."""
    with serve(start, "sync", "coroutine", ZESPAN_FLUSH_TIMEOUT="4") as runtime:
        invoke(runtime, "sync")
        asked = [
            runtime.later("/coroutine/invocations", {}, traceparent=traceparent(number), **HEADERS)
            for number in range(8)
        ]
        assert {answer().status for answer in asked} == {200}
        backend.wait_for(18)
        assert {trace(number) for number in range(8)} < {root["trace_id"] for root in roots(backend.events)}
        backend.mode = "hang"
        began = time.monotonic()
        assert invoke(runtime, "sync").status == 200
        assert ping(runtime, "/sync") == "HealthyBusy"
        assert time.monotonic() - began < 3
        until(lambda: ping(runtime, "/sync") == "Healthy")
        backend.mode = "ok"
        invoke(runtime, "sync")
        backend.wait_for(22)
        assert "Async task" not in runtime.log
    cell(HOST, "concurrent", "Everything of eight invocations arrives, each in its own trace.")
    seen = (
        "Everything arrives with the next invocation; no response waits, and the session is busy for `flush_timeout`."
    )
    cell(HOST, "dead backend", seen, outage="kept, then sent")


def test_a_thread_is_used_again_and_two_flushes_run_at_once() -> None:
    """The second of two flushes has the thread of the first; one that begins meanwhile does not wait for it."""
    container: Any = None  # only asked if tasks of the application's own run
    tasks: dict[Any, Any] = {}
    ran: list[int] = []
    busy: list[bool] = []

    def flush() -> None:
        busy.append(bool(tasks))
        ran.append(threading.get_ident())

    for number in (1, 2):
        assert Task(tasks, container).run(flush)
        until(lambda number=number: len(ran) == number and not tasks)  # type: ignore[misc]
    assert busy == [True, True]
    both = threading.Barrier(3, timeout=20)
    for _ in (1, 2):
        assert Task(tasks, container).run(both.wait)
    both.wait()
    until(lambda: not tasks)
    assert ran[0] == ran[1]


def test_a_function_with_a_run_of_its_own() -> None:
    """A function that is no entrypoint is decorated, whatever its attribute `run` refers to, if only later."""

    def agent(payload: Any) -> Any:
        return payload

    def run() -> Any:
        return later

    vars(agent)["run"] = run  # whose closure is still empty
    assert zespan_agentcore(agent)("Hi") == "Hi"
    later = 1


def test_what_becomes_of_errors(start: Start, backend: Backend, cell: Cell) -> None:
    """An exception is in the event, that of a stream, too, which is answered by 200; an HTTPException is a response."""
    kinds = {"fails": 500, "stream_fails": 200, "raised_response": 403, "refused": 404}
    with serve(start, *kinds) as runtime:
        statuses = [invoke(runtime, kind, trace(number)).status for number, kind in enumerate(kinds)]
        events = {root["trace_id"]: root for root in roots(backend.wait_for(8))}
    assert statuses == list(kinds.values())
    fails, stream, raised, refused = (events[trace(number)] for number in range(4))
    assert [event["metadata"].get("error.type") for event in (fails, stream)] == ["LookupError"] * 2
    assert [event["status"] for event in (fails, stream, raised, refused)] == ["error"] * 2 + ["success"] * 2
    assert [event["metadata"]["http.response.status_code"] for event in (raised, refused)] == [403, 404]
    cell(HOST, "exception", "Everything arrives, with the exception, also if a stream is answered with 200.")


def test_client_that_leaves_a_stream(start: Start, backend: Backend) -> None:
    """The invocation ends when the runtime drops the generator that has no reader any more."""
    with serve(start, "endless", "collect") as runtime:
        runtime.listen()
        connection = http.client.HTTPConnection("127.0.0.1", runtime.port, timeout=10)
        connection.request("POST", "/endless/invocations", body=b"{}", headers={"traceparent": TRACEPARENT})
        with connection.getresponse() as response:
            assert response.readline().startswith(b"data:")
        connection.close()

        def is_over() -> bool:
            invoke(runtime, "collect", trace(1))
            return TRACE in [root["trace_id"] for root in roots(backend.events)]

        until(is_over)


@pytest.mark.parametrize("kind", ["websocket", "endless_websocket"])
def test_websocket_is_one_invocation(start: Start, backend: Backend, kind: str) -> None:
    """One event for a connection, in the trace of its request, with the calls that were made in it. It is a success
    when the client leaves, also if the function ends by Starlette's WebSocketDisconnect."""
    with serve(start, kind, "sync") as runtime:
        runtime.listen()
        address = f"ws://127.0.0.1:{runtime.port}/{kind}/ws"
        with connect(address, additional_headers={"traceparent": TRACEPARENT, **HEADERS}) as socket:
            for _ in range(2):
                socket.send("Hi")
                assert socket.recv(timeout=10) == "asked"
        events = backend.wait_for(3)
    (root,) = roots(events)
    assert len(below(root, events)) == 2
    assert (root["trace_id"], root["session_id"], root["status"]) == (TRACE, SESSION, "success")
    assert (root["metadata"]["url.path"], root["metadata"]["network.protocol.name"]) == ("/ws", "websocket")


def test_sigterm_with_a_request_in_flight(start: Start, backend: Backend, model: ModelEndpoint, cell: Cell) -> None:
    """The server answers what is in flight, and its events are sent before the process ends."""
    model.latency_ms = 1000
    with serve(start, "coroutine", ZESPAN_FLUSH_TIMEOUT="5") as runtime:
        answer = runtime.later("/invocations", {"prompt": "Hi"}, traceparent=TRACEPARENT)
        until(lambda: model.requests)
        runtime.terminate()
        assert answer().status == 200
        assert runtime.wait().code is not None
    assert len(roots(backend.events)) == len(calls(backend.events)) == 1
    cell(HOST, "SIGTERM", "The current invocation ends, and everything arrives.", stopped="everything is sent")


@pytest.mark.host(seconds=5)
def test_frameworks_inside(start: Start, backend: Backend) -> None:
    """The calls of Strands, of the Agents SDK and of LangGraph are below the invocation that they are made in."""
    kinds = {"strands": 2, "openai_agents": 1, "langgraph": 1}
    with serve(start, *kinds) as runtime:
        for number, kind in enumerate(kinds):
            assert invoke(runtime, kind, trace(number)).status == 200
        events = backend.wait_for(7)
    found = {root["trace_id"]: len(below(root, events)) for root in roots(events)}
    assert found == {trace(number): count for number, count in enumerate(kinds.values())}


def test_function_gets_what_the_runtime_passes(start: Start) -> None:
    """The payload, and the context where the second parameter has that name; coroutines run in the runtime's second
    loop."""
    with serve(start, "coroutine", "without_context") as runtime:
        assert json.loads(invoke(runtime, "coroutine").body) == {"session": SESSION, "thread": "agentcore-worker-loop"}
        assert json.loads(invoke(runtime, "without_context").body) == {"prompt": "Hi"}
