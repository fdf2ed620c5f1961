"""What is said and done where Docker is not to be had; tests/sam is about where it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from tools import docker


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Docker and debootstrap, whose installation was not requested."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(docker, "SYSTEM_PATH", "")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("ZESPAN_LAMBDA_IMAGE", raising=False)
    monkeypatch.setattr(docker, "version", lambda _: "0.0.0")  # of a client for which there is no image yet


@pytest.mark.usefixtures("bare")
def test_missing_docker_is_reported_with_a_remedy() -> None:
    """Without Docker, tests are skipped for a reason that a person can do something about."""
    with pytest.raises(docker.DockerUnavailable, match="ZESPAN_TEST_SYSTEM=1 for `make test`"), docker.daemon():
        pass


@pytest.mark.usefixtures("bare")
def test_preparing_never_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """`make test` goes on where the base image cannot be built, and says why tests will be skipped."""
    docker.main()
    assert capsys.readouterr().out.startswith("The tests that run functions in Docker will be skipped: ")


@pytest.fixture
def root(bare: None, monkeypatch: pytest.MonkeyPatch) -> Root:
    """Root on a Debian where Docker is installed and not running, and debootstrap is not installed."""
    root = Root()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(docker, "PYTHON", "3.11")
    monkeypatch.setattr("shutil.which", lambda name, path=None: None if name == "debootstrap" else f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", root.run)
    monkeypatch.setattr(subprocess, "Popen", root.popen)
    return root


class Root:
    """What root has had run, by the name of the program."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    @property
    def programs(self) -> set[str]:
        return {Path(command[0]).name for command in self.commands}

    def run(self, command: list[str], **_: object) -> SimpleNamespace:
        self.commands.append(list(command))
        return SimpleNamespace(returncode=int(command[0] == "docker"), stdout="", stderr="")

    def popen(self, command: list[str], **_: object) -> NoReturn:
        self.commands.append(command)
        raise AssertionError("a daemon is started")


FORBIDDEN = [{}, {"ZESPAN_TEST_SYSTEM": "0", "CI": "true"}, {"CI": "false"}, {"ZESPAN_TEST_SYSTEM": "", "CI": ""}]
ALLOWED = [{"ZESPAN_TEST_SYSTEM": "1"}, {"CI": "true"}, {"ZESPAN_TEST_SYSTEM": "1", "CI": "false"}]


@pytest.mark.parametrize("variables", FORBIDDEN, ids=str)
def test_the_system_is_left_alone_unless_asked(
    root: Root, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variables: dict[str, str]
) -> None:
    """Even root's `make test` installs nothing and starts no daemon, and names the variable that allows it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    docker.main()
    assert "ZESPAN_TEST_SYSTEM=1" in capsys.readouterr().out
    with pytest.raises(docker.DockerUnavailable, match="ZESPAN_TEST_SYSTEM=1"), docker.daemon():
        pass
    assert root.programs <= {"docker"}


@pytest.mark.parametrize("variables", ALLOWED, ids=str)
def test_what_is_missing_is_installed_when_asked(
    root: Root, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """In CI, or with the variable, root installs the packages that are missing, and starts the daemon."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    docker.main()
    (install,) = (command for command in root.commands if command[:2] == ["apt-get", "install"])
    assert install[-1] == "debootstrap"
    with pytest.raises(AssertionError, match="a daemon is started"), docker.daemon():
        pass
    assert root.programs == {"docker", "apt-get", "dockerd"}


@pytest.mark.parametrize(("given", "seen"), [(None, "1"), ("0", "0")])
def test_ci_asks_for_it(tmp_path: Path, given: str | None, seen: str) -> None:
    """.ci/run allows it to what it runs, unless it has been forbidden."""
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\necho "$@" $ZESPAN_TEST_SYSTEM\n')
    make.chmod(0o755)
    env = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"} | ({"ZESPAN_TEST_SYSTEM": given} if given else {})
    script = Path(docker.__file__).parents[1] / ".ci/run"
    done = subprocess.run([script, "X=1"], env=env, capture_output=True, text=True, check=True)
    targets = ("-j4 environments newer", "-j2 check hosts", "test PYTEST=tools.again", "newer-test")
    assert done.stdout == "".join(f"{target} X=1 {seen}\n" for target in targets)
