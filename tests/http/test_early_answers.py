"""Answers that come before the request is over."""

from __future__ import annotations

import base64
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trustme

from tests.delivery.support import event, lock_of
from tests.http.support import post
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._http import sockets
from zespan_serverless._http import transport as http
from zespan_serverless._http.transport import Transport
from zespan_serverless._process.container import build_exporter
from zespan_serverless.exporters import Dropped
from zespan_serverless.settings import Settings

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
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
