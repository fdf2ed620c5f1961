"""Functions whose code nobody touches, on the real emulator."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emulator.lambda_rie import HOOKS, Sandbox
from zespan_serverless import __version__
from zespan_serverless.cli import main
from zespan_serverless.testing import Backend

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTO = "zespan_serverless.aws_lambda.auto.handler"

MODULES = {
    "plain": "def handler(event, context):\n    return {'got': event}\n",
    "broken_import": "import no_such_module_anywhere\ndef handler(event, context): ...\n",
    "broken_syntax": "def handler(event, context)\n    return 1\n",
    "broken_name": "def setup():\n    return undefined_name\nsetup()\ndef handler(event, context): ...\n",
    "missing": "def other(event, context): ...\n",
    "located": "import importlib.metadata\nimport zespan_serverless\ndef handler(event, context):\n"
    "    return [zespan_serverless.__file__, importlib.metadata.version('zespan-serverless')]\n",
}


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def answer(handler: str, folder: Path, env: dict[str, str]) -> dict[str, object]:
    """What the first invocation of a function answers, without what differs from call to call."""
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


def test_without_the_variable_it_says_what_to_set(folder: Path) -> None:
    """The error names the variable."""
    assert "ZESPAN_LAMBDA_HANDLER" in str(answer(AUTO, folder, {})["errorMessage"])


@pytest.mark.parametrize("pythons", [[], ["--python", sys.executable]])
def test_the_layer_is_the_same_bytes_twice_and_small(
    tmp_path: Path, pythons: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A reproducible zip, within its size gate."""
    for name in ("a.zip", "b.zip"):
        main(["layer", "build", "--output", str(tmp_path / name), *pythons])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert (tmp_path / "a.zip").stat().st_size <= (300_000 if pythons else 150_000)
    assert "a.zip" in capsys.readouterr().out


def test_the_layer_holds_this_package_and_nothing_else(tmp_path: Path) -> None:
    """No other package comes along, so none of the user's can be shadowed; nothing depends on the architecture."""
    main(["layer", "build", "--output", str(tmp_path / "layer.zip")])
    with zipfile.ZipFile(tmp_path / "layer.zip") as layer:
        names = layer.namelist()
        assert layer.getinfo("zespan/wrapper").external_attr >> 16 == 0o755
    tops = {"/".join(name.split("/")[:2]).partition("-")[0] for name in names}
    assert tops == {"zespan/wrapper", "python/zespan_serverless"}
    assert {Path(name).suffix for name in names if name.startswith("python/zespan_serverless/")} == {".py", ".typed"}


def test_bytecode_is_used_wherever_it_is_unpacked(tmp_path: Path) -> None:
    """It is there for every module, and taken whatever the times and the text of the sources beside it are."""
    main(["layer", "build", "--output", str(tmp_path / "layer.zip"), "--python", sys.executable])
    with zipfile.ZipFile(tmp_path / "layer.zip") as layer:
        layer.extractall(tmp_path)
    for source in (tmp_path / "python" / "zespan_serverless").rglob("*.py"):
        source.write_text("raise SystemExit('compiled')\n")
    loaded = "import sys, zespan_serverless.aws_lambda as ours, zespan_serverless._container; print(ours.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", loaded], cwd=tmp_path / "python", capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith(str(tmp_path))


@pytest.mark.parametrize(("script", "said"), [("exit 3", ""), ("echo too old >&2; exit 1", "too old")])
def test_a_python_that_cannot_compile_is_named(
    tmp_path: Path, script: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command fails with the Python's own words, and no traceback."""
    (python := tmp_path / "python").write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    for name in (str(python), str(tmp_path / "none")):
        with pytest.raises(SystemExit) as left:
            main(["layer", "build", "--output", str(tmp_path / "layer.zip"), "--python", name])
        assert left.value.code == 1
        printed = capsys.readouterr().err
        assert f"no bytecode from {name}" in printed
        assert said in printed or name != str(python)


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
