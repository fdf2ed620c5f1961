"""A real Phoenix: what it shows of a trace that it is sent, read by its own API."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import openai
import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests import environments
from tests.support import Served, until
from zespan_serverless import _process, patch, span, with_context, zespan_lambda
from zespan_serverless.testing import LambdaContext

pytestmark = pytest.mark.host(seconds=90)

COST = "{ projects { edges { node { name costSummary { total { cost tokens } } } } } }"


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server with a database of its own."""
    python = environments.installed("backends", "phoenix")
    folder = tmp_path_factory.mktemp("phoenix")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [listener.getsockname()[1] for listener in (one, two)]
    environ = {
        "PATH": os.environ["PATH"],
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(ports[0]),
        "PHOENIX_GRPC_PORT": str(ports[1]),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    with Served([str(python), "-m", "phoenix.server.main", "serve"], ports[0], Path(folder), environ) as server:
        until(lambda: "running on" in server.log, 180)
        yield f"http://127.0.0.1:{ports[0]}"


def ask(url: str, query: str | None = None) -> Any:
    data = None if query is None else json.dumps({"query": query}).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def test_a_trace_is_there_with_its_calls_tokens_cost_and_hierarchy(
    phoenix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invocation with a tool, a model call, a stream and a failed call, in Phoenix's own words."""
    monkeypatch.setenv("PHOENIX_COLLECTOR_ENDPOINT", phoenix)
    monkeypatch.setenv("PHOENIX_PROJECT_NAME", "tests")
    patch("openai")
    with ModelEndpoint(latency_ms=0) as model, openai.OpenAI(base_url=model.url, api_key="k", max_retries=0) as client:

        @zespan_lambda(exporter="phoenix", flush_mode="before_return", flush_timeout=20, tags={"team": "search"})
        def handler(event: object, context: object) -> str:
            ask_model: Any = client.chat.completions.create
            messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
            with with_context(user_id="ada", session_id="s1"):
                with span("weather", kind="tool") as tool:
                    tool.arguments({"city": "Paris"})
                    tool.result("21 degrees")
                    ask_model(model="gpt-4o", messages=messages)
                list(ask_model(model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True}))
                with pytest.raises(openai.RateLimitError):
                    ask_model(model="error-429", messages=messages)
            return "ok"

        assert handler({}, LambdaContext()) == "ok"
    container = _process.current()
    assert container is not None
    assert (container.delivery.delivered, container.delivery.captured) == (5, 5)
    found: list[dict[str, Any]] = []

    def arrived() -> bool:
        with contextlib.suppress(HTTPError):  # there is no project before its first span
            found[:] = ask(f"{phoenix}/v1/projects/tests/spans?limit=100")["data"]
        return len(found) == 5

    until(arrived)
    spans = {one["name"]: one for one in sorted(found, key=lambda one: str(one["start_time"]), reverse=True)}
    root, tool, call, failed = (spans[name] for name in ("my-function", "weather", "chat gpt-4o", "chat error-429"))
    assert {one["context"]["trace_id"] for one in found} == {root["context"]["trace_id"]}
    assert root["parent_id"] is None
    assert tool["parent_id"] == failed["parent_id"] == root["context"]["span_id"]
    assert call["parent_id"] == tool["context"]["span_id"]
    assert [one["span_kind"] for one in (root, tool, call, failed)] == ["CHAIN", "TOOL", "LLM", "LLM"]
    shown = call["attributes"]
    assert shown["llm.input_messages.0.message.role"] == "system"
    assert shown["llm.input_messages.1.message.content"] == "Hi"
    assert shown["llm.output_messages.0.message.content"] == "Hello, serverless world!"
    assert (shown["llm.token_count.prompt"], shown["llm.token_count.completion"]) == (12, 5)
    assert (shown["llm.model_name"], shown["llm.provider"], shown["user.id"]) == ("gpt-4o", "openai", "ada")
    assert (shown["session.id"], shown["tag.tags"]) == ("s1", ["team:search"])
    assert tool["attributes"]["input.value"] == '{"city":"Paris"}'
    assert tool["attributes"]["output.value"] == "21 degrees"
    assert (failed["status_code"], failed["status_message"]) == ("ERROR", "Error code: 429 - made-up error 429")
    assert failed["events"][0]["attributes"]["exception.type"] == "RateLimitError"
    assert root["attributes"]["faas.coldstart"] is True

    def cost() -> Any:
        edges = ask(f"{phoenix}/graphql", COST)["data"]["projects"]["edges"]
        (project,) = [edge["node"] for edge in edges if edge["node"]["name"] == "tests"]
        return project["costSummary"]["total"]

    until(lambda: cost()["cost"])  # it is computed in the background
    assert cost()["tokens"] == 34
    assert cost()["cost"] == pytest.approx(2 * shown["gen_ai.usage.cost"])
