"""Frameworks that call models: whatever way a call takes, it is one event, in the trace of the invocation.

Each framework is the real one, in an environment of its own. `program.py` runs its scenarios against a local endpoint.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from tests import environments
from tests.frameworks.model import INPUT, OUTPUT

pytestmark = pytest.mark.host(seconds=30)

FRAMEWORKS = {
    "crewai_": ("heavy", "crewai"),
    "dspy_": ("frameworks", "agents"),
    "langchain": ("frameworks", "langchain"),
    "litellm_": ("frameworks", "agents"),
    "llamaindex": ("frameworks", "llamaindex"),
    "openai_agents": ("frameworks", "agents"),
    "pydanticai": ("frameworks", "agents"),
    "strands_": ("frameworks", "agents"),
}
"""Module with the scenarios -> the environment that they run in."""
CALLS = ("llm", "embedding")


@functools.cache
def seen(framework: str) -> dict[str, Any]:
    """Scenario -> what has been seen of it."""
    python = environments.installed(*FRAMEWORKS[framework])
    printed: dict[str, Any] = json.loads(
        environments.run(python, "tests.frameworks.program", framework).splitlines()[-1]
    )
    return printed


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_call_of_a_model_is_one_event_with_tokens(framework: str) -> None:
    """As many events as the endpoint has had requests; all have its tokens, or the status of what was refused."""
    for name, scenario in seen(framework).items():
        calls = [event for event in scenario["events"] if event["span_kind"] in CALLS]
        assert scenario["paths"], (name, scenario["result"])
        assert len(calls) == len(scenario["paths"]), (name, calls)
        for event in calls:
            if "fails" in name:
                assert event["status"] == "error", name
                assert "raised" in scenario["result"], name
            else:
                output = 0 if event["span_kind"] == "embedding" else OUTPUT
                assert (event["status"], event["input_tokens"], event["output_tokens"]) == ("success", INPUT, output), (
                    name
                )
                assert "raised" not in scenario["result"], name


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_call_of_a_model_is_in_the_trace_of_the_invocation(framework: str) -> None:
    """Also from threads, tasks and event loops of the framework, on a host that runs several invocations at once."""
    for name, scenario in seen(framework).items():
        (root,) = [event for event in scenario["events"] if event["parent_span_id"] is None]
        ids = {event["span_id"] for event in scenario["events"]}
        for event in scenario["events"]:
            assert event["trace_id"] == root["trace_id"], name
            assert event is root or event["parent_span_id"] in ids, name


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_rounds_with_a_tool_are_two_events(framework: str) -> None:
    """The model asks for the tool in the first call, and answers in the second one."""
    rounds = [name for name in seen(framework) if ("tool" in name or "agent" in name) and framework != "litellm_"]
    for name in rounds:
        calls = [event for event in seen(framework)[name]["events"] if event["span_kind"] in CALLS]
        assert [event["finish_reason"] in ("tool_calls", "tool_use", "STOP") for event in calls] in (
            [True, False],
            [True, True],
        ), name
        assert [bool(event["tools_used"]) for event in calls] == [True, False], name
