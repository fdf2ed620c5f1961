"""Two distributions of one version: what goes into functions, and the tools for developers."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

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
    """Otherwise nobody would learn from it what there is to install."""
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
    assert "pip install ./dev in a checkout, or pip install 'zespan-serverless[dev]'" in capsys.readouterr().err


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


@pytest.mark.host(seconds=15)
def test_wheels_run_where_nothing_else_is(tmp_path: Path) -> None:
    """Each has all files that it needs and none of the other's; together they run in an empty environment."""
    for project in (ROOT, ROOT / "dev"):
        uv("build", "--wheel", "--out-dir", str(tmp_path / "dist"), str(project))
    tools, package = sorted((tmp_path / "dist").glob("*.whl"), key=lambda wheel: "_dev" not in wheel.name)
    assert not [name for name in names(package) if not name.startswith(("zespan_serverless/", "zespan_serverless-"))]
    assert {path for path in names(tools) if "/" in path} >= in_the_repository("dev/zespan_serverless_dev")
    uv("venv", "--python", sys.executable, str(tmp_path / "venv"))
    uv("pip", "install", "--python", str(tmp_path / "venv"), str(package))
    command = tmp_path / "venv" / "bin" / "zespan-serverless"
    missing = subprocess.run([command, "doctor"], capture_output=True, text=True)
    assert "pip install 'zespan-serverless[dev]'" in missing.stderr
    uv("pip", "install", "--python", str(tmp_path / "venv"), str(tools))
    done = subprocess.run([command, "doctor", str(ROOT / "deploy")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True, timeout=100)


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def in_the_repository(folder: str) -> set[str]:
    """The files that git knows in a folder, by their paths in a wheel."""
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    return {re.sub(r"^dev/", "", name) for name in listed.stdout.split()}
