"""OpenTelemetry's own SDK beside us: its spans as our events, one trace, and nothing of the user's changed."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from tests import environments
from tests.support import Event, roots

pytestmark = pytest.mark.host(seconds=10)

Seen = dict[str, Any]


@functools.cache
def seen(mode: str, stores: str = "1") -> dict[str, Seen]:
    """Scenario -> what has been seen of it."""
    python = environments.installed("peers", "opentelemetry")
    printed = environments.run(python, "tests.opentelemetry.program", mode, ZESPAN_STORE_PROMPTS=stores)
    found: dict[str, Seen] = json.loads(printed.splitlines()[-1])
    return found


def names(scenario: Seen) -> dict[str, str | None]:
    """Return the name of each event below the root's, with the name of its parent."""
    named = {event["span_id"]: event["operation"] for event in scenario["events"]}
    return {event["operation"]: named.get(event["parent_span_id"]) for event in scenario["events"]}


def event(scenario: Seen, name: str) -> Event:
    (found,) = [one for one in scenario["events"] if one["operation"] == name]
    return dict(found)


def spans(scenario: Seen) -> dict[str, Any]:
    """OpenTelemetry's own record of each span, by its name."""
    return {span["name"]: span for span in scenario["spans"]}


SCENARIOS = (
    *("around", "around_but_ended", "around_but_not_sampled", "nested", "in_tasks", "in_a_thread", "left_open"),
    *("a_call", "a_call_in_older_words", "calls_inside_one_another", "steps_of_an_agent", "a_failure"),
)


# ---------------------------------------------------------------------- one trace


@pytest.mark.parametrize("mode", ["alone", "fed", "joined"])
def test_an_invocation_continues_the_span_around_it(mode: str) -> None:
    """It has the trace id, and that span as its parent, with and without a processor."""
    scenario = seen(mode)["around"]
    (root,), server = roots(scenario["events"]), spans(scenario)["server"]
    assert (root["trace_id"], root["parent_span_id"]) == (server["trace_id"], server["span_id"])


@pytest.mark.parametrize("scenario", ["around_but_ended", "around_but_not_sampled"])
def test_a_span_that_is_not_recorded_is_not_continued(scenario: str) -> None:
    """One that was left in the context would make one trace of all invocations."""
    (root,) = roots(seen("fed")[scenario]["events"])
    assert root["parent_span_id"] is None


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_opentelemetry_is_unchanged_by_default(scenario: str) -> None:
    """Neither the invocation nor the processor changes the trace or the parent of one of its spans."""
    alone, fed = seen("alone")[scenario]["spans"], seen("fed")[scenario]["spans"]
    for found in (alone, fed):
        ids = {span["span_id"] for span in found}
        assert all(span["parent"] is None or span["parent"] in ids for span in found)
    assert [span["name"] for span in alone] == [span["name"] for span in fed]


@pytest.mark.parametrize("scenario", ["nested", "in_tasks", "a_call", "a_failure"])
def test_joined_spans_are_children_of_the_invocation(scenario: str) -> None:
    """In OpenTelemetry's own records: those that would be roots have our root as their parent, and its trace."""
    found = seen("joined")[scenario]
    (root,) = roots(found["events"])
    outermost = [span for span in found["spans"] if span["parent"] == root["span_id"]]
    assert outermost
    assert {span["trace_id"] for span in found["spans"]} == {root["trace_id"]}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_context_is_what_it_was_when_an_invocation_is_over(scenario: str) -> None:
    """The context contains no span of this package any more."""
    assert seen("joined")[scenario]["is_context_empty"]


@pytest.mark.parametrize("mode", ["fed", "joined"])
def test_spans_of_both_are_one_tree(mode: str) -> None:
    """Each is the child of the innermost enclosing span, whichever library began that."""
    tree = names(seen(mode)["nested"])
    assert tree == {
        "innermost": "inner",
        "inner": "ours",
        "ours": "outer",
        "for ada": "sibling",
        "sibling": "outer",
        "outer": "my-function",
        "my-function": None,
    }
    assert event(seen(mode)["nested"], "for ada")["user_id"] == "ada"
    tasks = names(seen(mode)["in_tasks"])
    assert [tasks[f"{kind} {number}"] for kind in ("step", "task") for number in (1, 2)] == [
        *("task 1", "task 2"),
        *("my-function", "my-function"),
    ]
    assert names(seen(mode)["in_a_thread"])["in a thread"] == "my-function"


def test_ids_are_opentelemetrys() -> None:
    """An event has the id of its span, and where the trace is another one, its id, too."""
    scenario = seen("fed")["a_call"]
    found, span = event(scenario, "chat gpt-4o-mini"), spans(scenario)["chat gpt-4o-mini"]
    assert (found["span_id"], found["metadata"]["opentelemetry.trace_id"]) == (span["span_id"], span["trace_id"])
    assert "opentelemetry.trace_id" not in event(seen("joined")["a_call"], "chat gpt-4o-mini")["metadata"]


# ---------------------------------------------------------------------- what spans become


def test_the_span_of_a_call_is_the_call_of_a_model() -> None:
    """With its model, tokens, cost, prompt and answer."""
    found = event(seen("fed")["a_call"], "chat gpt-4o-mini")
    assert (found["span_kind"], found["provider"], found["model"]) == ("llm", "openai", "gpt-4o-mini-2024-07-18")
    assert (found["input_tokens"], found["output_tokens"], found["finish_reason"]) == (1000, 2000, "stop")
    assert found["cost_usd"] == pytest.approx((1000 * 0.15 + 2000 * 0.6) / 1e6)
    assert json.loads(found["prompt_text"]) == [{"role": "user", "content": "Why?"}]
    assert found["completion_text"] == "So."
    assert "gen_ai.input.messages" not in found["metadata"]
    assert found["metadata"]["server.address"] == "api.openai.com"


def test_the_older_words_for_tokens_are_read() -> None:
    """Many instrumentations still use them."""
    found = event(seen("fed")["a_call_in_older_words"], "openai.chat")
    assert (found["span_kind"], found["input_tokens"], found["output_tokens"]) == ("llm", 5, 6)
    assert found["cost_usd"] > 0


def test_of_calls_inside_one_another_the_innermost_counts() -> None:
    """A framework's span repeats the tokens of the SDK's span inside it."""
    scenario = seen("fed")["calls_inside_one_another"]
    counted = [(one["operation"], one["span_kind"]) for one in scenario["events"] if one["input_tokens"]]
    assert counted == [("SDK", "llm")]


def test_agents_tools_and_embeddings_have_their_kinds() -> None:
    """What is inside an agent carries its name."""
    scenario = seen("fed")["steps_of_an_agent"]
    kinds = {one["operation"]: one["span_kind"] for one in scenario["events"]}
    assert kinds == {
        "execute_tool weather": "tool",
        "embeddings": "embedding",
        "SELECT": "general",
        "invoke_agent forecaster": "agent",
        "my-function": "general",
    }
    tool = event(scenario, "execute_tool weather")
    assert (tool["agent_name"], tool["tools_used"], tool["tool_call_args"], tool["tool_call_result"]) == (
        *("forecaster", ["weather"]),
        *('{"city":"Rome"}', "sunny"),
    )


def test_a_span_that_fails_is_an_error() -> None:
    """With the text of its status."""
    found = event(seen("fed")["a_failure"], "step")
    assert (found["status"], found["error_message"]) == ("error", "ValueError: quoted: Why?")


def test_without_prompts_nothing_that_was_said_is_sent() -> None:
    """Only numbers, and texts of names that cannot hold it."""
    told = json.dumps([scenario["events"] for scenario in seen("fed", "0").values()])
    for secret in ("Why?", "So.", "Rome", "sunny", "SELECT secret"):
        assert secret not in told
    failure = event(seen("fed", "0")["a_failure"], "step")
    assert (failure["status"], failure["error_message"]) == ("error", "ValueError")
    call = event(seen("fed", "0")["a_call"], "chat gpt-4o-mini")
    assert (call["input_tokens"], call["metadata"]["server.address"]) == (1000, "api.openai.com")


@pytest.mark.parametrize("order", ["below", "above"])
def test_a_call_that_both_trace_is_counted_once(order: str) -> None:
    """The real instrumentation of openai, patched after us and before: a call, a stream, and an asynchronous call."""
    events = seen(order)[order]["events"]
    counted = [one["input_tokens"] for one in events if one["input_tokens"]]
    assert counted == [3, 3, 3]
    assert [one["span_kind"] for one in events].count("llm") == 3
    theirs = [one for one in events if one["operation"] == "chat gpt-4o-mini"]
    assert [one["span_kind"] for one in theirs] == ["general"] * 3
    assert not [name for one in theirs for name in one["metadata"] if "usage" in name]


def test_the_examples_of_the_page_run() -> None:
    """In an environment that has OpenTelemetry."""
    python = environments.installed("peers", "opentelemetry")
    page = (environments.ROOT / "docs" / "other-sdks.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    examples = [block for block in blocks if "zespan_serverless.opentelemetry" in block]
    assert len(examples) == 2
    subprocess.run(
        [python, "-c", "\n".join(examples)], check=True, timeout=60, env={"PYTHONPATH": str(environments.ROOT)}
    )


def test_joining_needs_opentelemetry() -> None:
    """The error says what to install."""
    script = """
        import sys
        sys.modules["opentelemetry"] = None
        from zespan_serverless import ConfigurationError
        from zespan_serverless.opentelemetry import join_traces
        try:
            join_traces()
        except ConfigurationError as error:
            sys.exit("pip install opentelemetry-api" not in str(error))
        sys.exit("nothing was raised")
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    subprocess.run(command, check=True, timeout=60, env={"PYTHONPATH": str(environments.ROOT)})


@pytest.mark.parametrize("stores", ["1", "0"])
def test_a_call_that_openinference_has_seen(stores: str) -> None:
    """Model, tokens with their parts, messages, tools and answer have their places, whatever names it gives them."""
    python = environments.installed("peers", "openinference")
    printed = environments.run(python, "tests.opentelemetry.openinference", ZESPAN_STORE_PROMPTS=stores)
    (call,) = json.loads(printed.splitlines()[-1])
    assert (call["span_kind"], call["provider"], call["model"]) == ("llm", "openai", "gpt-4o-mini")
    assert (call["input_tokens"], call["output_tokens"]) == (30, 4)
    assert (call["cached_tokens"], call["reasoning_tokens"], call["cost_usd"] > 0) == (20, 3, True)
    if stores == "0":
        assert "warm" not in printed
        assert "degrees" not in printed
        return
    assert [one["content"] for one in json.loads(call["prompt_text"])] == ["How warm is it?"]
    assert (call["system_prompt"], call["completion_text"]) == ("Be brief.", "21 degrees")
    assert [one["name"] for one in call["tool_definitions"]] == ["weather"]
    assert not [
        name for name in call["metadata"] if name.startswith(("llm.input", "llm.output", "llm.tools", "input."))
    ]
