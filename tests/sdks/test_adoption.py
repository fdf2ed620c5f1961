"""A function that follows the guide of the SDK `zespan`, with our decorator added and nothing changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import environments
from tests.sdks.guide import ASK, Event, play
from zespan_serverless import testing

if TYPE_CHECKING:
    from zespan_serverless_dev.emulator.model import ModelEndpoint


def of_kind(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["span_kind"] == kind]


def _root(events: list[Event]) -> Event:
    (root,) = [event for event in events if "start_kind" in (event.get("metadata") or {})]
    return root


@pytest.mark.slow
@pytest.mark.parametrize("flush", ["zespan.get_client().flush()", "zespan.flush()"])
def test_each_call_is_one_event_in_the_trace_of_the_invocation(flush: str, model: ModelEndpoint) -> None:
    """By the SDK's key, to its backend, below the invocation, and delivered by the flush that the guide calls."""
    events, printed, _ = play(model, f"{ASK}\n{flush}")
    (call,), root = of_kind(events, "llm"), _root(events)
    assert (call["trace_id"], call["parent_span_id"]) == (root["trace_id"], root["span_id"])
    assert len(call["span_id"]) == 16
    assert (call["environment"], root["environment"]) == ("staging", "staging")
    assert call["output_tokens"] > 0
    assert "deque([])" in printed


@pytest.mark.slow
def test_a_call_inside_a_span_has_its_agent_and_is_counted_once(model: ModelEndpoint) -> None:
    """The SDK has no agent for it; the span of the call leaves the tokens to the SDK's event."""
    body = f"""
        from zespan_serverless import span
        with span("boss", kind="agent", agent_id="7"):
            with span("ask", kind="llm", model="m", provider="p") as call:
                {ASK}
                call.usage(input_tokens=12, output_tokens=5)
    """
    events, _, _ = play(model, body)
    theirs, ours = of_kind(events, "llm")
    assert [(event["agent_id"], event["agent_name"]) for event in (theirs, ours)] == [("7", "boss")] * 2
    assert (theirs["input_tokens"], ours["input_tokens"]) == (12, None)


@pytest.mark.slow
def test_a_stream_is_one_event(model: ModelEndpoint) -> None:
    """The SDK sends two, of which the first has no tokens."""
    stream = ASK.replace("model=", "stream=True, model=")
    events, _, _ = play(model, f"list({stream})")
    assert len(of_kind(events, "llm")) == 1


@pytest.mark.slow
def test_without_the_sdk_s_patching_this_package_traces_the_calls(model: ModelEndpoint) -> None:
    """`autopatch` of a client that is started in the function imports no provider; our rooms trace the calls."""
    body = f"""
        zespan.init(api_key="zsp_guide", endpoint=backend + "/v1/ingest")
        zespan.init(api_key="zsp_guide", endpoint=backend + "/v1/ingest")
        {ASK}
        assert "boto3" not in sys.modules
    """
    events, printed, _ = play(model, body, patch="", calls=2)
    calls = of_kind(events, "llm")
    assert [call["sdk_name"] for call in calls] == ["zespan-serverless-python"] * 2
    assert printed.splitlines()[0] == "[]"  # the thread of the client that was there before us has ended


@pytest.mark.slow
def test_users_and_steps_of_the_sdk_are_kept(model: ModelEndpoint) -> None:
    """Its context gives user, session and tags, and no parent that never arrives; its spans are steps."""
    body = f"""
        with zespan.with_zespan_context(user_id="u", session_id="s", tags={{"team": "a"}}):
            {ASK}
        zespan.start_span("look up", span_kind="tool").end(metadata={{"token": "secret", "n": 1}})
    """
    events, _, _ = play(model, body)
    (call,), (step,), root = of_kind(events, "llm"), of_kind(events, "tool"), _root(events)
    assert (call["user_id"], call["session_id"], call["tags"]) == ("u", "s", {"team": "a"})
    assert {call["parent_span_id"], step["parent_span_id"]} == {root["span_id"]}
    assert {event["trace_id"] for event in events} == {root["trace_id"]}
    assert "secret" not in json.dumps(events)


@pytest.mark.slow
def test_events_from_before_the_first_invocation_arrive(model: ModelEndpoint) -> None:
    """What the SDK has queued while the module was imported is taken over."""
    events, printed, _ = play(model, "pass", patch='zespan.patch_openai(); zespan.start_span("warm up").end()')
    assert len(events) == 2
    assert "deque([])" in printed


@pytest.mark.slow
def test_without_telemetry_the_sdk_works_alone(model: ModelEndpoint) -> None:
    """Our decorator is switched off: its events go its own way."""
    body = f"{ASK}\nzespan.get_client().flush()"
    events, _, _ = play(model, body, patch="zespan.patch_openai(); os.environ['ZESPAN_ENABLED'] = '0'")
    assert [event["sdk_name"] for event in events] == ["zespan-python"]


@pytest.mark.slow
def test_the_example_of_the_page(model: ModelEndpoint) -> None:
    """docs/migrate/zespan.md: the code of the guide with the decorator."""
    page = (environments.ROOT / "docs" / "migrate" / "zespan.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    call = """
from zespan_serverless import testing
assert handler({"user": "ada", "prompt": "Hi"}, testing.LambdaContext()) == "Hello, serverless world!"
"""
    with testing.Backend() as backend:
        done = subprocess.run(
            [sys.executable, "-c", block + call],
            env={
                **{name: value for name, value in os.environ.items() if name != "ZESPAN_API_KEY"},
                "OPENAI_BASE_URL": model.url,
                "OPENAI_API_KEY": "k",
                "PYTHONPATH": str(environments.ROOT),
                "ZESPAN_ENABLED": "1",
                "ZESPAN_BASE_URL": backend.url,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (call_event,), root = of_kind(backend.events, "llm"), _root(backend.events)
    assert (call_event["user_id"], call_event["parent_span_id"]) == ("ada", root["span_id"])
    assert {request.headers["x-api-key"] for request in backend.requests} == {"zsp_your_key"}
