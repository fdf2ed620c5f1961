"""The examples, invoked as their hosts invoke them."""

from __future__ import annotations

import ast
import base64
import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from zespan_serverless_dev.emulator.lambda_rie import Sandbox
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.aws_lambda.support import Event, calls, roots
from tests.aws_lambda.test_events import EVENTS
from zespan_serverless.testing import Backend

EXAMPLES = Path(__file__).parents[2] / "examples" / "aws_lambda"
ANSWER = "Hello, serverless world!"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"  # of the traceparent in the events


class StartExample(Protocol):
    """Starts a sandbox with the example of a folder; it is stopped after the test."""

    def __call__(self, folder: str, *, env: dict[str, str] | None = None, timeout: int = 30) -> Sandbox: ...


@pytest.fixture
def start(backend: Backend, model: ModelEndpoint) -> Iterator[StartExample]:
    if sys.platform != "linux":
        pytest.skip("AWS builds its emulator for Linux only")
    with ExitStack() as stack:
        environment = {
            "ZESPAN_API_KEY": "zsp_test",
            "ZESPAN_BASE_URL": backend.url,
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": model.url,
        }

        def start(folder: str, *, env: dict[str, str] | None = None, timeout: int = 30) -> Sandbox:
            return stack.enter_context(
                Sandbox("app.handler", EXAMPLES / folder, env=environment | (env or {}), timeout=timeout)
            )

        yield start


def below(parent: Event, events: list[Event]) -> list[Event]:
    """Return the events whose parent that is, in its trace."""
    ids = parent["trace_id"], parent["span_id"]
    return [event for event in events if (event["trace_id"], event["parent_span_id"]) == ids]


def posted(body: str | None, *, path: str = "/my/path", **request_context: Any) -> Event:
    """A POST of JSON as API Gateway's HTTP API passes it on; it comes with a traceparent."""
    event = EVENTS["apigateway-v2"]
    context = {**event["requestContext"], **request_context}
    context["http"] = {**context["http"], "path": path}
    headers = {**event["headers"], "content-type": "application/json"}
    return {
        **event,
        "rawPath": path,
        "headers": headers,
        "requestContext": context,
        "body": body,
        "isBase64Encoded": False,
    }


def queued(*bodies: str) -> Event:
    """Return a batch from SQS, a message for each body; the second has no traceparent."""
    records = [{**record, "body": body} for record, body in zip(EVENTS["sqs"]["Records"], bodies, strict=True)]
    return {"Records": records}


@pytest.mark.parametrize("stream", [False, True])
def test_chat_answers_in_the_callers_trace(start: StartExample, backend: Backend, stream: bool) -> None:
    """The answer is JSON; both events are in the caller's trace, and the call says for which user and session."""
    claims = {"claims": {"sub": "ada", "iss": "https://idp.example.com"}, "scopes": ["chat"]}
    body = json.dumps({"prompt": "Hi", "session": "s1", "user": "eve", "stream": stream})
    answer = start("chat").invoke(posted(body, authorizer={"jwt": claims}))
    assert answer.payload["statusCode"] == 200
    assert json.loads(answer.payload["body"]) == {"answer": ANSWER}
    call, root = backend.events
    assert (root["trace_id"], root["parent_span_id"]) == (TRACE, SPAN)
    assert below(root, backend.events) == [call]
    assert (call["user_id"], call["session_id"]) == ("ada", "s1")
    assert (call["stream"], call["output_tokens"]) == (stream, 5)


def test_chat_reads_base64_and_direct_invokes(start: StartExample, backend: Backend) -> None:
    """A body in base64 is read, a service says who its user is, and a direct invoke needs no request around it."""
    chat = start("chat")
    encoded = base64.b64encode(b'{"prompt": "Hi", "user": "ada"}').decode()
    assert (
        chat.invoke({**posted(encoded, authorizer={"iam": {}}), "isBase64Encoded": True}).payload["statusCode"] == 200
    )
    assert chat.invoke({"prompt": "Hi", "user": "ada"}).payload["statusCode"] == 200
    assert [call["user_id"] for call in calls(backend.events)] == ["ada", "ada"]


def test_chat_refuses_what_it_cannot_read(start: StartExample, backend: Backend, model: ModelEndpoint) -> None:
    """A bad body is the caller's error: a 400, that the invocation's event has too, and no model call."""
    chat = start("chat")
    bodies = ["", None, "[" * 100_000, "Hi", "[1]", '{"question": "Hi"}', '{"prompt": ["Hi"]}']
    assert [chat.invoke(posted(body)).payload["statusCode"] for body in bodies] == [400] * len(bodies)
    bare = posted("")
    del bare["body"]  # which is how no body looks
    assert json.loads(chat.invoke(bare).payload["body"]) == {"error": 'the body must be JSON: {"prompt": "..."}'}
    assert [e["metadata"]["http.response.status_code"] for e in backend.events] == [400] * (len(bodies) + 1)
    assert model.requests == []


def test_sqs_worker_traces_each_message_and_returns_failed_ones(
    start: StartExample, backend: Backend, model: ModelEndpoint
) -> None:
    """Messages are worked on at the same time, each in its producer's trace; the one that fails goes back."""
    model.latency_ms = 200
    answer = start("sqs_worker").invoke(queued('{"text": "Where is my parcel?"}', '{"text": "Hi"}', "no JSON"))
    assert answer.payload == {"batchItemFailures": [{"itemIdentifier": message_id(2)}]}
    first, second = model.requests
    assert first.answered
    assert second.time < first.answered

    by_id = {e["metadata"].get("messaging.message.id"): e for e in roots(backend.events)}
    parcel, greeting, failed = (by_id[message_id(number)] for number in range(3))
    root = by_id[None]
    assert (
        (parcel["trace_id"], parcel["parent_span_id"])
        == (failed["trace_id"], failed["parent_span_id"])
        == (TRACE, SPAN)
    )
    assert below(root, backend.events) == [greeting]
    assert [call["prompt_text"] for call in below(parcel, backend.events)] == [asked("Where is my parcel?")]
    assert [call["prompt_text"] for call in below(greeting, backend.events)] == [asked("Hi")]
    assert [e["status"] for e in (root, parcel, greeting, failed)] == ["success", "success", "success", "error"]
    assert failed["metadata"]["error.type"] == "JSONDecodeError"
    assert root["metadata"]["aws.lambda.batch_item_failures"] == 1
    link = {"type": "invocation", "trace_id": root["trace_id"], "span_id": root["span_id"]}
    assert parcel["metadata"]["links"] == [link]


def test_sqs_worker_gives_back_what_it_cannot_finish(
    start: StartExample, backend: Backend, model: ModelEndpoint
) -> None:
    """A model that does not answer costs neither the messages that were done nor the events of those that were not."""
    model.latency_ms = 60_000
    answer = start("sqs_worker", timeout=6).invoke(queued("no JSON", '{"text": "Hi"}', '{"text": "Hi again"}'))
    assert answer.payload == {"batchItemFailures": [{"itemIdentifier": message_id(n)} for n in range(3)]}
    assert not answer.timed_out
    assert [call["status"] for call in calls(backend.events)] == ["error"] * 2


def message_id(number: int) -> str:
    found: str = EVENTS["sqs"]["Records"][number]["messageId"]
    return found


def asked(text: str) -> str:
    """A user's message as events have it."""
    return json.dumps([{"role": "user", "content": text}], separators=(",", ":"))


def test_fastapi_stream_is_whole_and_traced(start: StartExample, backend: Backend, model: ModelEndpoint) -> None:
    """Every answer is whole, its call is in its invocation's trace, and one connection serves all invocations."""
    sandbox = start("fastapi_stream")
    for number in range(3):
        answer = sandbox.invoke(posted(json.dumps({"prompt": f"Hi {number}"}), path="/ask"))
        sandbox.freeze()
        assert (answer.payload["statusCode"], answer.payload["body"]) == (200, ANSWER)
        call, root = backend.requests[-1].events
        assert (root["trace_id"], root["parent_span_id"]) == (TRACE, SPAN)
        assert root["metadata"]["faas.invocation_id"] == answer.request_id
        assert root["metadata"]["start_kind"] == ("warm" if number else "cold")
        assert below(root, backend.events) == [call]
        assert (call["prompt_text"], call["stream"], call["output_tokens"]) == (asked(f"Hi {number}"), True, 5)
        assert 0 < call["ttft_ms"] <= call["latency_ms"] + 1
    assert len({request.port for request in model.requests}) == 1


def test_fastapi_stream_answers_500_if_the_model_refuses(
    start: StartExample, backend: Backend, model: ModelEndpoint
) -> None:
    """A model that refuses makes a 500 of the answer, before any of it is there, and an error of the call's event."""
    sandbox = start("fastapi_stream", env={"OPENAI_BASE_URL": f"{model.url}/wrong"})
    assert sandbox.invoke(posted('{"prompt": "Hi"}', path="/ask")).payload["statusCode"] == 500
    call, root = backend.events
    assert below(root, backend.events) == [call]
    assert (call["status"], root["metadata"]["http.response.status_code"]) == ("error", 500)


@pytest.mark.parametrize("event", ["scheduler", "scheduled-rule"])
def test_digest_has_all_its_calls_in_one_trace(start: StartExample, backend: Backend, event: str) -> None:
    """All calls, those from threads too, are in the invocation's one trace, each below its step."""
    day = EVENTS[event]["time"][:10]
    assert start("digest").invoke(EVENTS[event]).payload == {"day": day, "digest": ANSWER}
    (root,) = (e for e in backend.events if e["parent_span_id"] is None)
    assert root["tags"] == {"feature": "digest"}
    steps = below(root, backend.events)
    assert [step["operation"] for step in steps] == ["summarize"] * 3 + ["digest"]
    assert {step["metadata"]["topic"] for step in steps[:3]} == {"sales", "support", "incidents"}
    assert [len(calls(below(step, backend.events))) for step in steps] == [1] * 4
    assert len(backend.events) == 9


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in EXAMPLES.glob("*/app.py")))
def test_requirements_name_what_an_example_imports(folder: str) -> None:
    """An example's requirements name what it imports, and nothing else."""
    code = ast.parse((EXAMPLES / folder / "app.py").read_text())
    imported = {node.module or "" for node in ast.walk(code) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(code) if isinstance(node, ast.Import) for alias in node.names}
    names = {name.partition(".")[0].replace("_", "-") for name in imported} - sys.stdlib_module_names
    lines = (EXAMPLES / folder / "requirements.txt").read_text().splitlines()
    required = {re.split(r">=|-\d", line.rpartition("/")[2])[0].replace("_", "-") for line in lines}  # a file's, too
    assert required == names
