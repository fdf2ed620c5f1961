"""The examples, and the code of docs/hosts/google-cloud.md and cloud-run.md, called as Google would."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.documentation import PAGES, blocks, run
from tests.google_cloud.support import Function, job
from tests.support import ROOT, TRACE, TRACEPARENT, below, roots
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host

Start = Callable[..., Function]

EXAMPLES = ROOT / "examples" / "google_cloud"
FUNCTIONS, SERVICE, JOB = (block for page in ("google-cloud", "cloud-run") for block in blocks(PAGES[f"hosts/{page}"]))
CE = {"ce-specversion": "1.0", "ce-source": "//pubsub.googleapis.com/projects/p/topics/texts", "ce-id": "7"}
PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"


def test_chat_streams_in_one_trace(start: Start, backend: Backend) -> None:
    """The answer is streamed; request and model's call are one trace, for the user who asks."""
    function = start("chat", EXAMPLES / "main.py")
    answer = function.ask("/", {"prompt": "Hi", "user": "ada"}, traceparent=TRACEPARENT)
    assert (answer.status, answer.body) == (200, b"Hello, serverless world!")
    llm, root = backend.events
    assert below(root, [llm]) == [llm]
    assert (root["trace_id"], llm["user_id"], llm["stream"], llm["output_tokens"] > 0) == (TRACE, "ada", True, True)
    assert function.ask("/", {"prompt": 3}).status == 400


def test_summarize_is_a_step_in_the_publishers_trace(start: Start, backend: Backend) -> None:
    """A message becomes a step with a model's call, in its publisher's trace; one that is no JSON comes again."""
    function = start("summarize", EXAMPLES / "main.py")
    for data, status in (('{"text": "A long one."}', 200), ("no JSON", 500)):
        message = {"data": base64.b64encode(data.encode()).decode(), "attributes": {"traceparent": TRACEPARENT}}
        body = {"message": message, "subscription": "projects/p/subscriptions/s"}
        assert function.ask("/", body, **CE, **{"ce-type": PUBLISHED}).status == status
    llm, step, root, failed = backend.events
    assert (below(root, [step]), below(step, [llm])) == ([step], [llm])
    assert (root["trace_id"], root["metadata"]["faas.trigger"]) == (TRACE, "pubsub")
    assert (root["status"], failed["status"]) == ("success", "error")
    assert "Hello, serverless world!" in function.log


def test_job_shares_its_work_among_tasks(env: dict[str, str], backend: Backend) -> None:
    """Each task does its share."""
    tasks = {"CLOUD_RUN_JOB": "nightly", "CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "2"}
    process = job(EXAMPLES / "job.py", {**env, **tasks})
    assert process.communicate(timeout=20)[0] == b"Hello, serverless world!\n" * 2
    assert process.returncode == 0
    (root,) = roots(backend.events)
    assert [step["operation"] for step in below(root, backend.events)] == ["sum up", "sum up"]


def test_programs_of_the_documentation_run(start: Start, env: dict[str, str], backend: Backend, tmp_path: Path) -> None:
    """The pages' programs run, and their events arrive."""
    functions, script = tmp_path / "main.py", tmp_path / "job.py"
    functions.write_text(FUNCTIONS)
    script.write_text(JOB)
    assert json.loads(start("chat", functions).ask("/").body) == {"answer": "Hello, serverless world!"}
    uploaded = {"ce-type": "google.cloud.storage.object.v1.finalized", "ce-subject": "objects/a.txt"}
    function = start("on_upload", functions)
    assert function.ask("/", {}, **CE, **uploaded).body == b"OK"
    assert "objects/a.txt" in function.log
    process = job(script, env)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert [root["operation"] for root in roots(backend.events)] == ["chat", "chat", "main"]


def test_service_of_the_documentation_is_traced(
    env: dict[str, str], backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request to the service is one trace with its model call, sent before the response ends."""
    from starlette.testclient import TestClient

    for name, value in {**env, "K_SERVICE": "chat"}.items():
        monkeypatch.setenv(name, value)
    with TestClient(run(SERVICE).app) as client:
        assert client.get("/chat?prompt=Hi").json() == {"answer": "Hello, serverless world!"}
        call, root = backend.events
    assert below(root, [call]) == [call]
    assert root["operation"] == "GET /chat"
