"""What is said and done where Chromium is not to be had; tests/dev/page is about where it is."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tools import chromium


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Chromium, whose installation was not requested."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.usefixtures("bare")
def test_missing_chromium_is_reported_with_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """Without Chromium the tests are skipped for a reason that a person can do something about."""
    with pytest.raises(chromium.ChromiumUnavailable, match="ZESPAN_TEST_SYSTEM=1 for `make test`"):
        chromium.executable()
    chromium.main()
    assert capsys.readouterr().out.startswith("The tests that look at the page of `dev` will be skipped: ")


@pytest.mark.usefixtures("bare")
def test_it_is_installed_only_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root on Debian installs it, and only on request."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> None:
        commands.append(command)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    chromium.main()
    assert commands == []
    monkeypatch.setenv("ZESPAN_TEST_SYSTEM", "1")
    chromium.main()
    assert [command[2] for command in commands] == ["update", "install"]
    assert "chromium" in commands[-1]
