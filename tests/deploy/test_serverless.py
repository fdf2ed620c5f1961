"""The service of the Serverless Framework: what the framework makes of it, and that this runs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.support import invoked, prepared, ran, unpacked
from tests.environments import installed

ARN = "arn:aws:lambda:us-east-1:123456789012:layer:zespan:1"

pytestmark = [
    pytest.mark.host(seconds=15),
    pytest.mark.timeout(400),  # the first test waits for the tool, on a machine that may be busy
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only"),
    pytest.mark.skipif(not shutil.which("npm"), reason="the framework runs on Node"),
]


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The resources of the template, and the folder with the package."""
    modules = installed("deploy", "serverless").parents[1] / "node_modules"
    folder = prepared("serverless", tmp_path_factory.mktemp("serverless") / "service")
    (folder / "node_modules").symlink_to(modules)  # where plugins are looked for
    file = folder / "serverless.yml"
    local = f"  pythonRequirements:\n    pythonBin: {sys.executable}\n"  # instead of python3.13
    file.write_text(file.read_text().replace("  pythonRequirements:\n", local))
    command: list[str | Path] = [modules / ".bin" / "serverless", "package", "--package", "out"]
    ran(command, folder, ZESPAN_LAYER_ARN=ARN, SLS_NOTIFICATIONS_MODE="off", SLS_TELEMETRY_DISABLED="1")
    template = json.loads((folder / "out" / "cloudformation-template-update-stack.json").read_text())
    return template["Resources"], unpacked(folder / "out" / "chat.zip", folder / "unpacked")


def test_the_template_has_what_a_function_needs(packaged: tuple[dict[str, Any], Path]) -> None:
    """Key, timeout, permission and layer are those of serverless.yml."""
    resources, _ = packaged
    decorated = resources["DecoratedLambdaFunction"]["Properties"]
    unchanged = resources["UnchangedLambdaFunction"]["Properties"]
    assert decorated["Environment"]["Variables"] == {"ZESPAN_API_KEY_SECRET": "ssm:/zespan/api-key"}
    assert unchanged["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/zespan/wrapper"
    assert unchanged["Layers"] == [ARN]
    assert (decorated["Timeout"], unchanged["Timeout"]) == (30, 30)
    statements = resources["IamRoleLambdaExecution"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    (read,) = [each for each in statements if "ssm:GetParameter" in each["Action"]]
    assert "parameter/zespan/api-key" in json.dumps(read["Resource"])


def test_the_package_runs(packaged: tuple[dict[str, Any], Path]) -> None:
    """The function with the decorator answers under AWS's emulator from its zip, and its events arrive."""
    resources, code = packaged
    assert (code / "zespan_serverless" / "__init__.py").is_file()
    properties = resources["DecoratedLambdaFunction"]["Properties"]
    variables = properties["Environment"]["Variables"]
    answer, events = invoked(properties["Handler"], code, {"prompt": "Hi"}, variables)
    assert answer["answer"]
    assert [event["span_kind"] for event in events].count("llm") == 2
