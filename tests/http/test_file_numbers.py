"""A file number that other code has closed and reused is not touched."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.http.support import Posting, eventually, post
from zespan_serverless._http.transport import Transport
from zespan_serverless.testing import Backend

OURS = b"this is the user's"


def taken_over(transport: Transport, by: int) -> int:
    """Close the connection's number behind its back, and have it stand for another file; its number."""
    connection = transport._idle or transport._busy
    assert connection is not None
    assert connection._channel is not None
    number = connection._channel.socket.fileno()
    os.close(number)
    assert os.dup2(by, number) == number
    return number


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("end", ["post", "close", "collect"])
def test_descriptor_that_became_a_file_is_not_touched(
    backend: Backend,
    tls_backend: Backend,
    connect: Callable[[str], Transport],
    trusted: None,
    tmp_path: Path,
    secure: bool,
    end: str,
) -> None:
    """A program has closed every file, ours too, and opened one of its own: that is neither written to nor closed."""
    target = tls_backend if secure else backend
    transport = connect(target.url)
    post(transport)
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        file.write(OURS)
        number = taken_over(transport, file.fileno())
        if end == "post":
            assert post(transport) == 200
            assert target.connections == 2
        elif end == "close":
            transport.close()
        else:
            transport._idle = None
            gc.collect()
        assert os.fstat(number).st_ino == os.fstat(file.fileno()).st_ino
        os.close(number)
    assert (tmp_path / "file").read_bytes() == OURS


@pytest.mark.parametrize("end", ["post", "close", "collect"])
def test_descriptor_that_became_a_socket_is_not_touched(
    backend: Backend, connect: Callable[[str], Transport], end: str
) -> None:
    """Its new peer receives no event, and the connection is not closed."""
    transport = connect(backend.url)
    post(transport)
    mine, other = socket.socketpair()
    with mine, other:
        number = taken_over(transport, mine.fileno())
        if end == "post":
            assert post(transport) == 200
        elif end == "close":
            transport.close()
        else:
            transport._idle = None
            gc.collect()
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.recv(1)
        os.close(number)


def test_descriptor_that_becomes_a_socket_during_a_request_is_not_read(
    backend: Backend, connect: Callable[[str], Transport]
) -> None:
    """What comes through that is left to its owner, and a cut does not reach it."""
    transport = connect(backend.url)
    backend.mode = "hang"
    posting = Posting(transport)
    eventually(lambda: backend.requests)
    mine, other = socket.socketpair()
    with mine, other:
        number = taken_over(transport, mine.fileno())
        transport.cancel()
        other.sendall(OURS)
        backend.mode = "ok"
        assert isinstance(posting.ends(5), OSError)
        assert mine.recv(100) == OURS
        other.sendall(OURS)
        assert mine.recv(100) == OURS
        os.close(number)
