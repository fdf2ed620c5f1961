"""The examples, started as their READMEs say, and the blocks of docs/hosts/web.md."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.documentation import PAGES, blocks, run
from tests.support import TRACE, TRACEPARENT, below, until
from tests.web.support import Server
from zespan_serverless.testing import Backend

EXAMPLES = Path(__file__).parents[2] / "examples"
ANSWER = "Hello, serverless world!"


@pytest.fixture
def model() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(latency_ms=0) as endpoint:
        yield endpoint


@pytest.fixture
def example(backend: Backend, model: ModelEndpoint, start: Callable[..., Server]) -> Callable[[str, str], Server]:
    def started(server: str, folder: str) -> Server:
        env = {"PYTHONPATH": str(EXAMPLES / folder), "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": model.url}
        return start(server, "app:app", **env)

    return started


def post(server: Server, path: str, **body: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        headers = {"content-type": "application/json", "traceparent": TRACEPARENT}
        connection.request("POST", path, json.dumps(body), headers)
        with connection.getresponse() as response:
            return response.status, response.read()
    finally:
        connection.close()


def root_of(backend: Backend, operation: str, count: int) -> dict[str, Any]:
    until(lambda: len(backend.events) >= count)
    (root,) = [event for event in backend.events if event["operation"] == operation]
    assert (root["trace_id"], root["environment"]) == (TRACE, "staging")
    return root


def test_fastapi_example_traces_stream_and_background_task(
    example: Callable[[str, str], Server], backend: Backend
) -> None:
    """A streamed answer; its call and its background task are in the request's trace."""
    assert post(example("uvicorn", "fastapi"), "/ask", prompt="Hi", user="ada") == (200, ANSWER.encode())
    root = root_of(backend, "POST /ask", 3)
    found = {event["span_kind"]: event for event in below(root, backend.events)}
    assert set(found) == {"llm", "tool"}
    assert (found["llm"]["stream"], found["llm"]["output_tokens"]) == (True, 5)
    assert found["tool"]["user_id"] == "ada"


@pytest.mark.parametrize("path", ["/ask", "/stream"])
def test_flask_example_traces_whole_and_streamed_answers(
    example: Callable[[str, str], Server], backend: Backend, path: str
) -> None:
    """Whole or streamed, the call is in the request's trace."""
    status, answer = post(example("gunicorn gthread", "flask"), path, prompt="Hi", user="ada")
    assert status == 200
    assert ANSWER in answer.decode()
    root = root_of(backend, f"POST {path}", 2)
    (call,) = below(root, backend.events)
    assert (call["span_kind"], call["stream"]) == ("llm", path == "/stream")


def test_the_blocks_of_the_documentation(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both applications answer, and send an event with the route."""
    from starlette.testclient import TestClient

    monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
    first, second = (run(block) for block in blocks(PAGES["hosts/web"]))
    with TestClient(first.app) as client:
        assert client.get("/hello/ada").json() == {"hello": "ada"}
    assert second.app.test_client().get("/hello/ada").json == {"hello": "ada"}
    until(lambda: len(backend.events) == 2)
    assert [event["operation"] for event in backend.events] == ["GET /hello/{name}", "GET /hello/<name>"]
