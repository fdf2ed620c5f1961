"""The app of Chalice: its own test client, what `chalice package` makes of it, and that this runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.invoke import samples

from tests.deploy.support import RECIPES, ROOT, invoked, prepared, ran, unpacked
from tests.dev.init.command import init
from tests.dev.init.test_projects import project
from tests.environments import installed
from tools import wheels
from zespan_serverless.cli import main

pytestmark = [
    pytest.mark.host(seconds=15),
    pytest.mark.timeout(400),  # the first test waits for the tool, on a machine that may be busy
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only"),
]


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The functions of the template, and the folder with the package."""
    python = installed("deploy", "chalice")
    folder = prepared("chalice", tmp_path_factory.mktemp("chalice") / "app")
    ran([python.parent / "chalice", "package", "out"], folder, OPENAI_API_KEY="sk-local")
    resources = json.loads((folder / "out" / "sam.json").read_text())["Resources"]
    return resources, unpacked(folder / "out" / "deployment.zip", folder / "unpacked")


def test_the_template_has_what_a_function_needs(packaged: tuple[dict[str, Any], Path]) -> None:
    """Key, timeout and permission are those of .chalice, for the API and for the worker."""
    resources, _ = packaged
    for name, role in (("APIHandler", "ApiHandlerRole"), ("Work", "WorkRole")):
        properties = resources[name]["Properties"]
        assert properties["Environment"]["Variables"] == {"ZESPAN_API_KEY_SECRET": "ssm:/zespan/api-key"}
        assert properties["Timeout"] == 30
        assert "ssm:GetParameter" in json.dumps(resources[role])


@pytest.mark.parametrize(
    ("function", "event"), [("APIHandler", "apigw-v1 POST /ask"), ("Work", "sqs")], ids=["API", "worker"]
)
def test_the_package_runs(function: str, event: str, packaged: tuple[dict[str, Any], Path]) -> None:
    """Each function answers under AWS's emulator, and its events arrive with the trigger that Lambda has seen."""
    resources, code = packaged
    properties = resources[function]["Properties"]
    sample: Any = samples.sample(event, {"prompt": "Hi"})
    if function == "APIHandler":  # Chalice looks for the route as its API Gateway has it
        sample["resource"] = sample["requestContext"]["resourcePath"] = "/ask"
        sample["pathParameters"] = None
    variables = properties["Environment"]["Variables"]
    count = 2 if function == "APIHandler" else 3  # a worker has an event for the message, too
    answer, events = invoked(properties["Handler"], code, sample, variables, count=count)
    triggers = [each["metadata"]["faas.trigger"] for each in events if "faas.trigger" in each.get("metadata", {})]
    assert triggers == ["http" if function == "APIHandler" else "pubsub"] * 2
    assert [each["span_kind"] for each in events].count("llm") == 2
    assert function == "Work" or answer["statusCode"] == 200


def test_the_layer_sees_what_chalice_answers(packaged: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    """With the layer's wrapper instead of the middleware a view's exception makes its event an error."""
    _, code = packaged
    main(["layer", "build", "--output", str(tmp_path / "layer.zip")])
    opt = unpacked(tmp_path / "layer.zip", tmp_path / "opt")
    text = (RECIPES / "chalice" / "app.py").read_text()
    plain = "".join(line for line in text.splitlines(keepends=True) if "register_middleware" not in line)
    (code / "plain.py").write_text(plain)
    sample: Any = samples.sample("apigw-v1 POST /ask", {"no": "prompt"})
    sample["resource"] = sample["requestContext"]["resourcePath"] = "/ask"
    options: dict[str, Any] = {"wrapper": opt / "zespan" / "wrapper", "layers": [opt / "python"]}
    answer, events = invoked("plain.app", code, sample, {}, count=1, **options)
    assert answer["statusCode"] == 500
    assert {each["status"] for each in events} == {"error"}


def test_chalices_own_client_calls_traced_functions() -> None:
    """The middleware is around views and workers in Chalice's test client, too."""
    python = installed("deploy", "chalice")
    code = (
        "import json, app\n"
        "from chalice.test import Client\n"
        "from zespan_serverless import testing\n"
        "app.ask = lambda prompt: prompt\n"
        "with testing.recording() as events, Client(app.app) as client:\n"
        "    body = json.dumps({'prompt': 'Hi'})\n"
        "    headers = {'content-type': 'application/json'}\n"
        "    assert client.http.post('/ask', headers=headers, body=body).json_body == {'answer': 'Hi'}\n"
        "    client.lambda_.invoke('work', client.events.generate_sqs_event(['a', 'b']))\n"
        "print(len(events))\n"
    )
    out = ran([python, "-c", code], RECIPES / "chalice", OPENAI_API_KEY="sk-local")
    assert out.splitlines()[-1] == "4"  # a request, a batch, and its two messages


def test_what_init_writes_is_packaged(tmp_path: Path) -> None:
    """Chalice's starter, after `zespan-serverless init --write`, answers from its package with a trace."""
    python = installed("deploy", "chalice")
    page = ROOT / "tests" / "dev" / "init" / "projects" / "chalice.md"
    root, _, _ = project(page, tmp_path / "app")
    assert init(root, "--write").code == 0
    wheels.build(root / "dist", (ROOT,), "wheel")
    ran([python.parent / "chalice", "package", "out"], root)
    code = unpacked(root / "out" / "deployment.zip", tmp_path / "unpacked")
    sample: Any = samples.sample("apigw-v1 GET /", None)
    sample["resource"] = sample["requestContext"]["resourcePath"] = "/"
    answer, events = invoked("app.app", code, sample, {}, count=1)
    assert json.loads(answer["body"]) == {"hello": "world"}
    assert {event["status"] for event in events} == {"success"}
