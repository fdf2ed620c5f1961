"""What `python -m tools.site` prints and returns."""

from __future__ import annotations

import socket

import pytest

from tools.site import __main__ as command
from tools.site.build import BuildFailed


def test_a_failed_build_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1, and the reason has no stack."""

    def build() -> None:
        raise BuildFailed("docs/a.md: page does not exist")

    monkeypatch.setattr(command, "build", build)
    assert command.main([]) == 1
    assert capsys.readouterr().err == "docs/a.md: page does not exist\n"


@pytest.mark.parametrize("arguments", [["build"], ["serve", "here"], ["serve", "1", "2"]])
def test_a_wrong_call_shows_the_right_ones(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """And fails."""
    assert command.main(arguments) == 2
    assert "python -m tools.site serve 8001" in capsys.readouterr().out


def test_a_port_that_is_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With a command that uses another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert command.main(["serve", str(port)]) == 1
    assert f"python -m tools.site serve {port + 1}" in capsys.readouterr().err
