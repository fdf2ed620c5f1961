"""Where the emulator comes from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator import binary


def test_fetched_from_the_registry_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache is filled with an executable of this machine's kind; the next call finds it there."""
    monkeypatch.delenv("ZESPAN_RIE", raising=False)
    monkeypatch.setattr(binary, "CACHE", tmp_path / "cache")
    fetched = binary.emulator_binary()
    assert os.access(fetched, os.X_OK)
    assert fetched.read_bytes().startswith(b"\x7fELF")
    assert os.listdir(fetched.parent) == [fetched.name]  # noqa: PTH208 (names only)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("fetched twice"))
    assert binary.emulator_binary() == fetched


def test_own_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """ZESPAN_RIE names an emulator of the developer's own, on any machine."""
    monkeypatch.setenv("ZESPAN_RIE", "/opt/rie")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert binary.emulator_binary() == Path("/opt/rie")


def test_other_systems_are_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS and Windows the error is a command that works there."""
    monkeypatch.delenv("ZESPAN_RIE", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(binary.EmulatorUnavailable, match=r"darwin(.|\n)*docker run .* make demo"):
        binary.emulator_binary()
