"""The function of the SDK's guide on Lambda's own runtime: what arrives, and what it costs the caller."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from zespan_serverless_dev.emulator.lambda_rie import HOOKS, Sandbox
from zespan_serverless_dev.emulator.model import ModelEndpoint

from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=90)
FOLDER = Path(__file__).parent / "functions"
ROOT = Path(__file__).parents[2]
Event = dict[str, Any]
QUICK = {"flush": False}


class Start(Protocol):
    def __call__(self, **options: Any) -> Sandbox: ...


@pytest.fixture
def start(backend: Backend, model: ModelEndpoint) -> Iterator[Start]:
    if sys.platform != "linux":
        pytest.skip("AWS builds its emulator for Linux only")
    with ExitStack() as stack:

        def start(**options: Any) -> Sandbox:
            environment = {
                "PYTHONPATH": os.pathsep.join(map(str, (HOOKS, ROOT, FOLDER))),
                "BACKEND": backend.url,
                "OPENAI_BASE_URL": model.url,
                "OPENAI_API_KEY": "k",
            }
            sandbox = Sandbox("guide.handler", FOLDER, env=environment, **{"timeout": 20, **options})
            return stack.enter_context(sandbox)

        yield start


def _check(events: list[Event], invocations: int) -> None:
    """Each invocation has a root, a model call and a step, once, in one trace."""
    assert len({event["event_id"] for event in events}) == len(events)
    traces: dict[str, list[Event]] = {}
    for event in events:
        traces.setdefault(event["trace_id"], []).append(event)
    assert len(traces) == invocations
    for trace in traces.values():
        (root,) = [event for event in trace if "start_kind" in (event.get("metadata") or {})]
        (call,) = [event for event in trace if event["span_kind"] == "llm"]
        (step,) = [event for event in trace if event is not root and event is not call]
        assert {call["parent_span_id"], step["parent_span_id"]} == {root["span_id"]}
        assert (call["sdk_name"], call["user_id"]) == ("zespan-serverless-python", "u")
        assert root["user_id"] == "u" or root["status"] != "success"


@pytest.mark.parametrize("event", [{}, QUICK], ids=["flush", "no flush"])
def test_frozen_after_each_response(start: Start, backend: Backend, event: Event) -> None:
    """Every invocation's events arrive before the process is frozen, with the guide's flush and without it."""
    sandbox = start()
    for number in (1, 2, 3):
        assert sandbox.invoke(event).payload == "Hello, serverless world!"
        _check(backend.events, number)
    assert {request.headers["x-api-key"] for request in backend.requests} == {"zsp_guide"}


def test_a_cold_start_imports_no_other_provider(start: Start) -> None:
    """The SDK's `autopatch`, which is on by default, would import boto3, and start a thread."""
    assert start().invoke({"modules": ["openai", "boto3"]}).payload == "openai"


@pytest.mark.parametrize("mode", ["refuse", "hang"])
def test_backend_that_is_gone_costs_the_caller_nothing(start: Start, backend: Backend, mode: Any) -> None:
    """The SDK's own flush takes 27 s with a backend that hangs; here no response waits, and nothing is lost."""
    sandbox = start()
    sandbox.invoke(QUICK)
    backend.mode = mode
    answers = [sandbox.invoke(QUICK) for _ in range(2)]
    assert max(answer.response_ms or 9999 for answer in answers) < 1000
    backend.mode = "ok"
    sandbox.invoke({})
    _check(backend.wait_for(12), 4)


def test_flush_by_hand_has_an_end(start: Start, backend: Backend) -> None:
    """`zespan.flush()` waits no longer than flush_timeout for a backend that hangs, and the events are kept."""
    sandbox = start()
    sandbox.invoke(QUICK)
    backend.mode = "hang"
    answer = sandbox.invoke({})
    assert answer.payload == "Hello, serverless world!"
    assert (answer.response_ms or 9999) < 5000
    backend.mode = "ok"
    sandbox.invoke({})
    _check(backend.wait_for(9), 3)


@pytest.mark.parametrize("event", [{"sleep": 30}, {"kill": True}, {"exit": True}], ids=["timeout", "SIGKILL", "exit"])
def test_process_that_is_killed(start: Start, backend: Backend, event: Event) -> None:
    """What it has captured arrives with the next process of the sandbox, and the invocation is reported as failed."""
    sandbox = start(timeout=12)
    sandbox.invoke(QUICK)
    assert sandbox.invoke(event).payload != "Hello, serverless world!"
    sandbox.invoke(QUICK)
    events = backend.wait_for(9)
    _check(events, 3)
    roots = [one for one in events if "start_kind" in (one.get("metadata") or {})]
    assert sum(root["status"] != "success" for root in roots) == 1


def test_sigterm_delivers_what_is_left(start: Start, backend: Backend) -> None:
    """At the end of the sandbox the SDK's `atexit` is not called; ours flushes."""
    sandbox = start()
    sandbox.invoke(QUICK)
    backend.mode = "refuse"
    sandbox.invoke(QUICK)
    backend.mode = "ok"
    sandbox.stop()
    _check(backend.wait_for(6), 2)
