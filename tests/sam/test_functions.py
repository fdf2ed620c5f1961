"""The functions of sam-template.yaml, and deploy/aws_lambda/Dockerfile: built, and run in Docker.

All in one file, which one worker of pytest-xdist runs: they share a daemon, and what `sam build` has built.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.lambda_rie import INVOKE_PATH

from tests.sam.support import ROOT, SAM, Surroundings, run
from zespan_serverless import __version__

pytestmark = [
    pytest.mark.host(seconds=60),
    pytest.mark.timeout(400),  # the first of them waits for `sam build`
]

MARK = "        ZESPAN_ENVIRONMENT: production\n"  # of every function, in the template

Event = dict[str, Any]
InvokeFunction = Callable[[str, Event], Any]


@pytest.fixture
def invoke(built: Path, image: str, surroundings: Surroundings, tmp_path: Path) -> InvokeFunction:
    """Invokes a function of the template with an event: its answer."""
    variables = "".join(f"        {name}: '{value}'\n" for name, value in surroundings.environment.items())
    text = (built / "template.yaml").read_text()
    assert text.count(MARK) == 1
    text = text.replace("        OPENAI_API_KEY:\n          Ref: OpenAiApiKey\n", "").replace(MARK, MARK + variables)
    local = built / "local.yaml"
    local.write_text(text)

    def invoke(function: str, event: Event) -> Any:
        options: list[str | Path] = ["--template", local, "--skip-pull-image", "--invoke-image", image, "--event", "-"]
        return json.loads(run(SAM, "local", "invoke", function, *options, cwd=tmp_path, stdin=json.dumps(event)))

    return invoke


def test_the_template_can_be_built(built: Path) -> None:
    """Decorated functions have the package from the checkout's wheel; the layer has it and an executable wrapper."""
    for function in ("Assistant", "Worker"):
        assert (built / function / f"zespan_serverless-{__version__}.dist-info").is_dir()
        assert not list((built / function).rglob("*.whl"))
    assert (built / "Telemetry/python/zespan_serverless/aws_lambda/auto.py").exists()
    assert os.access(built / "Telemetry/zespan/wrapper", os.X_OK)


def post(body: Event) -> Event:
    """A request as an HTTP API passes it on, by AWS's own account of it."""
    options = ["--method", "POST", "--path", "ask", "--body", json.dumps(body)]
    event: Event = json.loads(run(SAM, "local", "generate-event", "apigateway", "http-api-proxy", *options))
    return event


def test_decorated_function_behind_an_http_api(invoke: InvokeFunction, surroundings: Surroundings) -> None:
    """It answers, and sends both events with the key from Parameter Store."""
    answer = invoke("Assistant", post({"prompt": "Hi"}))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"answer": "Hello, serverless world!"}
    call, root = surroundings.backend.wait_for(2)
    assert (call["span_kind"], call["model"], call["output_tokens"]) == ("llm", "gpt-4o", 5)
    assert (call["trace_id"], call["parent_span_id"]) == (root["trace_id"], root["span_id"])
    assert (root["operation"], root["status"], root["environment"]) == ("Assistant", "success", "production")
    assert root["metadata"]["faas.trigger"] == "http"
    assert root["metadata"]["url.path"] == "/ask"
    assert root["metadata"]["http.response.status_code"] == 200


def test_function_without_a_change(invoke: InvokeFunction, built: Path, surroundings: Surroundings) -> None:
    """The layer traces a handler that neither imports nor brings the package, just as the decorator does."""
    assert not list((built / "AssistantUnchanged").glob("zespan*"))
    assert "import zespan" not in (built / "AssistantUnchanged/app.py").read_text()
    answer = invoke("AssistantUnchanged", post({"prompt": "Hi"}))
    assert answer == {"statusCode": 200, "body": "Hello, serverless world!"}
    call, root = surroundings.backend.wait_for(2)
    assert (call["span_kind"], call["model"], call["output_tokens"]) == ("llm", "gpt-4o", 5)
    assert (call["trace_id"], call["parent_span_id"]) == (root["trace_id"], root["span_id"])
    assert (root["operation"], root["status"]) == ("AssistantUnchanged", "success")
    assert root["metadata"]["faas.trigger"] == "http"
    assert root["metadata"]["http.response.status_code"] == 200


def test_a_failed_message_goes_back_to_the_queue(invoke: InvokeFunction, surroundings: Surroundings) -> None:
    """Of a batch, the message that failed goes back to the queue, and is counted; calls are in the senders' traces."""
    batch: Event = json.loads((ROOT / "tests/events/aws_lambda/sqs.json").read_text())
    first, second, third = batch["Records"]
    first["body"], second["body"], third["body"] = '{"text": "Where is my parcel?"}', '{"text": "Hi"}', "no JSON"
    answer = invoke("Worker", batch)
    assert answer == {"batchItemFailures": [{"itemIdentifier": third["messageId"]}]}
    events = surroundings.backend.wait_for(6)
    calls = [event for event in events if event["span_kind"] == "llm"]
    assert len(calls) == 2
    (root,) = (event for event in events if event["operation"] == "Worker")
    assert root["metadata"]["faas.trigger"] == "pubsub"
    assert root["metadata"]["aws.lambda.batch_item_failures"] == 1
    _, sender, _, _ = first["messageAttributes"]["traceparent"]["stringValue"].split("-")
    assert {call["trace_id"] for call in calls} == {sender, root["trace_id"]}  # the second message has no trace


# ---------------------------------------------------------------------- a container image


@pytest.fixture
def container_image(image: str, wheels: Path, surroundings: Surroundings, tmp_path: Path) -> Iterator[str]:
    """Where the function in the image is invoked."""
    context = tmp_path / "unchanged"
    shutil.copytree(ROOT / "examples/aws_lambda/unchanged", context)
    shutil.copytree(wheels, context / "dist")
    dockerfile = ROOT / "deploy/aws_lambda/Dockerfile"
    built = run("docker", "build", "--quiet", "--file", dockerfile, "--build-arg", f"BASE={image}", context).strip()
    account = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    account |= {"AWS_LAMBDA_FUNCTION_NAME": "in-an-image", "ZESPAN_API_KEY_SECRET": "ssm:/zespan/api-key"}
    variables = [f"--env={name}={value}" for name, value in (account | surroundings.environment).items()]
    container = run("docker", "run", "--detach", "--publish=127.0.0.1::8080", *variables, built).strip()
    try:
        yield f"http://{run('docker', 'port', container, '8080').strip()}{INVOKE_PATH}"
    finally:
        run("docker", "rm", "--force", container)
        run("docker", "rmi", "--force", built)


def test_a_container_image(container_image: str, surroundings: Surroundings) -> None:
    """An image that names our handler, and the function's in a variable, is traced like a function with the layer."""
    event = json.dumps({"body": '{"prompt": "Hi"}', "isBase64Encoded": False}).encode()
    answer = json.loads(posted(container_image, event))
    assert answer == {"statusCode": 200, "body": "Hello, serverless world!"}
    call, root = surroundings.backend.wait_for(2)
    assert (call["span_kind"], call["output_tokens"]) == ("llm", 5)
    assert (call["trace_id"], call["parent_span_id"]) == (root["trace_id"], root["span_id"])
    assert (root["operation"], root["status"]) == ("in-an-image", "success")


def posted(url: str, body: bytes) -> bytes:
    """Return the response, as soon as the server listens."""
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, body, timeout=60) as response:
                answer: bytes = response.read()
                return answer
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
