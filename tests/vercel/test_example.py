"""The examples, as Vercel's runtime calls them, and those of the documentation."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.request
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.documentation import PAGES, blocks, run
from tests.vercel.conftest import Deploy
from zespan_serverless import testing
from zespan_serverless.testing import Backend

API = Path(__file__).parents[2] / "examples" / "vercel" / "api"
ANSWER = "Hello, serverless world!"


@pytest.mark.parametrize(("file", "variable"), [("index.py", "app"), ("joke.py", "handler")])
def test_the_example_traces_its_model_call(deploy: Deploy, backend: Backend, file: str, variable: str) -> None:
    """The example returns the model's answer; the call's event is below the request's."""
    with ModelEndpoint(latency_ms=1) as model:
        function = deploy(str(API / file), variable, env={"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"})
        if file == "index.py":
            body = json.dumps({"prompt": "Hi", "user": "ada"})
            answer = function.request("POST", "/api/ask", body, {"content-type": "application/json"})
            assert json.loads(answer.body) == {"answer": ANSWER}
        else:
            assert function.request("GET", "/api/joke").body.decode() == ANSWER
    call, root = backend.events
    assert (call["model"], call["parent_span_id"]) == ("gpt-4o", root["span_id"])
    assert root["status"] == "success"
    if file == "index.py":
        assert (call["user_id"], root["operation"]) == ("ada", "POST /api/ask")


def test_the_documented_functions_are_traced() -> None:
    """The class answers as it is, the application as what it was; both are traced."""
    with testing.recording() as events:
        handler = run(blocks(PAGES["hosts/vercel"])[0]).handler
        with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/a") as answer:
                assert answer.read() == b"hello"
            thread.join()
        with TestClient(run(blocks(PAGES["hosts/vercel"])[1]).app) as client:
            assert client.get("/api/hello").json() == "hello"
    assert [event["operation"] for event in events] == ["GET /a", "GET /api/hello"]
