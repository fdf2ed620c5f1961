"""Tools of real MCP servers: results are the SDK's, each call is one event, and the server learns its trace."""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.environments import installed, run
from zespan_serverless import flush, testing, zespan_lambda

from ..test_apis import IGNORED, functions_of

pytestmark = [
    pytest.mark.slow,
    *(pytest.mark.filterwarnings(f"ignore::{name}") for name in IGNORED),
]
TRACE = "ab" * 16
TOOLS = ["weather", "told", "told", "told", "broken", "weather", "unknown", "sleeping"]
OLD = [pytest.param(name, marks=pytest.mark.host(seconds=15)) for name in ("mcp 1.9", "mcp 1.30")]


@functools.cache
def _printed(version: str, transport: str, how: str) -> str:
    python = installed("sdks", version) if version else Path(sys.executable)
    return run(python, "tests.providers.mcp.program", transport, how).splitlines()[-1]


def play(version: str, transport: str, how: str = "") -> Any:
    """Return what the program prints, with this version of the SDK."""
    return json.loads(_printed(version, transport, how))


def tools(played: Any) -> list[dict[str, Any]]:
    return [event for event in played["events"] if event["span_kind"] == "tool"]


@pytest.mark.parametrize("transport", ["memory", "stdio", "http"])
@pytest.mark.parametrize("version", ["", *OLD])
def test_each_call_of_a_tool_is_one_event(version: str, transport: str) -> None:
    """With name, arguments and text, below the step that made it; a tool that fails is an error. Results are
    unchanged."""
    ours = play(version, transport)
    for seen in (ours["bare"], ours["seen"]):
        seen[1:4] = []  # which tell the trace
    assert ours["seen"] == ours["bare"]
    assert [event["operation"] for event in tools(ours)] == TOOLS
    (agent,) = [event for event in ours["events"] if event["span_kind"] == "agent"]
    assert {event["parent_span_id"] for event in tools(ours)} == {agent["span_id"]}
    assert {(event["user_id"], event["trace_id"]) for event in tools(ours)} == {("ada", TRACE)}
    answered, *_, broken, wrong, unknown, late = tools(ours)
    assert answered["metadata"] == {"mcp.method.name": "tools/call", "gen_ai.tool.name": "weather"}
    assert answered["tools_used"] == ["weather"]
    assert json.loads(answered["tool_call_args"]) == {"city": "Bern", "api_key": "[REDACTED]"}
    assert answered["tool_call_result"] == '{"weather": "Sunny in Bern", "password": "[REDACTED]"}'
    assert answered["status"] == "success"
    for failed in (broken, wrong, unknown):
        assert (failed["status"], failed["metadata"]["error.type"]) == ("error", "tool_error")
    assert broken["error_message"].startswith("Error executing tool broken")
    assert (late["status"], late["metadata"]["error.type"]) == ("error", "CancelledError")


@pytest.mark.parametrize("transport", ["memory", "http"])
@pytest.mark.parametrize("version", ["", OLD[1]])
def test_the_server_continues_the_trace(version: str, transport: str) -> None:
    """Beneath the tool's own event, and beside what the user puts there; a context of the user's stays."""
    ours = play(version, transport)
    first, second, third = (json.loads(seen[0]) for seen in ours["seen"][1:4])
    assert [told["traceparent"].split("-")[1:3] for told in (first, second)] == [
        [TRACE, event["span_id"]] for event in tools(ours)[1:3]
    ]
    assert (first["tracestate"], second["mine"], third) == ("a=1", "1", {"traceparent": "theirs"})


@pytest.mark.host(seconds=10)
def test_an_older_session_takes_no_trace() -> None:
    """Nothing is passed that the SDK does not know."""
    assert [json.loads(seen[0]) for seen in play("mcp 1.9", "memory")["seen"][1:4]] == [{}] * 3


@pytest.mark.host(seconds=10)
def test_a_span_of_opentelemetrys_is_handed_on_instead() -> None:
    """mcp 2 makes one when there is a provider. Our events are the same."""
    ours = play("opentelemetry", "http", "otel")
    told = json.loads(ours["seen"][1][0])
    assert told["traceparent"].split("-")[1] != TRACE
    assert [event["operation"] for event in tools(ours)] == TOOLS


def test_store_prompts_false_leaves_out_content() -> None:
    """`store_prompts=False` leaves out arguments, results, and the text of errors."""
    ours = play("", "memory", "private")
    assert all(set(event["metadata"]) <= {"mcp.method.name", "gen_ai.tool.name", "error.type"} for event in tools(ours))
    assert "no such city" not in json.dumps(ours["events"])
    assert "Bern" not in json.dumps(ours["events"])


def test_whatever_of_the_room_fails_the_call_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """One function at a time raises: the results stay the same."""
    from . import program  # not at import: the SDK takes half a second, in every process of the suite

    async def ask() -> list[Any]:
        async with program.session_by("memory") as session:
            results = [await session.call_tool(name, {"city": "Bern"}) for name in ("weather", "broken")]
            return [result.model_dump() for result in results]

    @zespan_lambda
    def handler(event: object, context: object) -> Any:
        return asyncio.run(ask())

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken inside")

    expected = asyncio.run(ask())
    tried = 0
    for owner, name in functions_of("mcp"):
        with monkeypatch.context() as patch, testing.recording() as events:
            patch.setattr(owner, name, broken)
            assert handler({}, testing.LambdaContext()) == expected, (owner, name)
            flush(5)
            assert len([event for event in events if event["span_kind"] == "tool"]) <= 2
        gc.collect()  # what the SDK leaves to it is not another test's
        tried += 1
    assert tried >= 5
