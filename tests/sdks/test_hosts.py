"""The code of the SDK's guide, unchanged, under every decorator and middleware."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import zespan_serverless
from tests.conformance.rooms import ROOMS, VARIANTS
from zespan_serverless import testing

if TYPE_CHECKING:
    from zespan_serverless_dev.emulator.model import ModelEndpoint

ROOT = str(Path(zespan_serverless.__file__).parents[1])
GUIDE = """
    import json, os, sys, threading

    name, model, backend = sys.argv[1:]

    import openai
    import zespan

    zespan.init(api_key="zsp_guide", endpoint=backend + "/v1/ingest")
    zespan.patch_openai()
    client = openai.OpenAI(base_url=model, api_key="k", max_retries=0)

    def ask(text, **more):
        return client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": text}], **more
        )

    def work():
        with zespan.with_zespan_context(user_id="u", session_id="s", tags={"team": "a"}):
            ask("one")
        with zespan.with_agent("Support", role="specialist") as agent:
            ask("two")
            agent.trace_tool("look_up", {"id": 1}, lambda: 42)
            with zespan.with_zespan_context(user_id="v"):
                for chunk in ask("three", stream=True):
                    pass
        with zespan.start_span("step", span_kind="general"):
            ask("four")
        zespan.get_client().flush()
        zespan.flush()
        return "result"

    from tests.conformance.rooms import ROOMS, VARIANTS

    serve = {**ROOMS, **VARIANTS}[name].start(work)
    assert [serve() for _ in range(2)] == ["result"] * 2

    import zespan_serverless

    zespan_serverless.flush()
    print(json.dumps([thread.name for thread in threading.enumerate() if "flush_loop" in thread.name]))
    print(json.dumps(sorted({"anthropic", "boto3", "flask"} & set(sys.modules))))
    os._exit(0)
"""
FIRST = """
    import zespan_serverless._observe
"""
WITHOUT_US = """
    import sys

    sys.modules["mistralai"] = None  # of which the SDK's `init` knows the first version only, and raises
"""


def play(name: str, model: ModelEndpoint, *, first: bool) -> tuple[list[dict[str, Any]], list[Any], str]:
    """(events, what the script has printed, its log); `first`: our package is imported before the SDK."""
    script = textwrap.dedent(FIRST if first else WITHOUT_US) + textwrap.dedent(GUIDE)
    environ = {key: value for key, value in os.environ.items() if key != "ZESPAN_API_KEY"}
    with testing.Backend() as backend:
        done = subprocess.run(
            [sys.executable, "-c", script, name, model.url, backend.url],
            env={**environ, "PYTHONPATH": ROOT, "ZESPAN_ENABLED": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert all(request.headers["x-api-key"] == "zsp_guide" for request in backend.requests)
        return backend.events, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "first"),
    [*((name, True) for name in ROOMS), ("lambda", False), ("asgi", False), ("run", False), ("lambda steps", True)],
)
def test_the_guide_under_every_host(name: str, first: bool, model: ModelEndpoint) -> None:
    """Two invocations are two traces; each call is one event below its root, with its user, session, tags and agent."""
    room = {**ROOMS, **VARIANTS}[name]
    events, (threads, imported), log = play(name, model, first=first)
    assert log.count("traceback") == 0, log
    assert not first or (threads == [] and "anthropic" not in imported and "boto3" not in imported)
    assert len({event["event_id"] for event in events}) == len(events)
    llm = [event for event in events if event["span_kind"] == "llm" and event["provider"] == "openai"]
    assert [event["sdk_name"] for event in llm] == ["zespan-serverless-python"] * 8
    if not room.roots:
        return
    roots = [event for event in events if event["parent_span_id"] in (None, "b" * 16) and event["span_kind"] != "llm"]
    roots = [event for event in roots if "start_kind" in (event.get("metadata") or {})]
    assert len(roots) == 2
    for root in roots:
        _check_invocation(root, [event for event in events if _is_below(event, root, events)])


def _check_invocation(root: dict[str, Any], events: list[dict[str, Any]]) -> None:
    calls = {json.loads(event["prompt_text"])[0]["content"]: event for event in events if event["provider"] == "openai"}
    assert set(calls) == {"one", "two", "three", "four"}
    kinds = {event["span_kind"]: event for event in events if event["span_kind"] in ("agent", "tool")}
    agent, tool = kinds["agent"], kinds["tool"]
    (step,) = [event for event in events if event["operation"] == "custom"]
    assert (calls["one"]["user_id"], calls["one"]["session_id"], calls["one"]["tags"]["team"]) == ("u", "s", "a")
    assert (calls["two"]["agent_name"], calls["two"]["agent_role"]) == ("Support", "specialist")
    assert (calls["three"]["agent_name"], calls["three"]["user_id"]) == ("Support", "v")
    assert calls["three"]["agent_id"] == agent["agent_id"]
    assert calls["four"]["agent_name"] is None
    for child in (calls["two"], calls["three"], tool):
        assert child["parent_span_id"] == agent["span_id"]
    assert calls["four"]["parent_span_id"] == step["span_id"]
    assert {event["trace_id"] for event in events} == {root["trace_id"]}


def _is_below(event: dict[str, Any], root: dict[str, Any], events: list[dict[str, Any]]) -> bool:
    """Whether an event's chain of parents leads to `root`: no parent is one that never arrives."""
    by_id = {one["span_id"]: one for one in events}
    while event is not root:
        event = by_id.get(event["parent_span_id"], {})
        if not event:
            return False
    return True
