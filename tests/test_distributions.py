"""Two distributions of one version: what goes into functions, and the tools for developers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from packaging.licenses import canonicalize_license_expression

from tools import sbom, wheels
from zespan_serverless import __version__, cli
from zespan_serverless.cli import main

ROOT = Path(__file__).parents[1]
MAIN: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TOOLS: dict[str, Any] = tomllib.loads((ROOT / "dev" / "pyproject.toml").read_text())["project"]


def test_both_have_one_version_and_need_exactly_it() -> None:
    """The tools look into the package, so another version of it would break them."""
    assert TOOLS["version"] == __version__
    assert f"zespan-serverless=={__version__}" in TOOLS["dependencies"]
    assert MAIN["optional-dependencies"]["dev"] == [f"zespan-serverless-dev=={__version__}"]


def test_the_package_has_no_dependencies() -> None:
    """What goes into a function brings nothing along, and names no need of contributors."""
    assert MAIN["dependencies"] == []
    assert set(MAIN["optional-dependencies"]) == {"aws", "dev", "openai"}


def test_the_main_command_knows_every_tool() -> None:
    """The command lists every tool, so that it can say how to install a missing one."""
    assert set(cli.TOOLS) == set(TOOLS["entry-points"]["zespan_serverless.commands"])


@pytest.mark.parametrize("arguments", [["dev"], ["invoke", "app.handler", "-n", "5"], ["run", "--", "pytest", "-x"]])
def test_a_missing_tool_says_how_to_install_it(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever its arguments are."""
    monkeypatch.setattr(cli, "entry_points", lambda group: [])
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 1
    assert "this command comes with: pip install ./dev in a checkout" in capsys.readouterr().err


@pytest.mark.usefixtures("broken_tools")
def test_broken_tools_concern_no_other_command(tmp_path: Path) -> None:
    """The layer is built although none of the tools can be imported."""
    assert main(["layer", "build", "--output", str(tmp_path / "layer.zip")]) == 0


@pytest.fixture
def broken_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [EntryPoint(name, "no_such_module:add_arguments", "zespan_serverless.commands") for name in cli.TOOLS]
    monkeypatch.setattr(cli, "entry_points", lambda group: broken)
    with pytest.raises(ModuleNotFoundError):
        main(["dev"])


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """What `head` leaves unread ends the command without a message."""
    command = [sys.executable, "-m", "zespan_serverless", "doctor", "--list-rules"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize("tool", sorted(cli.TOOLS))
def test_each_tool_explains_itself(tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each is found from the main command, and names the command."""
    with pytest.raises(SystemExit) as ended:
        main([tool, "--help"])
    assert ended.value.code == 0
    assert f"zespan-serverless {tool}" in capsys.readouterr().out


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both wheels and both source archives, as they are released."""
    folder = tmp_path_factory.mktemp("dist")
    wheels.build(folder)
    return folder


@pytest.mark.host(seconds=12)
def test_wheels_run_where_nothing_else_is(dist: Path, tmp_path: Path) -> None:
    """Each has all files that it needs and none of the other's; together they run in an empty environment."""
    tools, package = sorted(dist.glob("*.whl"), key=lambda wheel: "_dev" not in wheel.name)
    assert not [name for name in names(package) if not name.startswith(("zespan_serverless/", "zespan_serverless-"))]
    assert {path for path in names(tools) if "/" in path} >= in_the_repository("dev/zespan_serverless_dev")
    uv("venv", "--python", sys.executable, str(tmp_path / "venv"))
    uv("pip", "install", "--python", str(tmp_path / "venv"), str(package))
    command = tmp_path / "venv" / "bin" / "zespan-serverless"
    missing = subprocess.run([command, "doctor"], capture_output=True, text=True)
    assert "pip install ./dev in a checkout" in missing.stderr
    uv("pip", "install", "--python", str(tmp_path / "venv"), str(tools))
    done = subprocess.run([command, "doctor", str(ROOT / "deploy")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.host(seconds=5)
def test_archives_pass_the_checks_of_the_index(dist: Path) -> None:
    """PyPI would take them, show their README, and find nothing in the wheels that does not belong there."""
    run("twine", "check", "--strict", *map(str, dist.iterdir()))
    for project, pattern in ((ROOT, "zespan_serverless-*.whl"), (ROOT / "dev", "zespan_serverless_dev-*.whl")):
        run("check_wheel_contents", str(next(dist.glob(pattern))), cwd=project)


@pytest.mark.host(seconds=5)
def test_wheels_can_be_built_again(dist: Path, tmp_path: Path) -> None:
    """From the source archives, in another folder, with other times and modes, come the same bytes as from here."""
    for archive in dist.glob("*.tar.gz"):
        shutil.unpack_archive(archive, tmp_path / "src", filter="data")
    projects = tuple((tmp_path / "src").iterdir())
    for file in (tmp_path / "src").rglob("*"):
        file.chmod(0o700 if file.is_dir() else 0o600)
        os.utime(file, (1e9, 1e9))
    again = wheels.build(tmp_path / "dist", projects, "wheel")
    assert {wheel.name: wheel.read_bytes() for wheel in again} == {
        wheel.name: wheel.read_bytes() for wheel in dist.glob("*.whl")
    }


@pytest.mark.host(seconds=1)
@pytest.mark.parametrize("project", [MAIN, TOOLS], ids=["package", "tools"])
def test_wheels_say_what_is_inside_under_which_licence(dist: Path, project: dict[str, Any]) -> None:
    """Each has its bill of materials, and the text of every licence that its metadata names."""
    name = project["name"].replace("-", "_")
    info = f"{name}-{__version__}.dist-info"
    with zipfile.ZipFile(dist / f"{name}-{__version__}-py3-none-any.whl") as archive:
        bill = json.loads(archive.read(f"{info}/sboms/{project['name']}.cdx.json"))
        metadata = archive.read(f"{info}/METADATA").decode()
        texts = "".join(archive.read(file).decode() for file in archive.namelist() if f"{info}/licenses/" in file)
    inside = {component["licenses"][0]["license"]["id"] for component in bill["components"]}
    expression = re.findall("^License-Expression: (.*)$", metadata, re.MULTILINE)[0]
    assert canonicalize_license_expression(expression) == expression
    assert inside <= set(expression.split(" AND ")) == {"Apache-2.0", "MIT"}
    assert "Apache License" in texts
    assert "Permission is hereby granted, free of charge" in texts


def test_bills_of_materials_are_up_to_date() -> None:
    """They name this version, and what is vendored now: `python -m tools.sbom` makes them."""
    assert {path: path.read_text() for path in sbom.FILES.values()} == sbom.made()


def test_both_are_for_the_same_pythons() -> None:
    """Their classifiers agree, and name no licence, which the expression does."""
    pythons = [{word for word in project["classifiers"] if "Python ::" in word} for project in (MAIN, TOOLS)]
    assert pythons[0] == pythons[1]
    assert not [word for project in (MAIN, TOOLS) for word in project["classifiers"] if word.startswith("License")]


def run(module: str, *arguments: str, cwd: Path = ROOT) -> None:
    """Run a tool that must find nothing."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True, timeout=100)


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def in_the_repository(folder: str) -> set[str]:
    """Return the files that git knows in a folder, by their paths in a wheel."""
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    return {re.sub(r"^dev/", "", name) for name in listed.stdout.split()}
