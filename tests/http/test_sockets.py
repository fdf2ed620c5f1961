"""A descriptor that other code closes and opens again, while a thread of the package waits for the interpreter."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from zespan_serverless._http import sockets
from zespan_serverless._http.client import Channel


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs"
    path.write_text("content")
    return path


def take(number: int, path: Path) -> None:
    """Close the descriptor, and open a file under its number."""
    file = os.open(path, os.O_RDWR)
    os.dup2(file, number)
    os.close(file)


def assert_open(number: int) -> None:
    assert os.pread(number, 100, 0) == b"content"
    os.close(number)


@pytest.mark.parametrize("addresses", [1, 2])
def test_descriptor_that_is_taken_before_the_first_look_is_not_closed(
    addresses: int, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection fails, and the file that has the number now stays open."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in range(1, addresses + 1)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: found)
    taken: list[int] = []

    def lose(number: int) -> None:
        taken.append(number)
        take(number, theirs)

    monkeypatch.setattr(sockets, "identity", lose)
    with pytest.raises(OSError, match=r"[Ss]ocket"):
        sockets.connect("test", 1, timeout=5)
    assert len(taken) == addresses
    for number in set(taken):
        assert_open(number)


def test_descriptor_that_is_taken_after_the_connection_is_not_closed(theirs: Path) -> None:
    """The channel knows the socket by what it was when it was opened."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected = sockets.connect(*listener.getsockname())
        number = connected.fileno()
        take(number, theirs)
        channel = Channel(connected)
        assert not channel.socket.is_ours
        channel.close()
    assert_open(number)
