"""The examples, and the code of docs/hosts/azure-functions.md, in Microsoft's worker library, with a model server."""

from __future__ import annotations

import base64
import json
import re
import shutil
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.azure_functions.support import StartWorker, Worker
from tests.support import ROOT, TRACE, calls, roots
from zespan_serverless import testing

pytestmark = pytest.mark.host

EXAMPLES = ROOT / "examples" / "azure_functions"
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "hosts" / "azure-functions.md").read_text(), re.DOTALL)
ANSWER = "Hello, serverless world!"


@pytest.fixture
def openai(model: ModelEndpoint) -> dict[str, str]:
    return {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-local"}


def test_the_chat_example_has_a_trace_of_two_events(
    worker: StartWorker, backend: testing.Backend, openai: dict[str, str]
) -> None:
    """The example answers, and its trace has two events with the user's id."""
    app = worker(EXAMPLES / "chat", **openai)
    answer = app.http("chat", method="POST", body=b'{"prompt": "Hi", "user": "ada"}')
    assert (answer.status, json.loads(answer.body)) == (200, {"answer": ANSWER})
    (llm,), (root,) = calls(backend.wait_for(2)), roots(backend.events)
    assert (llm["user_id"], llm["parent_span_id"], root["operation"]) == ("ada", root["span_id"], "chat")
    assert app.http("chat", method="POST", body=b"[]").status == 400


def test_each_message_of_the_worker_example_is_a_step(
    worker: StartWorker, backend: testing.Backend, openai: dict[str, str]
) -> None:
    """Each message is a step with a model call; the invocation links to both senders."""
    properties = [{"Diagnostic-Id": f"00-{n * 32}-{n * 16}-01"} for n in "12"]
    metadata = {
        "MessageIdArray": {"collection_string": ["a", "b"]},
        "UserPropertiesArray": {"json": "[{},{}]"},
        "ApplicationPropertiesArray": {"json": json.dumps(properties)},
    }
    answer = worker(EXAMPLES / "chat", **openai).invoke(
        "work", {"messages": {"collection_string": ["x", "y"]}}, metadata
    )
    assert answer.ok
    events = backend.wait_for(5)
    steps = [event for event in events if event["operation"] == "answer"]
    assert [step["metadata"]["message_id"] for step in steps] == ["a", "b"]
    assert {llm["parent_span_id"] for llm in calls(events)} == {step["span_id"] for step in steps}
    assert [link["trace_id"] for link in roots(events)[0]["metadata"]["links"]] == ["1" * 32, "2" * 32]


def test_the_digest_example_traces_calls_in_threads(
    worker: StartWorker, backend: testing.Backend, openai: dict[str, str]
) -> None:
    """Four model calls, three of them in threads, are in the invocation's trace."""
    timer = {"timer": {"json": json.dumps({"IsPastDue": False})}}
    assert worker(EXAMPLES / "chat", **openai).invoke("digest", timer).ok
    events = backend.wait_for(5)
    assert {event["trace_id"] for event in events} == {TRACE}
    assert (len(calls(events)), roots(events)[0]["metadata"]["faas.cron"]) == (4, "0 0 6 * * *")


def streamed(app: Worker, function: str) -> bytes:
    """Return what the host reads from the worker's web server, while the invocation runs."""
    number = str(uuid.uuid4())
    request = urllib.request.Request(f"{app.http_url}/api/{function}", headers={"x-ms-invocation-id": number})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(app.http, function, invocation_id=number)
        with urllib.request.urlopen(request, timeout=10) as response:
            body: bytes = response.read()
        assert answer.result(10).ok
    return body


def test_the_stream_example_has_the_time_to_its_first_token(
    worker: StartWorker, backend: testing.Backend, openai: dict[str, str]
) -> None:
    """The answer comes as a stream; the call's event has the time to its first token and its tokens."""
    assert streamed(worker(EXAMPLES / "stream", **openai), "stream") == ANSWER.encode()
    (llm,), (root,) = calls(backend.wait_for(2)), roots(backend.events)
    assert (llm["stream"], llm["output_tokens"], llm["parent_span_id"]) == (True, 5, root["span_id"])


def test_the_documentation_s_functions(
    worker: StartWorker, backend: testing.Backend, openai: dict[str, str], tmp_path: Path
) -> None:
    """Each block of docs/hosts/azure-functions.md is an app whose functions are traced."""
    first, web, v1, _ = BLOCKS  # the last one is run by test_durable
    for name, block in (("v2", first), ("web", web)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "function_app.py").write_text(block)
    app = worker(tmp_path / "v2", **openai)
    assert app.http("chat", method="POST", body=b"Hi").body == ANSWER
    message = {"message": {"string": "Hi"}}
    assert app.invoke("answer", message, {"Id": {"string": "m"}}).ok
    assert sorted(event["operation"] for event in roots(backend.wait_for(4))) == ["answer", "chat"]
    assert worker(tmp_path / "web").http("http_app_func", "hello").body == '"hello"'
    shutil.copytree(ROOT / "tests" / "azure_functions" / "apps" / "v1" / "onqueue", tmp_path / "v1" / "onqueue")
    (tmp_path / "v1" / "onqueue" / "worker.py").write_text(block_named("work", v1))
    assert worker(tmp_path / "v1", "v1").invoke("onqueue", {"msg": {"bytes": base64.b64encode(b"x").decode()}}).ok
    operations = [event["operation"] for event in roots(backend.wait_for(6))]
    assert operations[2:] == ["GET /api/hello", "onqueue"]


def block_named(function: str, block: str) -> str:
    """Return a block whose function is called as that app's function.json says."""
    return block.replace("def main(", f"def {function}(")
