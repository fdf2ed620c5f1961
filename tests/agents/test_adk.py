"""The plugin in ADK's own server and runner, whose process gets no CPU after a response."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests import environments
from tests.agents.support import Runtime, series, stop_at_once, trace, traceparent
from tests.hosts import Cell
from tests.support import below, roots, until
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=4)

HOST = "Google Agent Engine"
ENGINE = {
    "GOOGLE_CLOUD_AGENT_ENGINE_ID": "42",
    "GOOGLE_CLOUD_PROJECT": "project",
    "GOOGLE_CLOUD_LOCATION": "us-central1",
}


def test_no_event_is_lost_when_a_process_gets_no_cpu_after_a_response(
    start: Callable[..., Runtime], backend: Backend, cell: Cell
) -> None:
    """A process that is stopped as soon as each response is complete, and then killed, has sent every event: of whole
    and streamed runs, and of one that fails, in the caller's trace, with session and user."""
    with start("adk", "on_adk.py", **ENGINE) as runtime:
        runs = [("/run", "Hi"), ("/run_sse", "Hi"), ("/run_sse", "fails")]
        bodies = []
        for number, (_, text) in enumerate(runs):
            assert runtime.ask(f"/apps/demo/users/bob/sessions/s{number}", {}).status == 200
            message = {"role": "user", "parts": [{"text": text}]}
            body = {"app_name": "demo", "user_id": "bob", "session_id": f"s{number}", "new_message": message}
            bodies.append({**body, "streaming": True, "custom_metadata": {"traceparent": traceparent(number)}})
        assert series(runtime, [path for path, _ in runs], stop_at_once, {}, bodies) == [200, 200, 200]
    events = backend.events
    found = {root["trace_id"]: root for root in roots(events)}
    whole, streamed, failed = (found[trace(number)] for number in range(3))
    assert all(len(below(root, events)) == 1 for root in (whole, streamed, failed))
    assert {(event["trace_id"], event["session_id"], event["user_id"]) for event in events} == {
        (trace(number), f"s{number}", "bob") for number in range(3)
    }
    assert [root["metadata"].get("error.type") for root in (whole, streamed, failed)] == [None, None, "LookupError"]
    assert (whole["operation"], whole["metadata"]["cloud.platform"], whole["metadata"]["faas.instance"]) == (
        *("demo", "gcp_agent_engine", "42"),
    )

    seen = "Everything arrives before the response ends."
    cell(HOST, "async", seen, sent="before the response ends", later="the round trip to the backend")
    cell(HOST, "sync", "A run is asynchronous; what it calls may be a `def`.")
    cell(HOST, "stream", "Each piece passes at once; everything arrives before the end of the stream.")
    cell(HOST, "exception", "Everything arrives, with the exception, also if a stream is answered with 200.")
    cell(HOST, "deadline", "None is known.")


def test_runs_at_once_an_outage_and_sigterm(
    start: Callable[..., Runtime], backend: Backend, model: ModelEndpoint, cell: Cell
) -> None:
    """Eight runs at once have a trace each. A run during an outage ends within flush_timeout, and its events come with
    the next; SIGTERM waits for a run, whose events are sent."""

    def body(session: str) -> dict[str, object]:
        assert runtime.ask(f"/apps/demo/users/bob/sessions/{session}", {}).status == 200
        message = {"role": "user", "parts": [{"text": "Hi"}]}
        return {"app_name": "demo", "user_id": "bob", "session_id": session, "new_message": message}

    with start("adk", "on_adk.py", **ENGINE, ZESPAN_FLUSH_TIMEOUT="0.5") as runtime:
        bodies = [body(f"s{number}") for number in range(8)]
        assert {answer().status for answer in [runtime.later("/run", one) for one in bodies]} == {200}
        backend.wait_for(16)
        backend.mode = 503
        assert runtime.ask("/run", body("s8")).status == 200
        backend.mode, model.latency_ms = "ok", 1000
        answer, asked = runtime.later("/run", body("s9")), len(model.requests)
        until(lambda: len(model.requests) > asked)
        runtime.terminate()
        assert answer().status == 200
        assert runtime.wait().code is not None
    found = {root["session_id"]: len(below(root, backend.events)) for root in roots(backend.events)}
    assert found == {f"s{number}": 1 for number in range(10)}
    cell(HOST, "concurrent", "Everything of eight runs arrives, each in a trace of its own.")
    seen = "Everything arrives with the next run; the end of a response is held for `flush_timeout` at most."
    cell(HOST, "dead backend", seen, outage="kept, then sent; three responses wait")
    cell(HOST, "SIGTERM", "The current run ends, and everything arrives.", stopped="everything is sent")


def test_runs_of_a_runner() -> None:
    """Runs that return, raise, are left and are cancelled are traced, and so is what follows in the same task; a
    pickled and a copied plugin works as well; the application of the page has the plugin."""
    python = environments.installed("agents", "adk")
    with ModelEndpoint(latency_ms=1) as model:
        env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-test"}
        printed = environments.run(python, "tests.agents.apps.adk_runs", seconds=100, **env)
    assert [json.loads(line) for line in printed.splitlines() if line.startswith("{")] == [
        {"answer": "Hello, serverless world!", "events": 2},
        {"answer": "LookupError", "errors": [None, "LookupError"]},
        {"events": 8, "cancelled": "CancelledError"},
        *[{"answer": "Hello, serverless world!", "name": "zespan"}] * 2,
        {"events": 12},
        {"events": 16, "traces": 2, "roots": 2},
        {"page": "chat", "plugins": ["ZespanPlugin"]},
    ]
