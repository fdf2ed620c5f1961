"""Web applications on Lambda: under Mangum, and as servers behind the Web Adapter."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.lambda_rie import Invoke, Sandbox

from tests.aws_lambda.support import StartFunction, roots, until
from tests.documentation import PAGES, blocks
from tests.documentation import run as run_block
from tests.hosts import Cell, later
from zespan_serverless import testing
from zespan_serverless.testing import Backend

ADAPTER = Path(__file__).with_name("web_adapter.py")
EVENT: dict[str, Any] = json.loads((ADAPTER.parents[1] / "events" / "aws_lambda" / "function-url.json").read_text())
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
MANGUM, SERVED = "Lambda, Mangum", "Lambda, Web Adapter on the emulator"
LATENCY = 0.2


def get(path: str) -> dict[str, Any]:
    """Return a request to a function URL."""
    request = EVENT["requestContext"] | {"http": EVENT["requestContext"]["http"] | {"method": "GET", "path": path}}
    headers = {"host": "a1.lambda-url.us-east-1.on.aws", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    return EVENT | {
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "cookies": [],
        "body": None,
        "isBase64Encoded": False,
        "requestContext": request,
    }


def responded(answer: Invoke) -> float:
    """Return when Lambda's caller had the response, seconds since the epoch."""
    assert answer.response_ms is not None
    return answer.sent + answer.response_ms / 1000


def backend_had(backend: Backend) -> float:
    """Return when the last request to the backend was answered."""
    answered = backend.requests[-1].answered
    assert answered is not None
    return answered


@pytest.fixture
def serve(start: StartFunction, tmp_path: Path) -> Callable[..., Sandbox]:
    """A sandbox with uvicorn behind the stand-in for the Web Adapter."""
    wrapper = tmp_path / "adapter"
    server = f"{sys.executable} -m uvicorn web:app --port {{port}} --log-level warning"
    wrapper.write_text(f"#!/bin/sh\nexec {sys.executable} {ADAPTER} {server}\n")
    wrapper.chmod(0o755)

    def serve(**options: Any) -> Sandbox:
        options["env"] = {"PATH": os.environ["PATH"], **options.get("env", {})}
        return start("web.app", wrapper=wrapper, **options)

    return serve


@pytest.mark.parametrize("handler", ["web.both", "web.outside"])
def test_mangum_does_not_wait_for_the_backend(start: StartFunction, backend: Backend, cell: Cell, handler: str) -> None:
    """One root event a call, in the caller's trace, after the response, though Mangum ends the lifespan each time."""
    backend.latency = LATENCY
    sandbox = start(handler, timeout=10)
    for number in (1, 2, 3):
        answer = sandbox.invoke(get("/greetings/ada"))
        sandbox.freeze()
        assert answer.payload["statusCode"] == 200
        assert len(backend.events) == 2 * number
        assert len(backend.requests) == number  # none before the one after the response
        assert responded(answer) < backend_had(backend)
    events = roots(backend.events)[1::2]
    assert [event["metadata"]["start_kind"] for event in events] == ["cold", "warm", "warm"]
    assert {event["trace_id"] for event in backend.events} == {TRACE}
    assert {event["parent_span_id"] for event in events} == {SPAN}
    assert events[-1]["metadata"]["http.response.status_code"] == 200
    seen = "Everything arrives after the response. Mangum's lifespan shutdown at every call holds nothing."
    cell(MANGUM, "async", seen, sent="after the response", later="less than the round trip to the backend")
    cell(MANGUM, "sync", "As `async def`: Mangum runs the application on an event loop.")
    cell(MANGUM, "concurrent", "Lambda gives a sandbox one request at a time.")


def test_mangum_with_the_middleware_alone(start: StartFunction, backend: Backend) -> None:
    """Without `zespan_lambda` nothing runs after the response: it is held, and the events are there."""
    backend.latency = LATENCY
    sandbox = start("web.inside", timeout=10)
    for number in (1, 2):
        answer = sandbox.invoke(get("/greetings/ada"))
        assert len(backend.events) == 2 * number
        assert responded(answer) > backend_had(backend)


@pytest.mark.parametrize(("handler", "kind"), [("web.both", "ValueError"), ("web.outside", "500")])
def test_mangum_and_exceptions(start: StartFunction, backend: Backend, cell: Cell, handler: str, kind: str) -> None:
    """An exception that comes out as a 500 has made the invocation fail; with the middleware inside, which is known."""
    answer = start(handler).invoke(get("/boom"))
    assert answer.payload["statusCode"] == 500
    (root,) = roots(backend.events)
    assert (root["status"], root["metadata"]["error.type"]) == ("error", kind)
    assert root["error_message"] == {"ValueError": "boom", "500": "HTTP 500"}[kind]
    assert "error.message" not in root["metadata"]
    cell(
        MANGUM,
        "exception",
        "Everything arrives as failed: by the status; with the middleware inside, by the exception.",
    )


def test_mangum_streams_and_background_tasks(start: StartFunction, backend: Backend, cell: Cell) -> None:
    """Mangum waits for both: they are whole, and part of the trace."""
    sandbox = start("web.both", timeout=10)
    assert sandbox.invoke(get("/stream")).payload["body"] == "0\n1\n2\n"
    sandbox.invoke(get("/background"))
    operations = [event["operation"] for event in backend.events]
    assert (operations.count("piece"), operations.count("later")) == (3, 1)
    cell(MANGUM, "stream", "Everything arrives after the response, which Mangum sends in one piece.")


def test_mangum_and_an_outage(start: StartFunction, backend: Backend, cell: Cell) -> None:
    """A backend that hangs holds no response and makes nothing time out; scaling down sends what it has missed."""
    sandbox = start("web.both", timeout=6, env={"ZESPAN_FLUSH_TIMEOUT": "30"})
    until(lambda: sandbox.invoke(get("/none")).payload)  # an init may take longer than that
    backend.mode = "hang"
    answers = [sandbox.invoke(get("/greetings/ada")) for _ in range(2)]
    assert [answer.payload["statusCode"] for answer in answers] == [200, 200]
    assert not any(answer.timed_out for answer in answers)
    backend.mode = "ok"
    sandbox.stop()
    assert [event["operation"] for event in backend.events].count("work") == 2
    seen = f"Everything arrives at SIGTERM; a response takes {later(answers[1].response_ms or 0)}."
    cell(MANGUM, "dead backend", seen, outage="kept, then sent")
    seen = f"The invocation is over after {answers[1].wall_ms:.0f} of 6,000 ms, though the backend hangs."
    cell(MANGUM, "deadline", seen)
    cell(MANGUM, "SIGTERM", "Everything in memory arrives.", stopped="everything in memory is sent")


def test_adapter_holds_the_last_piece(serve: Callable[..., Sandbox], backend: Backend, cell: Cell) -> None:
    """A sandbox that is frozen right after the response has delivered everything, in the caller's trace."""
    backend.latency = LATENCY
    sandbox = serve(timeout=10)
    request_id = None
    for number in (1, 2, 3):
        answer = sandbox.invoke(get("/greetings/ada"))
        sandbox.freeze()
        request_id = answer.request_id
        assert answer.payload["statusCode"] == 200, answer.log
        assert len(backend.events) == 2 * number
        assert responded(answer) > backend_had(backend)
    root = backend.events[-1]
    assert (root["trace_id"], root["parent_span_id"]) == (TRACE, SPAN)
    said = root["metadata"]
    assert said["faas.name"] == "emulated"
    assert said["faas.invocation_id"] == request_id
    assert 9_000 < said["time_left_at_start_ms"] <= 10_000
    backend.latency = 0
    took = sorted((sandbox.invoke(get("/greetings/ada")).response_ms or 0) for _ in range(11))[5]
    off = serve(timeout=10, env={"ZESPAN_ENABLED": "0"})
    bare = sorted((off.invoke(get("/greetings/ada")).response_ms or 0) for _ in range(11))[5]
    seen = f"Everything arrives before the last piece, which is {later(took - bare)} later plus the way to the backend."
    cell(SERVED, "async", seen, sent="before the response ends", later="the round trip to the backend")
    cell(SERVED, "sync", "As `async def`.")
    cell(SERVED, "concurrent", "Lambda gives a sandbox one request at a time.")


def test_adapter_and_a_stream(serve: Callable[..., Sandbox], backend: Backend, cell: Cell) -> None:
    """It is whole, and so is its trace, when the sandbox is frozen."""
    sandbox = serve(timeout=10)
    answer = sandbox.invoke(get("/stream"))
    sandbox.freeze()
    assert answer.payload["body"] == "0\n1\n2\n"
    assert [event["operation"] for event in backend.events] == ["piece"] * 3 + ["GET /stream"]


def test_adapter_that_streams(serve: Callable[..., Sandbox], backend: Backend, cell: Cell) -> None:
    """Each piece has left before its events are sent, and the end of the stream waits for them."""
    backend.latency = LATENCY
    sandbox = serve(timeout=10, env={"AWS_LWA_INVOKE_MODE": "response_stream"})
    sandbox.invoke(get("/stream"))  # opens the connection to the backend
    answer = sandbox.invoke(get("/stream"))
    sandbox.freeze()
    prelude, _, body = answer.body.partition("\0" * 8)
    assert (json.loads(prelude)["statusCode"], body) == (200, "0\n1\n2\n")
    assert [event["operation"] for event in backend.events] == [*["piece"] * 3, "GET /stream"] * 2
    posted = [float(found) for found in re.findall(r"ADAPTER POSTED ([\d.]+)", answer.log)]
    assert len(posted) == 4
    assert posted[-1] < backend_had(backend) < answer.sent + answer.wall_ms / 1000
    cell(SERVED, "stream", "Each piece passes at once; everything arrives before the end of the stream.")


def test_adapter_and_exceptions(serve: Callable[..., Sandbox], backend: Backend, cell: Cell) -> None:
    """The server answers 500, and the event has the exception."""
    assert serve().invoke(get("/boom")).payload["statusCode"] == 500
    (root,) = backend.events
    assert (root["status"], root["metadata"]["error.type"]) == ("error", "ValueError")
    cell(SERVED, "exception", "Everything arrives, with the exception.")


def test_adapter_and_the_deadline(serve: Callable[..., Sandbox], backend: Backend, cell: Cell) -> None:
    """A backend that hangs does not make a function time out, whatever the flush_timeout."""
    sandbox = serve(timeout=6, env={"ZESPAN_FLUSH_TIMEOUT": "30"})
    until(lambda: sandbox.invoke(get("/none")).payload)  # an init may take longer than that
    backend.mode = "hang"
    answer = sandbox.invoke(get("/greetings/ada"))
    assert answer.payload["statusCode"] == 200
    assert not answer.timed_out
    cell(SERVED, "deadline", f"The response left after {answer.response_ms:.0f} of 6,000 ms, though the backend hangs.")


def test_adapter_and_a_dead_backend(serve: Callable[..., Sandbox], backend: Backend, cell: Cell) -> None:
    """Responses wait for flush_timeout until the breaker opens, and then for nothing; events wait and arrive."""
    backend.mode = 503
    sandbox = serve(timeout=10, env={"ZESPAN_FLUSH_TIMEOUT": "0.3"})
    took = [sandbox.invoke(get("/greetings/ada")).response_ms or 0 for _ in range(6)]
    assert backend.events == []
    attempts = len(backend.requests)
    sandbox.invoke(get("/greetings/ada"))
    assert len(backend.requests) == attempts
    seen = f"Events wait. Responses take {later(max(took[1:]))} at most, with the breaker open {later(took[-1])}."
    cell(SERVED, "dead backend", seen, outage="kept, then sent; three responses wait")


def test_adapter_and_sigterm(serve: Callable[..., Sandbox], backend: Backend, cell: Cell) -> None:
    """What an outage has left in memory is sent when the sandbox is scaled down."""
    backend.mode = 503
    sandbox = serve(timeout=10, extension=True, env={"ZESPAN_FLUSH_TIMEOUT": "0.3"})
    sandbox.invoke(get("/greetings/ada"))
    backend.mode = "ok"
    sandbox.stop()
    assert [event["operation"] for event in backend.events] == ["work", "GET /greetings/{name}"]
    seen = "Everything in memory arrives. Lambda sends the signal because the Adapter is an extension."
    cell(SERVED, "SIGTERM", seen, stopped="everything is sent")


def test_the_documented_application() -> None:
    """Mangum's answer, and one event for it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # Lambda's main thread has none either; Mangum makes one, and never closes it
    try:
        with testing.recording() as events:
            answer = run_block(blocks(PAGES["hosts/lambda-web"])[0]).handler(get("/my/path"), testing.LambdaContext())
    finally:
        loop.close()
        asyncio.set_event_loop(None)
    assert answer["statusCode"] == 200
    assert [event["metadata"]["http.response.status_code"] for event in events] == [200]
