"""The app of AWS CDK: what `cdk synth` makes of it, and that this runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.support import invoked, prepared, ran, unpacked
from tests.environments import installed
from zespan_serverless.cli import main

pytestmark = [
    pytest.mark.host(seconds=30),
    pytest.mark.timeout(400),  # the first test waits for the tool, on a machine that may be busy
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only"),
    pytest.mark.skipif(not shutil.which("node"), reason="CDK runs on Node"),
]


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The resources of the template, and the folder that has the assets."""
    python = installed("deploy", "cdk")
    folder = prepared("cdk", tmp_path_factory.mktemp("cdk") / "app")
    main(["layer", "build", "--output", str(folder / "zespan-serverless-layer.zip")])
    (folder / "bin").mkdir()
    (folder / "bin" / "python3.13").symlink_to(sys.executable)  # of the version that the app is for, it says
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    ran([python, "app.py"], folder, CDK_OUTDIR=str(folder / "cdk.out"), PATH=path)  # as `cdk synth` calls it
    template = json.loads((folder / "cdk.out" / "Chat.template.json").read_text())
    return template["Resources"], folder / "cdk.out"


def of(resources: dict[str, Any], name: str, kind: str) -> dict[str, Any]:
    """The properties of the resource of a kind whose id begins with a name."""
    (found,) = [each for id, each in resources.items() if id.startswith(name) and each["Type"] == kind]
    return dict(found["Properties"])


def test_the_functions_know_their_key_and_may_read_it(synthesized: tuple[dict[str, Any], Path]) -> None:
    """The template has the key's name, the permission for that one alone, and the time for a flush."""
    resources, _ = synthesized
    decorated = of(resources, "Decorated", "AWS::Lambda::Function")
    unchanged = of(resources, "Unchanged", "AWS::Lambda::Function")
    assert decorated["Environment"]["Variables"] == {"ZESPAN_API_KEY_SECRET": "ssm:/zespan/api-key"}
    assert (decorated["Timeout"], unchanged["Timeout"]) == (30, 30)
    variables = unchanged["Environment"]["Variables"]
    assert variables["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/zespan/wrapper"
    assert variables["ZESPAN_API_KEY_SECRET"]["Fn::Join"][1][-1] == ":secret:zespan-api-key"
    ssm = of(resources, "Decorated", "AWS::IAM::Policy")["PolicyDocument"]["Statement"][0]
    assert "ssm:GetParameter" in ssm["Action"]
    assert ssm["Resource"]["Fn::Join"][1][-1] == ":parameter/zespan/api-key"
    secret = of(resources, "Unchanged", "AWS::IAM::Policy")["PolicyDocument"]["Statement"][0]
    assert "secretsmanager:GetSecretValue" in secret["Action"]
    assert secret["Resource"]["Fn::Join"][1][-1].startswith(":secret:zespan-api-key-")


@pytest.mark.parametrize("name", ["Decorated", "Unchanged"])
def test_the_assets_run(name: str, synthesized: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    """Each function's package answers under AWS's emulator, with the decorator or the layer, and its events arrive."""
    resources, out = synthesized
    function = of(resources, name, "AWS::Lambda::Function")
    code = out / f"asset.{function['Code']['S3Key'].removesuffix('.zip')}"
    assert (code / "zespan_serverless" / "__init__.py").is_file()
    for package in (code, code / "zespan_serverless"):
        heads = {file.read_bytes()[4:8] for file in (package / "__pycache__").glob("*.pyc")}
        assert heads == {b"\x01\0\0\0"}  # bytecode that is valid whatever the times of the files are (PEP 552)
    options: dict[str, Any] = {}
    if name == "Unchanged":
        key = of(resources, "Zespan", "AWS::Lambda::LayerVersion")["Content"]["S3Key"]
        layer = unpacked(out / f"asset.{key}", tmp_path / "opt")
        options = {"wrapper": layer / "zespan" / "wrapper", "layers": [layer / "python"]}
        shutil.copytree(code, tmp_path / "code", ignore=lambda _, names: [each for each in names if "zespan" in each])
        code = tmp_path / "code"
    answer, events = invoked(function["Handler"], code, {"prompt": "Hi"}, {}, **options)
    assert re.fullmatch(r"\w.*", answer["answer"])
    assert [event["span_kind"] for event in events].count("llm") == 2
