"""The connection: requests, kept alive, to several addresses; and what Retry-After says."""

from __future__ import annotations

import contextlib
import gzip
import random
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.support import BODY, Posting, post
from zespan_serverless._http import sockets
from zespan_serverless._http.answer import NoAnswer, TornAnswer
from zespan_serverless._http.transport import Transport, gzipped, retry_after
from zespan_serverless.testing import Backend

# ---------------------------------------------------------------------- requests


def test_request_has_path_headers_and_body(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """Path below the base URL's own, the headers given, and the answer's with names in lower case."""
    transport = connect(backend.url + "/prefix/")
    backend.mode, backend.retry_after = 429, "7"
    status, headers, _ = transport.post("/v1/ingest", BODY, {"X-Api-Key": "k"}, 5)
    assert (status, headers["retry-after"]) == (429, "7")
    (request,) = backend.requests
    assert (request.path, request.events, request.headers["x-api-key"]) == ("/prefix/v1/ingest", [{"n": 1}], "k")
    assert request.headers["host"] == backend.url.removeprefix("http://")


@pytest.mark.parametrize("size", [0, 1, 249, 250, 251, 3_834, 3_835, 32_506, 300_000])
def test_a_body_is_compressed_as_well_as_with_the_largest_window(size: int) -> None:
    """Any reader of gzip unpacks it, and it is at most a tenth larger than what the usual settings make of it."""
    words = random.Random(size).choices(["telemetry", "model", "answer", "0.25", "Paris", "{", "}"], k=size)
    body = " ".join(words).encode()[:size]
    packed = gzipped(body)
    assert gzip.decompress(packed) == body
    assert len(packed) <= 1.1 * len(zlib.compress(body, level=1, wbits=31))


def test_one_connection_serves_all_requests(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """One for all requests, opened ahead if wanted, however often."""
    transport = connect(backend.url)
    transport.connect(5)
    transport.connect(5)
    assert [post(transport) for _ in range(5)] == [200] * 5
    transport.connect(5)
    assert backend.connections == 1


def test_request_after_close_opens_a_new_connection(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """Closing twice, or with nothing open, does no harm."""
    transport = connect(backend.url)
    transport.close()
    post(transport)
    transport.close()
    transport.close()
    assert post(transport) == 200
    assert backend.connections == 2


def test_an_error_status_keeps_the_connection(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """It is an answer."""
    transport = connect(backend.url)
    for mode in (500, 204, 307, 404, 200):
        backend.mode = mode
        assert post(transport) == mode
    assert backend.connections == 1


def test_dead_connection_is_replaced(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """Closed by the server meanwhile: the request is made on a new one, once."""
    transport = connect(backend.url)
    post(transport)
    backend.close_connections()
    assert post(transport) == 200
    assert (backend.connections, len(backend.events)) == (2, 2)


def test_dead_connection_is_replaced_only_once(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """A server that closes every time is not asked for ever; a fresh connection is not tried again at all."""
    transport = connect(backend.url)
    backend.mode = "drop"
    with pytest.raises(NoAnswer):
        post(transport)
    assert len(backend.requests) == 1
    backend.mode = "ok"
    post(transport)
    backend.mode = "drop"
    with pytest.raises(NoAnswer):
        post(transport)
    assert len(backend.requests) == 4


@pytest.mark.parametrize("seconds", [51, -60])
def test_connection_idle_for_too_long_is_not_used(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """After a long freeze, or with the clock set back, it is not worth a try."""
    transport = connect(backend.url)
    post(transport)
    now = time.time() + seconds
    monkeypatch.setattr(time, "time", lambda: now)
    assert post(transport) == 200
    assert backend.connections == 2


def test_server_that_closes_after_each_answer_gets_new_connections(connect: Callable[[str], Transport]) -> None:
    """No request is tried on the closed connection first."""
    with Answering(b"HTTP/1.0 200 OK\r\n\r\nbye") as server:
        transport = connect(server.url)
        assert [post(transport), post(transport)] == [200, 200]
        assert server.answered == 2


def test_endless_answer_is_not_read_to_its_end(connect: Callable[[str], Transport]) -> None:
    """Its status is all that counts; the connection goes."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n"
    with Answering(head + b"x" * 200_000) as server:
        transport = connect(server.url)
        assert post(transport) == 200
        assert transport._idle is None
        assert post(transport) == 200


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", b"\0" * 100])
def test_invalid_answer_is_an_oserror_or_a_status(connect: Callable[[str], Transport], answer: bytes) -> None:
    """It is an error, or a status if it begins like one, and no other exception."""
    with Answering(answer) as server, suppress(OSError):
        assert post(connect(server.url)) == 200


@pytest.mark.parametrize("length", range(1, 42))
def test_half_an_answer_is_an_error(connect: Callable[[str], Transport], length: int) -> None:
    """A connection that ends anywhere in the head of an answer has brought none, whatever status it began with."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    with Answering(answer[:length]) as server:
        if length < answer.index(b"{}"):
            with pytest.raises((NoAnswer, TornAnswer)):
                post(connect(server.url))
        else:
            assert post(connect(server.url)) == 200


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "unasked",
    [
        OK,
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n",
        b"0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_unrequested_bytes_are_not_taken_for_an_answer(
    connect: Callable[[str], Transport], unasked: bytes, later: bool
) -> None:
    """With an answer or after it, the connection is worth nothing: the next request would take it for its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = connect(f"http://127.0.0.1:{listener.getsockname()[1]}")
        posting = Posting(transport)
        with listener.accept()[0] as first:
            received(first)
            first.sendall(OK if later else OK + unasked)
            assert posting.ends(5) == 200
            if later:
                first.sendall(unasked)
                time.sleep(0.05)
            posting = Posting(transport)
            with listener.accept()[0] as second:
                received(second)
                second.sendall(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
                assert posting.ends(5) == 503


@pytest.mark.parametrize("length", [1, 12, 17, 36])
def test_request_is_not_repeated_after_half_an_answer(connect: Callable[[str], Transport], length: int) -> None:
    """The request has been received and may have been acted upon: it is not sent again at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = connect(f"http://127.0.0.1:{listener.getsockname()[1]}")
        posting = Posting(transport)
        with listener.accept()[0] as connection:
            received(connection)
            connection.sendall(OK)
            assert posting.ends(5) == 200
            posting = Posting(transport)
            received(connection)
            connection.sendall(OK[:length])
        assert isinstance(posting.ends(5), TornAnswer)
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_post_does_not_wait_for_the_body(connect: Callable[[str], Transport]) -> None:
    """What was asked is answered by the head. The connection is used again only if the rest has come by then."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = connect(f"http://127.0.0.1:{listener.getsockname()[1]}")
        posting = Posting(transport)
        with listener.accept()[0] as first:
            for rest in (b"{}", b"{"):
                received(first)
                first.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
                assert posting.ends(5) == 200
                first.sendall(rest)
                time.sleep(0.05)
                posting = Posting(transport)
            with listener.accept()[0] as second:
                received(second)
                second.sendall(OK)
                assert posting.ends(5) == 200


def test_reset_after_the_head_is_still_an_answer(connect: Callable[[str], Transport]) -> None:
    """The backend has said yes: that its body is cut off changes nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        posting = Posting(connect(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        connection = listener.accept()[0]
        received(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        assert posting.ends(5) == 200


def received(connection: socket.socket) -> bytes:
    """Return a request, as far as its body."""
    data = b""
    while BODY not in data:
        data += connection.recv(65_536)
    return data


def test_refused_connection_is_an_oserror(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """Refused is an OSError, ahead of the first request as well."""
    backend.mode = "refuse"
    transport = connect(backend.url)
    with pytest.raises(ConnectionRefusedError):
        post(transport)
    with pytest.raises(ConnectionRefusedError):
        transport.connect(5)


@pytest.mark.parametrize("timeout", [0, -1])
def test_no_connection_is_used_without_time(
    backend: Backend, connect: Callable[[str], Transport], timeout: float
) -> None:
    """Then no connection is made, and none is used."""
    transport = connect(backend.url)
    with pytest.raises(TimeoutError):
        post(transport, timeout=timeout)
    with pytest.raises(TimeoutError):
        transport.connect(timeout)
    assert backend.connections == 0
    post(transport)
    with pytest.raises(TimeoutError):
        post(transport, timeout=timeout)
    assert len(backend.requests) == 1


@pytest.mark.parametrize("kept", [False, True])
def test_post_times_out_by_itself(backend: Backend, connect: Callable[[str], Transport], kept: bool) -> None:
    """The first line of defence: a server that hangs ends the request without anybody cancelling; then all is well."""
    transport = connect(backend.url)
    if kept:
        post(transport)
    backend.mode = "hang"
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        post(transport, timeout=0.2)
    assert time.monotonic() - began < 4
    backend.mode = "ok"
    assert post(transport) == 200


# ---------------------------------------------------------------------- several addresses


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """An address that does not answer who wants to connect: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)


@pytest.mark.slow
@pytest.mark.parametrize("holes", [1, 7])
def test_unreachable_address_costs_a_moment_only(
    backend: Backend,
    connect: Callable[[str], Transport],
    monkeypatch: pytest.MonkeyPatch,
    black_hole: tuple[str, int],
    holes: int,
) -> None:
    """Does not take the time of the others; and what has worked comes first the next time."""
    well = ("127.0.0.1", int(backend.url.rpartition(":")[2]))
    resolves_to(monkeypatch, *[black_hole] * holes, well)
    transport = connect("http://backend.example")
    assert post(transport, timeout=2) == 200
    transport.close()
    asked: list[Any] = []
    connect_ex = socket.socket.connect_ex

    class Spied(sockets.Socket):
        def connect_ex(self, address: Any) -> int:
            asked.append(address)
            return connect_ex(self, address)

    monkeypatch.setattr(sockets, "Socket", Spied)
    assert post(transport, timeout=2) == 200
    assert asked == [well]


def test_address_that_failed_is_tried_last(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes last the next time, even if it had worked before."""
    with socket.create_server(("127.0.0.3", 0)) as deaf:
        well = ("127.0.0.1", int(backend.url.rpartition(":")[2]))
        resolves_to(monkeypatch, deaf.getsockname(), well)
        transport = connect("http://backend.example")
        transport.connect(5)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                post(transport, timeout=0.2)
            assert [post(transport), post(transport)] == [200, 200]
            transport.close()
            transport._worked = deaf.getsockname()


def test_refusing_address_is_skipped(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is tried; if all do, that is the error."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        well = ("127.0.0.1", int(backend.url.rpartition(":")[2]))
        resolves_to(monkeypatch, bound.getsockname(), ("255.255.255.255", 1), well)
        assert post(connect("http://backend.example")) == 200
        resolves_to(monkeypatch, bound.getsockname(), bound.getsockname())
        with pytest.raises(ConnectionRefusedError):
            post(connect("http://backend.example"))


def test_timeout_holds_when_all_addresses_are_unreachable(
    connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch, black_hole: tuple[str, int]
) -> None:
    """They are given up when the time is over."""
    resolves_to(monkeypatch, black_hole, black_hole)
    with pytest.raises(TimeoutError):
        post(connect("http://backend.example"), timeout=0.3)


# ---------------------------------------------------------------------- Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", -3.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", -60.0),
        ("Wed, 21 Oct 2015 09:28:10 +0200", 10.0),
        ("soon", None),
        ("", None),
        (None, None),
        ("1, 2", None),
        ("9" * 101, None),
        ("Wed, 99 Oct 2015 07:28:10 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """Seconds or a date; None if it makes no sense."""
    assert retry_after(value, now=1445412480.0) == seconds


@given(st.one_of(st.text(), st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ \w+", fullmatch=True)))
def test_retry_after_never_raises(value: str) -> None:
    """Whatever the header is, there is a number of seconds or None."""
    assert isinstance(retry_after(value), (float, type(None)))


class Answering:
    """Reads a request, sends these bytes for an answer, and closes."""

    def __init__(self, answer: bytes) -> None:
        self._answer, self.answered = answer, 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            with connection:
                received = b""
                while BODY not in received:
                    received += connection.recv(65536)
                self.answered += 1
                with suppress(OSError):
                    connection.sendall(self._answer)
