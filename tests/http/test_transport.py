"""The connection: kept alive, encrypted, through proxies, and cut off from outside at whatever stage it is."""

from __future__ import annotations

import base64
import contextlib
import gc
import os
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from tests.delivery.support import event, lock_of
from tests.http.support import Mute, Proxy
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._http import sockets
from zespan_serverless._http import transport as http
from zespan_serverless._http.answer import Answer, NoAnswer, TornAnswer
from zespan_serverless._http.client import Channel
from zespan_serverless._http.transport import Transport, _Connection, retry_after
from zespan_serverless._process.container import build_exporter
from zespan_serverless.exporters import Dropped
from zespan_serverless.settings import Settings
from zespan_serverless.testing import Backend

BODY = b'{"n": 1}'


@pytest.fixture
def connect() -> Iterator[Callable[[str], Transport]]:
    """connect(url): a transport, closed after the test; then no socket is left for the garbage collector to find."""
    made: list[Transport] = []

    def connect(url: str) -> Transport:
        made.append(Transport(url))
        return made[-1]

    yield connect
    for transport in made:
        transport.close()
    gc.collect()  # a socket that was not closed is an error here


def post(transport: Transport, body: bytes = BODY, timeout: float = 5) -> int:
    return transport.post("/v1/ingest", body, {"x-api-key": "k"}, timeout).status


class Posting:
    """A post in a thread, and what came of it."""

    def __init__(self, transport: Transport, body: bytes = BODY, timeout: float = 5) -> None:
        self.outcome: Any = None
        self.thread = threading.Thread(target=self._run, args=(transport, body, timeout), daemon=True)
        self.thread.start()

    def _run(self, *args: Any) -> None:
        try:
            self.outcome = post(*args)
        except Exception as error:
            self.outcome = error

    def ends(self, seconds: float = 1.0) -> Any:
        self.thread.join(seconds)
        assert not self.thread.is_alive(), "still blocked"
        return self.outcome


def eventually(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until, "did not happen"
        time.sleep(0.002)


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


# ---------------------------------------------------------------------- answers before the request is over

LARGE = random.Random(1).randbytes(3_000_000)


def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a slow line: hardly anything of a request is out of our hands before the other side takes it."""
    connected = sockets.connect

    def connect(*args: Any) -> socket.socket:
        made = connected(*args)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return made

    monkeypatch.setattr(http, "connect", connect)


class Early:
    """Answers when it has read the head of a request; then does as `after` says."""

    def __init__(self, answer: bytes, after: Callable[[socket.socket], object], tls: ssl.SSLContext | None) -> None:
        self._answer, self._after, self._tls = answer, after, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.over = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self) -> Early:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                if self._tls:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                with connection, suppress(OSError):
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += connection.recv(512)
                    connection.sendall(self._answer)
                    self._after(connection)


def closes(connection: socket.socket) -> None:
    """With unread bytes, which is a reset."""


def reads_no_more(connection: socket.socket) -> None:
    time.sleep(20)


def reads_to_the_end(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


@pytest.mark.parametrize("after", [closes, reads_no_more, reads_to_the_end], ids=lambda after: str(after.__name__))
@pytest.mark.parametrize("status", [401, 413, 503])
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_answer_before_the_end_of_the_request_is_read(
    connect: Callable[[str], Transport],
    monkeypatch: pytest.MonkeyPatch,
    authority: trustme.CA,
    trusted: None,
    after: Callable[[socket.socket], object],
    status: int,
    secure: bool,
    kept: bool,
) -> None:
    """Servers and gateways refuse a request when they have seen its head, and may not read on: that is the answer."""
    small_buffers(monkeypatch)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    answer = f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode()
    with Early(answer, after, context if secure else None) as server:
        transport = connect(server.url)
        if kept:
            transport.connect(5)
        assert post(transport, LARGE, timeout=10) == status
        assert transport._idle is None


@pytest.mark.parametrize(("status", "reason"), [(401, "unauthorized"), (413, "refused")])
def test_early_answer_counts_like_one_in_time(monkeypatch: pytest.MonkeyPatch, status: int, reason: str) -> None:
    """The same as one in time: a key that is not accepted is said, and what is too large is cut in halves, not tried
    again as a whole for ever."""
    small_buffers(monkeypatch)
    answer = f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode()
    dropped: list[Dropped] = []
    with Early(answer, closes, None) as server:
        settings = Settings(base_url=server.url, api_key="zsp_1", on_error=dropped.append)
        delivery = Delivery(build_exporter(settings), settings)
        with lock_of(delivery):
            for _ in range(4):
                delivery.capture(event({"noise": base64.b64encode(LARGE[:600_000]).decode()}))
        delivery.flush(20, probe=True)
        delivery.reset()
    assert {one.reason for one in dropped} == {reason}
    assert sum(one.events for one in dropped) == 4


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n", b"H"]
)
def test_early_answer_that_is_no_refusal_does_not_stop_the_request(
    connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch, interim: bytes
) -> None:
    """The request is sent to its end."""
    small_buffers(monkeypatch)
    received: list[int] = []

    def reads(connection: socket.socket) -> None:
        time.sleep(0.2)
        while sum(received) < len(LARGE) - 512:  # the rest came with the head
            received.append(len(connection.recv(65_536)))
        connection.sendall(OK.removeprefix(b"H") if interim == b"H" else OK)

    with Early(interim, reads, None) as server:
        assert post(connect(server.url), LARGE, timeout=20) == 200


def test_early_close_without_an_answer_is_an_error(
    connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The post raises ConnectionError."""
    small_buffers(monkeypatch)
    with Early(b"", closes, None) as server, pytest.raises(ConnectionError):
        post(connect(server.url), LARGE)


# ---------------------------------------------------------------------- file numbers

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


# ---------------------------------------------------------------------- TLS


def test_tls_with_a_trusted_certificate(
    tls_backend: Backend, connect: Callable[[str], Transport], trusted: None
) -> None:
    """The certificate is valid by name or address. The connection is kept alive, and replaced when dead."""
    transport = connect(tls_backend.url)
    assert [post(transport), post(transport)] == [200, 200]
    assert tls_backend.connections == 1
    tls_backend.close_connections()
    assert post(transport) == 200
    assert tls_backend.connections == 2
    by_name = connect(tls_backend.url.replace("127.0.0.1", "localhost"))
    by_name.connect(5)
    assert post(by_name) == 200


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example", "a.example"),
        ("https://a.example:443", "a.example"),
        ("https://a.example:80", "a.example:80"),
        ("http://a.example:80/v2", "a.example"),
        ("http://a.example:443", "a.example:443"),
        ("http://user:80@a.example", "a.example"),
        ("http://[::1]:80", "[::1]"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_host_header_omits_the_default_port(monkeypatch: pytest.MonkeyPatch, url: str, host: str) -> None:
    """The Host header has any other port, as browsers send it."""
    said: list[Mapping[str, str]] = []

    def exchange(_: _Connection, request: tuple[str, str, bytes, Mapping[str, str]], whole: bool) -> Answer:
        said.append(request[3])
        return Answer(200, {}, b"")

    monkeypatch.setattr(_Connection, "request", exchange)
    Transport(url).post("/", b"", {}, 1)
    assert said == [{"host": host}]


def test_untrusted_certificate_is_refused(tls_backend: Backend, connect: Callable[[str], Transport]) -> None:
    """No key is sent to a server without a valid certificate."""
    with pytest.raises(ssl.SSLCertVerificationError):
        post(connect(tls_backend.url))
    assert tls_backend.requests == []


def test_certificate_for_another_name_is_refused(
    authority: trustme.CA, connect: Callable[[str], Transport], trusted: None
) -> None:
    """No key is sent to a server with a certificate for another name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    with Backend(tls=context) as backend:
        with pytest.raises(ssl.SSLCertVerificationError):
            post(connect(backend.url))
        assert backend.requests == []


def test_tls_to_a_plain_server_is_an_oserror(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """The post raises OSError."""
    with pytest.raises(ssl.SSLError):
        post(connect(backend.url.replace("http:", "https:")))


# ---------------------------------------------------------------------- proxies


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_proxy_forwards_the_request(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Gets the whole URL; its connection is kept too."""
    with Proxy() as proxy:
        monkeypatch.setenv(name, f"http://{proxy.address}")
        transport = connect(backend.url + "/prefix")
        assert [post(transport), post(transport)] == [200, 200]
        assert proxy.asked == [f"POST {backend.url}/prefix/v1/ingest"] * 2
        assert backend.requests[0].headers["host"] == backend.url.removeprefix("http://")


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_https_goes_through_a_tunnel(
    authority: trustme.CA,
    connect: Callable[[str], Transport],
    trusted: None,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    """TLS goes through a proxy that cannot read it, with the certificate of who is at its end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Proxy() as proxy, Backend(tls=context) as backend:
        monkeypatch.setenv("HTTPS_PROXY", scheme + proxy.address)
        netloc = backend.url.removeprefix("https://").replace("127.0.0.1", "localhost")
        transport = connect(f"https://{netloc}")
        transport.connect(5)
        assert [post(transport), post(transport)] == [200, 200]
        assert proxy.asked == [f"CONNECT {netloc}"]
        assert backend.requests[0].headers["host"] == netloc
        transport.close()


def test_proxy_gets_the_credentials_of_its_url(
    backend: Backend,
    tls_backend: Backend,
    connect: Callable[[str], Transport],
    trusted: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Credentials in its URL, percent-encoded; the backend does not see them."""
    with Proxy("user:p@ss") as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://user:p%40ss@{proxy.address}")
        secure = connect(tls_backend.url)
        assert [post(connect(backend.url)), post(secure)] == [200, 200]
        assert "proxy-authorization" not in backend.requests[0].headers | tls_backend.requests[0].headers
        secure.close()
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.address}")
        assert post(connect(backend.url)) == 407
        with pytest.raises(OSError, match="407"):
            post(connect(tls_backend.url))


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("127.0.0.1", True),
        ("*", True),
        ("example.com, 127.0.0.1", True),
        ("127.0.0.1:{port}", True),
        ("127.0.0.1:1", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_no_proxy_excludes_hosts(
    backend: Backend,
    connect: Callable[[str], Transport],
    monkeypatch: pytest.MonkeyPatch,
    no_proxy: str,
    direct: bool,
) -> None:
    """Names who is to be asked directly, with or without a port."""
    with Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", no_proxy.format(port=backend.url.rpartition(":")[2]))
        assert post(connect(backend.url)) == 200
        assert (proxy.asked == []) is direct


@pytest.fixture
def proxy_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_proxy_over_tls(
    backend: Backend,
    tls_backend: Backend,
    proxy_context: ssl.SSLContext,
    connect: Callable[[str], Transport],
    trusted: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """https:// in its URL is meant so: no password goes out in clear. TLS to the backend goes through that to it."""
    with Proxy("user:pass", proxy_context) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"https://user:pass@{proxy.address}")
        secure, plain = connect(tls_backend.url), connect(backend.url)
        large = b'{"n": "%b"}' % (b"x" * 3_000_000)
        assert [post(secure), post(secure, large), post(plain), post(plain)] == [200] * 4
        assert proxy.asked == [f"CONNECT {tls_backend.url[8:]}", *[f"POST {backend.url}/v1/ingest"] * 2]
        assert len(tls_backend.requests[1].events[0]["n"]) == 3_000_000
        secure.close()
        plain.close()


def test_proxy_with_an_untrusted_certificate_is_refused(
    tls_backend: Backend, proxy_context: ssl.SSLContext, connect: Callable[[str], Transport], monkeypatch: Any
) -> None:
    """Nothing is sent to such a proxy."""
    with Proxy("user:pass", proxy_context) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://user:pass@{proxy.address}")
        with pytest.raises(ssl.SSLCertVerificationError):
            post(connect(tls_backend.url))
        assert proxy.asked == []


def test_https_proxy_that_speaks_plain_http_is_an_oserror(
    tls_backend: Backend, connect: Callable[[str], Transport], trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Does not get the password either."""
    with Proxy("user:pass") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://user:pass@{proxy.address}")
        with pytest.raises(OSError):  # noqa: PT011
            post(connect(tls_backend.url))
        assert proxy.asked == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://proxy:port", "port"),
        ("http://user:hunter2@proxy:port", "port"),
        ("http://user:hun/ter2@proxy", "port"),
        ("http://user:hunter2@[proxy", "port"),
        ("socks5://user:hunter2@proxy:1080", "socks5:// is not supported"),
    ],
)
def test_invalid_proxy_url_is_an_error_without_its_password(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch, url: str, problem: str
) -> None:
    """An odd variable is an error of the request, like any other; and then of none. Its password is not in it."""
    transport = connect(backend.url)
    monkeypatch.setenv("HTTP_PROXY", url)
    with pytest.raises(ValueError, match=problem) as caught:
        post(transport)
    assert "hun" not in f"{caught.value} {caught.value.__cause__}"
    assert transport.destination == backend.url
    monkeypatch.delenv("HTTP_PROXY")
    assert post(transport) == 200


# ---------------------------------------------------------------------- cancel


@pytest.mark.parametrize("mode", ["hang", "drip"])
@pytest.mark.parametrize("kept", [False, True])
def test_cancel_ends_the_wait_for_an_answer(
    backend: Backend, connect: Callable[[str], Transport], mode: Any, kept: bool
) -> None:
    """The blocked thread returns at once; it does not try again, on a kept-alive connection either."""
    transport = connect(backend.url)
    if kept:
        post(transport)
    before = len(backend.requests)
    backend.mode, backend.drip_interval = mode, 0.05
    posting = Posting(transport)
    eventually(lambda: len(backend.requests) > before)
    time.sleep(0.05)
    transport.cancel()
    assert isinstance(posting.ends(), OSError)
    assert len(backend.requests) == before + 1
    backend.mode = "ok"
    assert post(transport) == 200


@pytest.mark.parametrize("kept", [False, True])
def test_cancel_ends_the_wait_for_an_answer_over_tls(
    tls_backend: Backend, connect: Callable[[str], Transport], trusted: None, kept: bool
) -> None:
    """The same, and nothing is torn from under OpenSSL."""
    transport = connect(tls_backend.url)
    if kept:
        post(transport)
    before = len(tls_backend.requests)
    tls_backend.mode = "hang"
    posting = Posting(transport)
    eventually(lambda: len(tls_backend.requests) > before)
    transport.cancel()
    assert isinstance(posting.ends(), OSError)
    assert len(tls_backend.requests) == before + 1
    tls_backend.mode = "ok"
    assert post(transport) == 200


def test_cancel_ends_the_tls_handshake(mute: Mute, connect: Callable[[str], Transport]) -> None:
    """A server that takes the connection and never says hello."""
    transport = connect(f"https://127.0.0.1:{mute.port}")
    posting = Posting(transport)
    eventually(lambda: mute.accepted and mute.accepted[0].recv(1, socket.MSG_PEEK))
    transport.cancel()
    assert isinstance(posting.ends(), OSError)


def test_cancel_before_the_tls_handshake_prevents_it(
    mute: Mute, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelling works also between the connection and the handshake."""
    transport = connect(f"https://127.0.0.1:{mute.port}")
    wrap = ssl.SSLContext.wrap_bio

    def cancelled(*args: Any, **kwargs: Any) -> ssl.SSLObject:
        wrapped = wrap(*args, **kwargs)
        transport.cancel()
        return wrapped

    monkeypatch.setattr(ssl.SSLContext, "wrap_bio", cancelled)
    began = time.monotonic()
    with pytest.raises(OSError, match="closed"):
        post(transport)
    assert time.monotonic() - began < 4


def test_cancel_ends_the_opening_of_a_tunnel(
    mute: Mute, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that never answers CONNECT."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{mute.port}")
    transport = connect("https://backend.example")
    posting = Posting(transport)
    eventually(lambda: mute.accepted and mute.accepted[0].recv(1, socket.MSG_PEEK))
    transport.cancel()
    assert isinstance(posting.ends(), OSError)


def test_cancel_ends_sending(mute: Mute, connect: Callable[[str], Transport]) -> None:
    """`cancel` ends the sending of a body that the peer does not read."""
    transport = connect(f"http://127.0.0.1:{mute.port}")
    posting = Posting(transport, b"x" * 50_000_000)
    eventually(lambda: mute.accepted)
    time.sleep(0.1)
    transport.cancel()
    assert isinstance(posting.ends(), OSError)


@pytest.mark.parametrize("secure", [False, True])
def test_cancel_during_name_resolution_takes_effect_afterwards(
    backend: Backend,
    tls_backend: Backend,
    connect: Callable[[str], Transport],
    trusted: None,
    monkeypatch: pytest.MonkeyPatch,
    secure: bool,
) -> None:
    """Name resolution cannot be aborted; when it ends, nothing is sent any more, and the next request is not
    disturbed."""
    target = tls_backend if secure else backend
    resolve, entered, go_on = socket.getaddrinfo, threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        entered.set()
        assert go_on.wait(10)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    transport = connect(target.url)
    posting = Posting(transport)
    assert entered.wait(5)
    transport.cancel()
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert post(transport) == 200
    go_on.set()
    assert isinstance(posting.ends(), TimeoutError)
    assert [post(transport), len(target.events), len(target.requests)] == [200, 2, 2]


def test_late_thread_does_not_affect_its_successor(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that was given up in name resolution ends; the request that has taken its place can still be cut off."""
    resolve, entered, go_on = socket.getaddrinfo, threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        entered.set()
        assert go_on.wait(10)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    transport = connect(backend.url)
    late = Posting(transport)
    assert entered.wait(5)
    transport.cancel()
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    backend.mode = "hang"
    successor = Posting(transport)
    eventually(lambda: backend.requests)
    go_on.set()
    late.ends()
    transport.cancel()
    assert isinstance(successor.ends(), OSError)


def test_connection_cancelled_after_its_answer_is_not_kept(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer counts; the connection, which is cut, is not kept."""
    transport = connect(backend.url)
    receive = Channel.receive

    def cancelled(channel: Channel, **kwargs: bool) -> Answer:
        answer = receive(channel, **kwargs)
        transport.cancel()
        return answer

    monkeypatch.setattr(Channel, "receive", cancelled)
    assert [post(transport), post(transport)] == [200, 200]
    assert backend.connections == 2


def test_connection_cancelled_while_connecting_is_not_used(mute: Mute, connect: Callable[[str], Transport]) -> None:
    """What was opened ahead and cut off meanwhile is not used."""
    transport = connect(f"https://127.0.0.1:{mute.port}")
    errors: list[BaseException] = []

    def ahead() -> None:
        try:
            transport.connect(5)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=ahead, daemon=True)
    thread.start()
    eventually(lambda: mute.accepted)
    time.sleep(0.05)
    transport.cancel()
    thread.join(1)
    assert len(errors) == 1


def test_connection_is_closed_by_the_thread_that_uses_it(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed under a thread that reads, its number may be another file's by the time that it reads on."""
    closers: set[threading.Thread] = set()
    close = _Connection.close

    def spy(connection: _Connection) -> None:
        closers.add(threading.current_thread())
        close(connection)

    monkeypatch.setattr(_Connection, "close", spy)
    transport = connect(backend.url)
    backend.mode = "hang"
    posting = Posting(transport)
    eventually(lambda: backend.requests)
    transport.cancel()
    transport.close()
    posting.ends()
    assert closers == {posting.thread}


def test_close_does_not_touch_a_busy_connection(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """In a forked child it is the parent's, and shares its socket: neither closing nor cancelling may touch it."""
    transport = connect(backend.url)
    backend.mode = "hang"
    posting = Posting(transport)
    eventually(lambda: backend.requests)
    transport.close()
    transport.cancel()
    backend.mode = "ok"
    assert posting.ends(5) == 200


def test_cancel_without_a_request_keeps_the_idle_connection(
    backend: Backend, connect: Callable[[str], Transport]
) -> None:
    """The next request uses it."""
    transport = connect(backend.url)
    transport.cancel()
    post(transport)
    transport.cancel()
    assert post(transport) == 200
    assert backend.connections == 1


def test_cancel_at_any_moment_ends_the_request_soon(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """A thread that cancels all the time: every post ends soon, in an answer or an OSError, and the last one works."""
    transport, stop, dice = connect(backend.url), threading.Event(), random.Random(5)

    def cancelling() -> None:
        while not stop.is_set():
            transport.cancel()
            time.sleep(dice.random() * 0.003)

    thread = threading.Thread(target=cancelling, daemon=True)
    thread.start()
    outcomes = [Posting(transport).ends(5) for _ in range(150)]
    stop.set()
    thread.join(5)
    assert all(o == 200 or isinstance(o, OSError) for o in outcomes)
    assert any(o != 200 for o in outcomes)
    assert post(transport) == 200


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
