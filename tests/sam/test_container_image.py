"""deploy/aws_lambda/Dockerfile, built and run."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.lambda_rie import INVOKE_PATH
from tests.sam.support import ROOT, Surroundings, run

EXAMPLE = ROOT / "examples/aws_lambda/unchanged"

pytestmark = pytest.mark.timeout(400)  # it installs packages


@pytest.fixture
def function(image: str, wheels: Path, surroundings: Surroundings, tmp_path: Path) -> Iterator[str]:
    """Where the function in the image is invoked."""
    context = tmp_path / "unchanged"
    shutil.copytree(EXAMPLE, context)
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


def test_function_without_a_change(function: str, surroundings: Surroundings) -> None:
    """An image that names our handler, and the function's in a variable, is traced like a function with the layer."""
    event = json.dumps({"body": '{"prompt": "Hi"}', "isBase64Encoded": False}).encode()
    answer = json.loads(post(function, event))
    assert answer == {"statusCode": 200, "body": "Hello, serverless world!"}
    call, root = surroundings.backend.wait_for(2)
    assert (call["span_kind"], call["output_tokens"]) == ("llm", 5)
    assert (call["trace_id"], call["parent_span_id"]) == (root["trace_id"], root["span_id"])
    assert (root["operation"], root["status"]) == ("in-an-image", "success")


def post(url: str, body: bytes) -> bytes:
    """What is answered, as soon as somebody listens."""
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
