"""The script that publishes the layer in many regions, against moto's AWS."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from zespan_serverless import _layer

pytestmark = pytest.mark.slow(seconds=1)

SCRIPT = Path(__file__).parents[1] / "deploy" / "aws_lambda" / "layer" / "publish.py"
TWO = ["--regions", "eu-west-1", "us-east-1"]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script as a module, and an account with no layers."""
    for name, text in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "DEFAULT_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", text)
    spec = importlib.util.spec_from_file_location("publish", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with mock_aws():
        # moto's first answer compiles syntax trees, which CPython 3.11 does not survive in several threads at once.
        boto3.client("lambda").list_layers()
        yield module


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    (path := tmp_path / "layer.zip").write_bytes(b"a zip")
    return path


def test_the_layer_is_published_in_each_region(
    script: ModuleType, layer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ARNs are printed by region, and each layer is for the runtimes that the package is for."""
    assert script.main([str(layer), *TWO, "--description", "zespan-serverless 0.1.0"]) == 0
    arns = json.loads(capsys.readouterr().out)
    assert [arn.split(":")[3] for arn in arns.values()] == list(arns) == TWO[1:]
    found = boto3.client("lambda", region_name="us-east-1").get_layer_version(LayerName="zespan", VersionNumber=1)
    assert found["LayerVersionArn"] == arns["us-east-1"]
    assert found["CompatibleRuntimes"] == list(_layer.RUNTIMES)
    assert found["Description"] == "zespan-serverless 0.1.0"


def test_the_same_bytes_are_published_once(script: ModuleType, layer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run, after one that has failed in some region, makes no second version; other bytes make one."""
    printed = []
    for content in (b"a zip", b"a zip", b"another zip"):
        layer.write_bytes(content)
        assert script.main([str(layer), *TWO]) == 0
        printed.append(json.loads(capsys.readouterr().out)["eu-west-1"].rpartition(":")[2])
    assert printed == ["1", "1", "2"]


@pytest.mark.parametrize("option", [["--public"], ["--organization", "o-a1b2c3d4e5"]], ids=["public", "organization"])
def test_the_layer_can_be_shared(option: list[str], script: ModuleType, layer: Path) -> None:
    """With every account, or with those of an organization, also when it was published before."""
    for more in ([], option):
        assert script.main([str(layer), "--regions", "eu-west-1", *more]) == 0
    client = boto3.client("lambda", region_name="eu-west-1")
    policy = json.loads(client.get_layer_version_policy(LayerName="zespan", VersionNumber=1)["Policy"])
    (statement,) = (one for one in policy["Statement"] if one["Sid"] == option[-1].removeprefix("--"))
    assert statement["Action"] == "lambda:GetLayerVersion"
    assert statement["Principal"] in ("*", {"AWS": "*"})


@pytest.mark.parametrize(("code", "raised"), [("ResourceConflictException", False), ("AccessDeniedException", True)])
def test_what_is_shared_already_stays_so(code: str, raised: bool, script: ModuleType) -> None:
    """AWS refuses the same permission twice, which is no failure; any other refusal is."""
    client = boto3.client("lambda", region_name="eu-west-1")
    with Stubber(client) as stubber:
        stubber.add_client_error("add_layer_version_permission", code)
        with pytest.raises(ClientError) if raised else nullcontext():
            script._share(client, "zespan", 1, None)


def test_regions_that_are_off_are_left_out(
    script: ModuleType, layer: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are named, and are no failure unless they were asked for; any other refusal is one."""
    codes = {"ap-east-1": "UnrecognizedClientException", "us-west-2": "AccessDeniedException"}

    def publish(region: str, *_: Any) -> str:
        if code := codes.get(region):
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PublishLayerVersion")
        return "arn"

    session = SimpleNamespace(get_available_regions=lambda service: ["eu-west-1", "ap-east-1"])
    monkeypatch.setattr(script, "publish", publish)
    monkeypatch.setattr(boto3, "Session", lambda: session)
    assert script.main([str(layer)]) == 0
    assert capsys.readouterr() == ('{\n  "eu-west-1": "arn"\n}\n', "ap-east-1: not switched on for this account\n")
    for region in codes:
        assert script.main([str(layer), "--regions", "eu-west-1", region]) == 1
        out, err = capsys.readouterr()
        assert json.loads(out) == {"eu-west-1": "arn"}
        assert err.startswith(f"{region}: An error occurred ({codes[region]})")


def test_a_missing_zip_says_how_to_make_it(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any call to AWS."""
    with pytest.raises(SystemExit):
        script.main([str(tmp_path / "none.zip")])
    assert "run `zespan-serverless layer build` first" in capsys.readouterr().err


def test_the_runtimes_are_those_of_the_layer(script: ModuleType) -> None:
    """The script, which runs without the package, names the same ones."""
    assert list(_layer.RUNTIMES) == script.RUNTIMES
