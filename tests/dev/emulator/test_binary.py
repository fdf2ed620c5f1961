"""Where the emulator comes from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from zespan_serverless_dev.emulator import binary


@pytest.mark.slow
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


@pytest.mark.slow
def test_another_file_of_that_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has not the hash is not kept, let alone run; the message has both hashes."""
    monkeypatch.delenv("ZESPAN_RIE", raising=False)
    monkeypatch.setattr(binary, "CACHE", tmp_path / "cache")
    pinned = binary.PIN.read_text()
    (digest,) = re.findall(r"^aws-sam-cli==\S+ --hash=sha256:([0-9a-f]{64})$", pinned, re.MULTILINE)
    (other := tmp_path / "sam-cli.txt").write_text(pinned.replace(digest, "0" * 64))
    monkeypatch.setattr(binary, "PIN", other)
    with pytest.raises(SystemExit) as caught:
        binary.main()
    assert re.search(rf"DO NOT MATCH THE HASHES(.|\n)*{'0' * 64}(.|\n)*{digest}", str(caught.value))
    assert not any((tmp_path / "cache").iterdir())
    assert capsys.readouterr().out == ""


def test_cache_is_the_users_unless_it_is_a_checkouts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A checkout keeps the binary in its .cache; an installed package in the user's folder for caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert binary.cache_of(Path(__file__).parents[3]).name == ".cache"
    assert binary.cache_of(tmp_path) == tmp_path / "caches" / "zespan-serverless"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # not allowed by the specification, and so ignored
    assert binary.cache_of(tmp_path) == tmp_path / ".cache" / "zespan-serverless"


def test_zespan_rie_names_another_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """ZESPAN_RIE names an emulator of the developer's own, on any machine."""
    monkeypatch.setenv("ZESPAN_RIE", "/opt/rie")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert binary.emulator_binary() == Path("/opt/rie")


def test_other_systems_get_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS and Windows the error is a command that works there."""
    monkeypatch.delenv("ZESPAN_RIE", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(binary.EmulatorUnavailable, match=r"darwin(.|\n)*docker run .* make demo"):
        binary.emulator_binary()
