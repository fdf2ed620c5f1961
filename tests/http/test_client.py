"""HTTP as servers speak it, and as broken ones might."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless._http.answer import Answer, NoAnswer, TornAnswer
from zespan_serverless._http.client import Channel
from zespan_serverless._http.sockets import Socket, connect

Serve = Callable[..., tuple[Channel, list[bytes]]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves these answers, each to one request, and closes. Gives what the requests were."""
    with contextlib.ExitStack() as stack:

        def start(*answers: bytes) -> tuple[Channel, list[bytes]]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            requests: list[bytes] = []

            def run() -> None:
                connection, _ = listener.accept()
                with connection:
                    for answer in answers:
                        requests.append(connection.recv(65_536))
                        connection.sendall(answer)

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            stack.callback(thread.join, 5)
            channel = Channel(connect("127.0.0.1", listener.getsockname()[1], 5))
            stack.callback(channel.close)
            return channel, requests

        yield start


def ask(channel: Channel, body: bytes = b"") -> Answer:
    channel.send("GET", "/", {"host": "a"}, body)
    channel.wait()
    return channel.receive()


def test_connecting_imports_nothing() -> None:
    """A fork during an import leaves its child a lock that is never released."""
    script = """
        import socket, sys
        from zespan_serverless._http.sockets import connect
        with socket.create_server(("127.0.0.1", 0)) as server:
            before = set(sys.modules)
            connect("localhost", server.getsockname()[1]).close()
            assert set(sys.modules) == before, set(sys.modules) - before
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_two_requests_share_one_connection(serve: Serve) -> None:
    """A body by its length; names of headers in any case."""
    ok = b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: me \r\nContent-Length: 2\r\n\r\n{}"
    channel, requests = serve(ok, ok)
    for body in (b"{1}", b""):
        status, headers, answered = ask(channel, body)
        assert (status, headers["lambda-extension-identifier"], answered) == (200, "me", b"{}")
        assert channel.reusable
    head = b"GET / HTTP/1.1\r\nhost: a\r\n"
    assert requests == [head + b"content-length: 3\r\n\r\n{1}", head + b"\r\n"]


def test_chunked_body_ends_with_its_trailers(serve: Serve) -> None:
    """Go's server sends one when an answer does not fit its buffer; the next answer is where the trailers end."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = head + b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nt: u\r\n\r\n"
    channel, _ = serve(chunked, chunked)
    for _ in range(2):
        assert ask(channel).body == b"abc0123456789"
        assert channel.reusable


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints"])
def test_interim_answers_are_skipped(serve: Serve, status: bytes) -> None:
    """An answer with a status below 200 is not the answer to the request."""
    channel, _ = serve(b"HTTP/1.1 " + status + b"\r\nlink: x\r\n\r\nHTTP/1.1 201 OK\r\ncontent-length: 0\r\n\r\n")
    assert tuple(ask(channel)) == (201, {"content-length": "0"}, b"")


@pytest.mark.parametrize(
    ("answer", "status", "body", "reusable"),
    [
        (b"HTTP/1.1 204 No\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 304 Same\r\ncontent-length: 7\r\n\r\n", 304, b"", True),
        (b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
        (b"HTTP/1.1 200 OK\ncontent-length: 1\n\nx", 200, b"x", True),
        (b"HTTP/1.1 500 Oh\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n", 500, b"", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b"", False),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, b"until the end", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", 200, b"abc", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nabc", 200, b"abc", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n", 200, b"", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000, 200, b"x" * 65_536, False),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", 200, b"ab", False),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfive\r\nab", 200, b"", False),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nab", 200, b"", False),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nt", 200, b"", False),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"8000\r\n%b\r\n" % (b"x" * 32_768) * 3,
            200,
            b"x" * 65_536,
            False,
        ),
    ],
)
def test_complete_head_is_an_answer(serve: Serve, answer: bytes, status: int, body: bytes, reusable: bool) -> None:
    """A head that is whole is an answer; a connection is of further use if it is known where the body has ended."""
    channel, _ = serve(answer)
    said = ask(channel)
    assert (said.status, said.body, channel.reusable) == (status, body, reusable)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", NoAnswer),
        (b"SSH-2.0-OpenSSH_9.2 hello\r\n\r\n", NoAnswer),
        (b"\r\n", NoAnswer),
        (b"x" * 100_000, NoAnswer),
        (b"HTTP/2 200\r\n\r\n", NoAnswer),
        (b"HTTP/1.1 200", TornAnswer),
        (b"HTTP/1.1 OK\r\n\r\n", TornAnswer),
        (b"HTTP/1.1 200 OK\r\nContent-Le", TornAnswer),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, TornAnswer),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300, TornAnswer),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, TornAnswer),
    ],
)
def test_invalid_answer_raises_by_whether_it_had_begun(serve: Serve, answer: bytes, error: type[Exception]) -> None:
    """An error that tells whether something had begun to come."""
    channel, _ = serve(answer)
    channel.send("GET", "/", {"host": "a"})
    with pytest.raises(error):
        channel.receive()


@pytest.mark.parametrize("headers", [{"x-api-key": "a\nb: c"}, {"x-api-key": "a\rb"}, {"x-api-key": "\N{SNOWMAN}"}])
def test_invalid_header_is_not_sent(serve: Serve, headers: dict[str, str]) -> None:
    """Nothing is sent that would be another header, or another request."""
    channel, requests = serve()
    with pytest.raises(ValueError, match=r"line break|latin-1"):
        channel.send("POST", "/", headers)
    assert requests == []


@given(st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]))
def test_any_bytes_give_an_answer_or_an_oserror(rest: bytes, beginning: bytes) -> None:
    """An answer or an OSError; nothing else comes out."""
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(Socket(fileno=ours.detach()))
        theirs.sendall(beginning + rest)
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            assert 200 <= channel.receive().status < 1000
        channel.close()
