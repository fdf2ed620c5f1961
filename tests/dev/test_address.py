"""How commands find a running `dev`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from zespan_serverless_dev import address
from zespan_serverless_dev.address import Address, find
from zespan_serverless_dev.server import DevServer, running

from zespan_serverless import ConfigurationError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `dev` and the other commands are started."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".zespan"


def test_a_dev_of_this_folder_is_found_with_its_token(folder: Path) -> None:
    """Without its URL, or by its URL without a token, and no more when it has ended."""
    with DevServer(folder) as dev:
        own = Address(dev.url, dev.token)
        assert [find(), find(dev.url), find(dev.page_url)] == [own, own, own]
        assert own.get("summary")["events"] == 0
    assert find(dev.page_url) is None


def test_a_dev_elsewhere_is_found_by_its_url() -> None:
    """Its token is in the URL that it has printed; without it functions can send there, but not read."""
    with DevServer() as dev:
        assert find(dev.page_url) == Address(dev.url, dev.token)
        assert find(dev.url) == Address(dev.url, "")


def test_a_dev_on_the_default_port_is_found_without_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """The defaults need not be typed."""
    with DevServer() as dev:
        monkeypatch.setattr(address, "PORT", dev.port)
        assert find() == Address(dev.url, "")
    assert find() is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell whose a port is")
def test_a_dev_of_another_user_gets_nothing_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another user runs on the default port is found by its URL only: it would get to read prompts."""
    with DevServer() as dev:
        monkeypatch.setattr(address, "PORT", dev.port)
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)
        assert find() is None
        assert find(dev.url) == Address(dev.url, "")


def test_a_file_of_a_dev_that_was_killed_does_no_harm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing responds there, or another `dev`, which does not accept the token."""
    with DevServer() as dev, DevServer(folder) as killed:
        running.write(folder, running.Running(dev.url, killed.token))
        monkeypatch.setattr(address, "PORT", killed.port)
        assert find() == Address(killed.url, "")
        assert find(dev.url) is None


def test_a_file_that_others_may_read_names_no_dev(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have come with a repository, to direct telemetry to an attacker's server."""
    with DevServer(folder) as dev:
        monkeypatch.setattr(address, "PORT", 9)
        (folder / "running.json").chmod(0o644)
        assert find() is None
        assert dev.url


@pytest.mark.parametrize("url", ["localhost:4880", "https://127.0.0.1:4880", "http://", "http://127.0.0.1:x", "4880"])
def test_what_is_no_url_of_dev_is_refused(url: str) -> None:
    """With what to type instead."""
    with pytest.raises(ConfigurationError, match="use the URL that `zespan-serverless dev` has printed"):
        find(url)
