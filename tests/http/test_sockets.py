"""A descriptor that other code closes and opens again, while a thread of the package waits for the interpreter."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from zespan_serverless._http import sockets


class Taken(socket.socket):
    """A socket whose descriptor stands for the file of somebody else before its creator goes on."""

    path: Path

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        theirs = os.open(self.path, os.O_RDWR)
        os.dup2(theirs, self.fileno())
        os.close(theirs)
        taken.append(self.fileno())


taken: list[int] = []


@pytest.mark.parametrize("addresses", [1, 2])
def test_a_descriptor_that_was_taken_at_once_is_not_closed(
    addresses: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection fails, and the file of the code that has the descriptor now stays open."""
    Taken.path = tmp_path / "theirs"
    Taken.path.write_text("content")
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in range(1, addresses + 1)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: found)
    monkeypatch.setattr(socket, "socket", Taken)
    taken.clear()
    with pytest.raises(OSError, match=r"[Ss]ocket"):
        sockets.connect("test", 1, timeout=5)
    assert len(taken) == addresses
    for number in set(taken):
        assert os.pread(number, 100, 0) == b"content"
        os.close(number)
