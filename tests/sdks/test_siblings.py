"""The SDK's packages for FastAPI, Flask, AutoGen and CrewAI, each as its guide says, with this package added."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests import environments
from zespan_serverless import testing

if TYPE_CHECKING:
    from zespan_serverless_dev.emulator.model import ModelEndpoint

pytestmark = pytest.mark.slow
Event = dict[str, Any]


def play(program: str, environment: str, model: ModelEndpoint, **environ: str) -> list[list[Event]]:
    """Return the events by trace, the first trace first. All have arrived by our delivery, with the guide's key."""
    group = "heavy" if environment == "crewai" else "zespan"
    python = environments.installed(group, environment)
    with testing.Backend() as backend:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ZESPAN_")}
        done = subprocess.run(
            [python, "-W", "ignore", "-m", "tests.sdks.siblings", program, model.url, backend.url],
            env={**kept, "PYTHONPATH": str(environments.ROOT), "ZESPAN_ENABLED": "1", **environ},
            cwd=environments.ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert {(one.path, one.headers["x-api-key"]) for one in backend.requests} == {("/v1/ingest", "zsp_guide")}
        traces: dict[str, list[Event]] = {}
        for event in backend.events:
            traces.setdefault(event["trace_id"], []).append(event)
        return list(traces.values())


def _root(events: list[Event]) -> Event:
    (root,) = [event for event in events if event["parent_span_id"] is None]
    assert "start_kind" in root["metadata"]
    return root


def _one(events: list[Event], **fields: str) -> Event:
    (found,) = [event for event in events if all(event[name] == value for name, value in fields.items())]
    return found


@pytest.mark.parametrize("program", ["flask", "fastapi", "fastapi inside"])
def test_a_request_is_a_step_of_the_invocation_that_serves_it(program: str, model: ModelEndpoint) -> None:
    """Once, with its attributes and its status, whichever middleware is outside; this package traces the model call."""
    first, second, missing = play(program, "web", model)
    for events in (first, second):
        root = _root(events)
        assert len(events) == 3
        call = _one(events, span_kind="llm")
        (request,) = [event for event in events if event not in (root, call)]
        assert (call["parent_span_id"], request["parent_span_id"]) == (root["span_id"], root["span_id"])
        assert call["output_tokens"] > 0
        assert request["operation"] == "GET /chat"
        assert (request["metadata"]["session.id"], request["metadata"]["llm.prompt"]) == ("s", "Hi")
    root = _root(missing)
    (request,) = [event for event in missing if event is not root]
    assert (request["status"], request["metadata"]["http.response.status_code"]) == ("error", 404)


@pytest.mark.parametrize("program", ["flask", "fastapi"])
def test_prompts_are_not_stored(program: str, model: ModelEndpoint) -> None:
    """What `observe_llm` has noted of a prompt is one."""
    first, _, _ = play(program, "web", model, ZESPAN_STORE_PROMPTS="0")
    assert not any("llm.prompt" in (event.get("metadata") or {}) for event in first)
    assert any("llm.model" in (event.get("metadata") or {}) for event in first)


def test_a_team_is_a_step(model: ModelEndpoint) -> None:
    """AutoGen: the conversation has a duration, its messages are below it, and the model's call is recorded once."""
    (events,) = play("autogen", "autogen", model)
    root, call = _root(events), _one(events, span_kind="llm")
    talk = _one(events, operation="conversation")
    messages = [event for event in events if event["operation"] == "agent.message"]
    assert len(events) == 5
    assert call["sdk_name"] == "zespan-serverless-python"
    assert talk["parent_span_id"] == root["span_id"]
    assert talk["latency_ms"] > 0
    assert {event["parent_span_id"] for event in messages} == {talk["span_id"]}
    assert [event["metadata"]["source"] for event in messages] == ["user", "assistant"]


def test_a_crew_is_a_step(model: ModelEndpoint) -> None:
    """CrewAI: crew, agent and task are one event each with a duration, although its own threads report them late."""
    for events in play("crewai", "crewai", model):
        root, call = _root(events), _one(events, span_kind="llm")
        crew = _one(events, operation="crew.kickoff crew")
        agent = _one(events, span_kind="agent")
        task = _one(events, operation="task")
        assert len(events) == 5
        assert (call["trace_id"], crew["parent_span_id"]) == (root["trace_id"], root["span_id"])
        assert {agent["parent_span_id"], task["parent_span_id"]} == {crew["span_id"]}
        assert agent["latency_ms"] > 0
        assert crew["metadata"]["output"] == task["metadata"]["output"] == "Hello, serverless world!"
