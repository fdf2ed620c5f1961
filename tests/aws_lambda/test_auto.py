"""Functions with unchanged code, on the real emulator."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pydantic
import pytest
from zespan_serverless_dev.emulator.lambda_rie import HOOKS, Sandbox

from zespan_serverless import __version__
from zespan_serverless.cli import main
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host

AUTO = "zespan_serverless.aws_lambda.auto.handler"

MODULES = {
    "plain": "def handler(event, context):\n    return {'got': event}\n",
    "broken_import": "import no_such_module_anywhere\ndef handler(event, context): ...\n",
    "broken_syntax": "def handler(event, context)\n    return 1\n",
    "broken_name": "def setup():\n    return undefined_name\nsetup()\ndef handler(event, context): ...\n",
    "missing": "def other(event, context): ...\n",
    "text": "handler = 'text'\n",
    "quotes": "import pydantic\npydantic.TypeAdapter(int).validate_python('what was said')\n",
    "quotes_import": "import pydantic\ntry:\n    pydantic.TypeAdapter(int).validate_python('what was said')\n"
    "except ValueError as e:\n    raise ImportError(f'no settings: {e}')\n",
    "quotes_exit": "import sys, pydantic\ntry:\n    pydantic.TypeAdapter(int).validate_python('what was said')\n"
    "except ValueError as e:\n    sys.exit(f'no settings: {e}')\n",
    "leaves": "import sys\nsys.exit('no database')\n",
    "strange": "class H:\n    def __getattr__(self, name): raise RuntimeError(name)\n"
    "    def __call__(self, event, context): return event\nhandler = H()\n",
    "located": "import importlib.metadata\nimport zespan_serverless\ndef handler(event, context):\n"
    "    return [zespan_serverless.__file__, importlib.metadata.version('zespan-serverless')]\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def answer(handler: str, folder: Path, env: dict[str, str]) -> dict[str, object]:
    """Return what the first invocation of a function answers, without what differs from call to call."""
    with Sandbox(handler, folder, env=env, timeout=10) as sandbox:
        payload = sandbox.invoke({"a": 1}).payload
    return {name: value for name, value in payload.items() if name != "requestId"}


def test_a_handler_is_traced_without_a_change_to_it(folder: Path, backend: Backend) -> None:
    """The redirect calls the user's handler, and its invocation arrives."""
    env = {"ZESPAN_BASE_URL": backend.url, "ZESPAN_LAMBDA_HANDLER": "plain.handler"}
    assert answer(AUTO, folder, env) == {"got": {"a": 1}}
    assert [event["metadata"]["start_kind"] for event in backend.wait_for(1)] == ["cold"]


@pytest.mark.parametrize("module", ["broken_import", "broken_syntax", "broken_name", "missing"])
def test_a_function_that_cannot_start_looks_as_it_does_without_us(module: str, folder: Path, backend: Backend) -> None:
    """Lambda's answer is the same to the last stack frame, and what happened is reported."""
    name = f"{module}.handler"
    without = answer(name, folder, {})
    assert "errorType" in without
    assert answer(AUTO, folder, {"ZESPAN_BASE_URL": backend.url, "ZESPAN_LAMBDA_HANDLER": name}) == without
    event = backend.wait_for(1)[0]
    assert (event["status"], event["operation"]) == ("error", name)
    assert event["metadata"]["error.type"] == without["errorType"]
    assert event["error_message"] == str(without["errorMessage"])[:500]


@pytest.mark.parametrize(("module", "kind"), [("text", "TypeError"), ("leaves", "SystemExit")])
def test_what_cannot_be_called_or_ends_the_process_is_reported(
    module: str, kind: str, folder: Path, backend: Backend
) -> None:
    """A handler that is no function, and a module that exits, look as they do without us, and arrive."""
    name = f"{module}.handler"
    env = {"ZESPAN_BASE_URL": backend.url, "ZESPAN_LAMBDA_HANDLER": name}
    with Sandbox(name, folder) as bare, Sandbox(AUTO, folder, env=env) as traced:
        without, answered = bare.invoke(), traced.invoke()
    assert (answered.status, without.payload is None) == (without.status, answered.payload is None)
    if without.payload is not None:
        assert {**answered.payload, "requestId": ""} == {**without.payload, "requestId": ""}
    assert backend.wait_for(1)[0]["metadata"]["error.type"] == kind


@pytest.mark.parametrize(
    ("module", "said"),
    [("quotes", "ValidationError"), ("quotes_import", "FaultException"), ("quotes_exit", "SystemExit")],
)
@pytest.mark.parametrize("stored", ["0", "1"])
def test_a_function_that_cannot_start_quotes_no_prompts(
    module: str, said: str, stored: str, folder: Path, backend: Backend
) -> None:
    """Without `store_prompts` what a model or a parser has said while the module was imported is not sent."""
    name = f"{module}.handler"
    paths = os.pathsep.join([str(Path(pydantic.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    env = {"ZESPAN_BASE_URL": backend.url, "ZESPAN_LAMBDA_HANDLER": name, "ZESPAN_STORE_PROMPTS": stored}
    with Sandbox(AUTO, folder, env={**env, "PYTHONPATH": paths}) as sandbox:
        sandbox.invoke()
    text = backend.wait_for(1)[0]["error_message"]
    if stored == "0":
        assert text == said
    else:
        assert "what was said" in text


def test_a_handler_that_cannot_be_decorated_runs(folder: Path, backend: Backend) -> None:
    """An object that refuses to be looked at is called as it is."""
    env = {"ZESPAN_BASE_URL": backend.url, "ZESPAN_LAMBDA_HANDLER": "strange.handler"}
    assert answer(AUTO, folder, env) == {"a": 1}


def test_a_function_that_cannot_start_is_reported_when_the_backend_is_back(folder: Path, backend: Backend) -> None:
    """What could not be sent waits on disk for the next process of the sandbox."""
    env = {"ZESPAN_BASE_URL": backend.url, "ZESPAN_LAMBDA_HANDLER": "broken_import.handler"}
    backend.mode = 503
    with Sandbox(AUTO, folder, env=env) as sandbox:
        sandbox.invoke()
        backend.mode = "ok"
        sandbox.invoke()
        assert len({event["event_id"] for event in backend.wait_for(2)}) == 2


def test_a_lost_report_is_logged(folder: Path, backend: Backend) -> None:
    """Without a journal a report that cannot be sent is logged, because no later process would send it."""
    env = {"ZESPAN_BASE_URL": backend.url, "ZESPAN_LAMBDA_HANDLER": "broken_import.handler", "ZESPAN_JOURNAL": "off"}
    backend.mode = 503
    with Sandbox(AUTO, folder, env=env) as sandbox:
        sandbox.invoke()
        assert "telemetry events are being dropped: closed" in sandbox.log()


def test_without_the_variable_it_says_what_to_set(folder: Path) -> None:
    """The error names the variable."""
    assert "ZESPAN_LAMBDA_HANDLER" in str(answer(AUTO, folder, {})["errorMessage"])


@pytest.fixture
def opt(tmp_path: Path) -> Path:
    """/opt of a function with the layer."""
    main(["layer", "build", "--output", str(tmp_path / "layer.zip")])
    with zipfile.ZipFile(tmp_path / "layer.zip") as layer:
        layer.extractall(tmp_path / "opt")
    (tmp_path / "opt" / "zespan" / "wrapper").chmod(0o755)  # zipfile forgets it
    return tmp_path / "opt"


def test_the_layer_and_its_wrapper_trace_a_plain_function(folder: Path, backend: Backend, opt: Path) -> None:
    """The runtime is started through the wrapper, and the package comes from the layer."""
    env = {
        "PYTHONPATH": os.pathsep.join(map(str, (HOOKS, folder, opt / "python"))),
        "ZESPAN_BASE_URL": backend.url,
    }
    with Sandbox("located.handler", folder, env=env, wrapper=opt / "zespan" / "wrapper") as sandbox:
        assert sandbox.invoke({}).payload == [str(opt / "python" / "zespan_serverless" / "__init__.py"), __version__]
    assert backend.wait_for(1)[0]["metadata"]["start_kind"] == "cold"


def test_the_wrapper_keeps_a_handler_that_is_ours_already(opt: Path) -> None:
    """A function that is set up by hand, or through the wrapper twice, still finds its handler."""
    said = subprocess.run(
        [
            opt / "zespan" / "wrapper",
            opt / "zespan" / "wrapper",
            "/bin/sh",
            "-c",
            'echo "$_HANDLER $ZESPAN_LAMBDA_HANDLER"',
        ],
        env={"_HANDLER": "app.handler", "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == [AUTO, "app.handler"]


@pytest.mark.parametrize(("runtime", "traced"), [("python3.10", False), ("python3.9", False), ("python3.11", True)])
def test_the_wrapper_leaves_an_older_python_alone(opt: Path, runtime: str, traced: bool) -> None:
    """The function runs as it did, with a word in its log."""
    said = subprocess.run(
        [opt / "zespan" / "wrapper", "/bin/sh", "-c", 'echo "$_HANDLER $ZESPAN_LAMBDA_HANDLER"'],
        env={"_HANDLER": "app.handler", "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ([AUTO, "app.handler"] if traced else ["app.handler"])
    assert ("untraced" in said.stderr) is not traced
