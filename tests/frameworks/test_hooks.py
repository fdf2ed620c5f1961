"""The hooks of frameworks: steps are spans of their kind, and what is called inside belongs to them.

Each framework is the real one, in an environment of its own, on a host that runs several invocations at once.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
from typing import Any

import pytest

from tests import environments
from zespan_serverless import frameworks
from zespan_serverless.errors import ConfigurationError

pytestmark = pytest.mark.host(seconds=20)

FRAMEWORKS = {"hooked_agents": "agents", "hooked_langchain": "langchain", "hooked_dspy": "agents"}
AGENTS = ("hooked_agents", "hooked_langchain")
FORECAST: Any = (
    "agent forecaster",
    [("llm chat", []), ("tool weather", [("general look up", [])]), ("llm chat", [])],
)


@functools.cache
def seen(framework: str, settings: str = "") -> dict[str, Any]:
    """Scenario -> what has been seen of it."""
    python = environments.installed("frameworks", FRAMEWORKS[framework])
    stores = "false" if settings else "true"
    program = "tests.frameworks.program"
    lines = environments.run(python, program, framework, ZESPAN_STORE_PROMPTS=stores).splitlines()
    printed: dict[str, Any] = json.loads(lines[-1])
    return printed


def tree(scenario: dict[str, Any]) -> Any:
    """The kinds and names of the events below the invocation's, in the order of their ends."""
    events = scenario["events"]
    (root,) = [event for event in events if event["parent_span_id"] is None]

    def below(span_id: str) -> Any:
        return [
            (f"{event['span_kind']} {event['operation']}", below(event["span_id"]))
            for event in events
            if event["parent_span_id"] == span_id
        ]

    return below(root["span_id"])


def one(scenario: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the only event of a kind."""
    (event,) = [event for event in scenario["events"] if event["span_kind"] == kind]
    return dict(event)


@pytest.mark.parametrize(
    ("framework", "name"),
    [
        ("hooked_agents", "tool"),
        ("hooked_agents", "sync"),
        ("hooked_langchain", "tool"),
        ("hooked_langchain", "async tool"),
        ("hooked_langchain", "streamed tool"),
    ],
)
def test_models_and_tools_are_below_the_agent(framework: str, name: str) -> None:
    """And a span of the user's is below the tool that opens it."""
    assert tree(seen(framework)[name]) == [FORECAST]


@pytest.mark.parametrize("framework", AGENTS)
def test_only_calls_of_models_have_tokens_and_all_have_the_agent(framework: str) -> None:
    """The agent's own event and those of its tools count nothing."""
    events = seen(framework)["tool"]["events"]
    calls = [event for event in events if event["span_kind"] == "llm"]
    assert [event["input_tokens"] for event in calls] == [12, 12]
    assert not any(event["input_tokens"] for event in events if event["span_kind"] != "llm")
    assert {event["agent_name"] for event in events if event["parent_span_id"]} == {"forecaster"}
    agent = one(seen(framework)["tool"], "agent")
    assert agent["agent_framework"] == {"hooked_agents": "openai-agents", "hooked_langchain": "langchain"}[framework]
    assert {event["agent_id"] for event in calls} == {agent["agent_id"]}


@pytest.mark.parametrize("framework", AGENTS)
def test_a_tool_has_its_arguments_and_its_result(framework: str) -> None:
    """As the tool got and gave them."""
    tool = one(seen(framework)["tool"], "tool")
    assert json.loads(tool["tool_call_args"]) == {"city": "Bern"}
    assert "It is sunny in Bern." in tool["tool_call_result"]


@pytest.mark.parametrize("framework", AGENTS)
def test_without_stored_prompts_no_content_is_sent(framework: str) -> None:
    """Neither arguments nor results; names and durations are."""
    scenarios = seen(framework, "no prompts")
    assert tree(scenarios["tool"]) == [FORECAST]
    assert "Bern" not in json.dumps([scenario["events"] for scenario in scenarios.values()])
    assert "It is sunny" not in json.dumps([scenario["events"] for scenario in scenarios.values()])


@pytest.mark.parametrize("framework", AGENTS)
def test_a_model_that_is_called_in_a_tool_is_below_the_tool(framework: str) -> None:
    """Or below the innermost span that the user has opened in it."""
    inner: Any = ("general inner", [("general innermost", [("llm chat", [])])])
    assert tree(seen(framework)["calls in a tool"]) == [
        ("agent forecaster", [("llm chat", []), ("tool asks", [("llm chat", []), inner]), ("llm chat", [])])
    ]


@pytest.mark.parametrize("framework", AGENTS)
def test_a_tool_that_raises_is_an_error(framework: str) -> None:
    """So is its agent; the user gets the framework's exception."""
    scenario = seen(framework)["failing tool"]
    assert "raised" in scenario["result"]
    assert [one(scenario, kind)["status"] for kind in ("tool", "agent")] == ["error", "error"]
    assert scenario["events"][-1]["status"] == "success"  # the invocation


def test_a_handoff_names_both_agents() -> None:
    """It belongs to the agent that hands over; the other agent stands beside."""
    scenario = seen("hooked_agents")["handoff"]
    assert tree(scenario) == [
        ("agent front desk", [("llm chat", []), ("handoff handoff", [])]),
        ("agent forecaster", [("llm chat", [])]),
    ]
    handoff = one(scenario, "handoff")
    assert (handoff["agent_name"], handoff["metadata"]["to_agent"]) == ("front desk", "forecaster")


def test_agents_at_the_same_time_do_not_mix() -> None:
    """Each call belongs to the agent whose task makes it."""
    found = dict(tree(seen("hooked_agents")["several"]))
    assert found == {"agent one": FORECAST[1], "agent two": FORECAST[1]}


def test_what_is_open_at_the_end_of_the_invocation_ends_with_it() -> None:
    """An agent that still runs in a task is reported with the invocation that has begun it."""
    assert tree(seen("hooked_agents")["unfinished"]) == [
        ("agent slow", [("llm chat", []), ("tool waits", [])]),
    ]


def test_leaving_a_stream_is_no_error() -> None:
    """The agent ends where its reader has left it."""
    scenario = seen("hooked_langchain")["left stream"]
    assert one(scenario, "agent")["status"] == "success"


def test_a_chain_has_its_retriever_and_its_model_in_a_batch() -> None:
    """Each chain of a batch is a span; its other steps are not."""
    chain: Any = ("chain RunnableSequence", [("retriever Library", []), ("llm chat", [])])
    scenario = seen("hooked_langchain")["chain"]
    assert [(name, sorted(inner, reverse=True)) for name, inner in tree(scenario)] == [chain] * 2
    found = [event for event in scenario["events"] if event["span_kind"] == "retriever"]
    assert found[0]["metadata"]["rag_contexts"] == [{"content": "It is sunny.", "source": "a"}]


def test_modules_in_threads_of_dspy_stay_below_the_one_that_starts_them() -> None:
    """DSPy's threads have none of our context, but DSPy's own."""
    inner: Any = ("chain Ask", [("llm chat", [])])
    assert tree(seen("hooked_dspy")["module"]) == [inner]
    assert tree(seen("hooked_dspy")["parallel"]) == [("chain Outer", [inner] * 3)]
    assert one(seen("hooked_dspy")["tool"], "tool")["tool_call_result"] == "It is sunny in Bern."


@pytest.mark.parametrize("hook", ["agents_processor", "langchain_handler", "dspy_callback"])
def test_a_framework_that_is_not_installed_is_named(hook: str) -> None:
    """The tests' own environment has none of them."""
    with pytest.raises(ConfigurationError, match="pip install"):
        getattr(frameworks, hook)()


@pytest.mark.parametrize(("number", "framework"), list(enumerate(("hooked_agents", "hooked_langchain", "hooked_dspy"))))
def test_the_lines_of_the_documentation_run(number: int, framework: str) -> None:
    """Each block of docs/frameworks.md, in the framework's environment."""
    block = re.findall(r"```python\n(.*?)```", (environments.ROOT / "docs/frameworks.md").read_text(), re.DOTALL)[
        number
    ]
    python = environments.installed("frameworks", FRAMEWORKS[framework])
    environ = {**os.environ, "PYTHONPATH": str(environments.ROOT), "ZESPAN_ENABLED": "false"}
    done = subprocess.run(
        [python, "-W", "ignore", "-c", block], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
