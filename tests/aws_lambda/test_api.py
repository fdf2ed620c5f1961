"""Lambda's Extensions API as its server speaks, and as a broken one might."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless.aws_lambda._api import Api

Serve = Callable[..., tuple[Api, list[bytes]]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves these answers, each to one request, on one connection; None ends it. Gives what the requests were."""
    with contextlib.ExitStack() as stack:

        def start(*answers: bytes | None) -> tuple[Api, list[bytes]]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            requests: list[bytes] = []

            def run() -> None:
                connection, _ = listener.accept()
                for answer in answers:
                    if answer is None:
                        connection.close()
                        connection, _ = listener.accept()
                        continue
                    requests.append(connection.recv(65_536))
                    connection.sendall(answer)
                connection.close()

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            stack.callback(thread.join, 5)
            api = Api(f"127.0.0.1:{listener.getsockname()[1]}")
            stack.callback(api.close)
            return api, requests

        yield start


def test_two_requests_on_one_connection(serve: Serve) -> None:
    """A body by its length; header names in any case; what is sent is plain HTTP/1.1."""
    ok = b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: me \r\nContent-Length: 2\r\n\r\n{}"
    api, requests = serve(ok, ok)
    for body in (b"{1}", b""):
        api.send("POST", "register", {"A": "b"}, body)
        api.wait()
        status, headers, answered = api.receive()
        assert (status, headers["lambda-extension-identifier"], answered) == (200, "me", b"{}")
    head = f"POST /2020-01-01/extension/register HTTP/1.1\r\nHost: {api._address}\r\nA: b\r\n"
    assert requests == [f"{head}Content-Length: 3\r\n\r\n{{1}}".encode(), f"{head}\r\n".encode()]


def test_chunked_body(serve: Serve) -> None:
    """Go's server sends one when an answer does not fit its buffer; the next answer is where the trailers end."""
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nt: u\r\n\r\n"
    )
    api, _ = serve(chunked, chunked)
    for _ in range(2):
        api.send("GET", "event/next", {})
        assert api.receive().body == b"abc0123456789"


def test_connection_that_the_server_closes(serve: Serve) -> None:
    """It says so, and the next request has a new one."""
    api, requests = serve(b"HTTP/1.1 500 no\r\nConnection: close\r\n\r\n", None, b"HTTP/1.1 202 OK\r\n\r\n")
    for status in (500, 202):
        api.send("GET", "event/next", {})
        assert api.receive().status == status
    assert len(requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2 hello\r\n\r\n",
        b"\r\n",
        b"x" * 100_000,
    ],
)
def test_answer_that_is_none(serve: Serve, answer: bytes) -> None:
    """Torn or not HTTP: an error for whoever asked, never an answer."""
    api, _ = serve(answer)
    api.send("GET", "event/next", {})
    with pytest.raises((OSError, ValueError)):
        api.receive()


@given(st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]))
def test_any_bytes(rest: bytes, beginning: bytes) -> None:
    """An answer, or one of the two kinds of errors; nothing else comes out."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        api = Api("127.0.0.1:1")
        api._socket, api._file = ours, ours.makefile("rb")
        theirs.sendall(beginning + rest)
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError, ValueError):
            assert isinstance(api.receive().status, int)
        api.close()
