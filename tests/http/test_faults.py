"""Faulty responses over real sockets: each within the time of a flush, and no event lost by it."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import httpx2
import pytest

from tests.delivery.support import event, lock_of
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._process.container import build_exporter
from zespan_serverless.settings import Settings

Answer = Callable[[socket.socket], None]


class Odd:
    """A server that reads a request, and answers as it is told; with "200" from the moment that `well` is set."""

    def __init__(self, answer: Answer, family: socket.AddressFamily = socket.AF_INET) -> None:
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self._socket = socket.create_server((host, 0), family=family)
        self.url = f"http://{'[::1]' if family == socket.AF_INET6 else host}:{self._socket.getsockname()[1]}"
        self._answer = answer
        self.well = threading.Event()
        self.bodies: list[bytes] = []  # of requests answered with 200
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._socket.accept()[0]
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            head = b""
            while b"\r\n\r\n" not in head:
                data = connection.recv(65536)
                if not data:
                    return
                head += data
            head, _, body = head.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
            if self.well.is_set():
                self.bodies.append(body)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            else:
                self._answer(connection)


def says(*parts: bytes) -> Answer:
    return lambda connection: connection.sendall(b"".join(parts))


def _endlessly(head: bytes, part: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(part)

    return answer


def _half_closes(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


def _stops_reading(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RD)
    time.sleep(5)


def _drips(connection: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


BOMB = gzip.compress(b"\0" * 50_000_000)

FAULTS: dict[str, Answer] = {
    "half closed": _half_closes,
    "reads no more": _stops_reading,
    "drips": _drips,
    "nothing": lambda connection: connection.close(),
    "half a status line": says(b"HTTP/1.1 20"),
    "half a header": says(b"HTTP/1.1 200 OK\r\ncontent-le"),
    "half a body": says(b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\nhalf"),
    "endless header": _endlessly(b"HTTP/1.1 200 OK\r\nx: ", b"y" * 65536),
    "endless headers": _endlessly(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 1000),
    "endless 100s": _endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "no HTTP": says(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "HTML of a 502": says(b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\r\n<html>", b"x" * 1_000_000),
    "a login page": says(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n", b"\n<!doctype html>" + b"x" * 9_000),
    "half a login page": says(b"HTTP/1.1 200 OK\r\ncontent-type: Text/HTML\r\ncontent-length: 99\r\n\r\n<html>"),
    "gzip bomb of a 503": says(
        b"HTTP/1.1 503 No\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB), BOMB
    ),
    "endless body of a 500": _endlessly(b"HTTP/1.1 500 Oh\r\n\r\n", b"x" * 65536),
    "wrong chunks": says(b"HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\n"),
    "redirect to itself": says(b"HTTP/1.1 308 Over there\r\nlocation: /v1/ingest\r\ncontent-length: 0\r\n\r\n"),
    "304": says(b"HTTP/1.1 304 Same\r\n\r\n"),
    "429 for years": says(b"HTTP/1.1 429 Slow\r\nretry-after: 99999999999\r\ncontent-length: 0\r\n\r\n"),
    "429 until a year": says(
        b"HTTP/1.1 429 Slow\r\nretry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\ncontent-length: 0\r\n\r\n"
    ),
    "429 for garbage": says(b"HTTP/1.1 429 Slow\r\nretry-after: \xff\x00 soon\r\ncontent-length: 0\r\n\r\n"),
}


@pytest.fixture
def odd() -> Iterator[Callable[..., Odd]]:
    made: list[Odd] = []

    def odd(*args: object) -> Odd:
        made.append(Odd(*args))  # type: ignore[arg-type]
        return made[-1]

    yield odd
    for server in made:
        server.close()


def _delivery_to(url: str, exporter: str = "zespan") -> Delivery:
    name, _, client = exporter.partition(" through ")
    settings = Settings(base_url=url, api_key="zsp_key", exporter=name, http_client=CLIENTS.get(client))
    return Delivery(build_exporter(settings), settings)


def _numbers(body: bytes) -> set[int]:
    """Return the field `n` of each event in a request, in whichever format."""
    text = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    if text.startswith(b'{"events":'):
        return {sent["additionalProperties"]["n"] for sent in json.loads(text)["events"]}
    if not text.startswith(b'{"resourceSpans"'):
        return {json.loads(line)["n"] for line in text.splitlines()}
    (of_resource,) = json.loads(text)["resourceSpans"]
    spans = of_resource["scopeSpans"][0]["spans"]
    held = [{one["key"]: one["value"] for one in span["attributes"]} for span in spans]
    return {int(attributes["zespan.n"]["intValue"]) for attributes in held}


CLIENTS: dict[str, Any] = {"httpx": httpx.Client, "httpx2": httpx2.Client}


@pytest.fixture(params=["zespan", "otlp", "carbon", *(f"zespan through {name}" for name in CLIENTS)])
def exporter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of each exporter that sends over HTTP, and whose client for that."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")  # which this file can read
    return str(request.param)


@pytest.mark.parametrize("answer", FAULTS.values(), ids=FAULTS)
def test_odd_answer_costs_at_most_the_time_of_a_flush(answer: Answer, exporter: str, odd: Callable[..., Odd]) -> None:
    """When the backend answers properly again, everything is delivered."""
    server = odd(answer)
    delivery = _delivery_to(server.url, exporter)
    for number in range(3):
        delivery.capture(event({"n": number}))
    began = time.monotonic()
    report = delivery.flush(0.3)
    assert time.monotonic() - began < 3
    assert (report.delivered, report.dropped, report.pending) == (0, 0, 3)
    server.well.set()
    delivery.resume()  # as after a minute: what was known of the backend is old
    assert delivery.flush(5, probe=True).delivered == 3
    sent = set[int]().union(*map(_numbers, server.bodies))
    assert sent == {0, 1, 2}  # more than once, if the first was cut off late
    delivery.reset()


@pytest.mark.parametrize(
    "answer",
    [
        says(b"HTTP/1.1 204 No Content\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n<html>", b"x" * 1_000_000),
        says(b"HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 2\r\n\r\nok"),
        says(b"HTTP/1.1 202 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB), BOMB),
        says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        _endlessly(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
        _endlessly(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", b"{" * 65536),
        says(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 99\r\n\r\n\x0a"),
        says(b"HTTP/1.0 200\r\n\r\n"),
    ],
    ids=["204", "megabyte", "Flask's", "bomb", "100", "endless body", "endless JSON", "cut protobuf", "HTTP/1.0"],
)
def test_2xx_counts_whatever_its_body_is(answer: Answer, exporter: str, odd: Callable[..., Odd]) -> None:
    """A 2xx is one; its body is not read for more than 64 KiB, and never unpacked."""
    delivery = _delivery_to(odd(answer).url, exporter)
    delivery.capture(event({"n": 1}))
    assert delivery.flush(5).delivered == 1
    delivery.reset()


@pytest.mark.parametrize("kind", [b"text/html", b"application/json"])
def test_an_empty_body_is_not_waited_for(kind: bytes, exporter: str, odd: Callable[..., Odd]) -> None:
    """It is complete with the head, although the connection stays open."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\ncontent-length: 0\r\n\r\n")
        connection.recv(1)

    delivery = _delivery_to(odd(answer).url, exporter)
    delivery.capture(event({"n": 1}))
    report = delivery.flush(20)
    assert (report.delivered, report.elapsed < 10) == (1, True)
    delivery.reset()


def test_backend_with_ipv6_only_is_reached(odd: Callable[..., Odd]) -> None:
    """Events are delivered to an IPv6 address."""
    try:
        server = odd(says(b""), socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    server.well.set()
    delivery = _delivery_to(server.url)
    delivery.capture(event({"n": 1}))
    assert delivery.flush(5).delivered == 1
    delivery.reset()


def test_events_wait_while_the_host_name_does_not_exist() -> None:
    """DNS says that there is no such host: events wait."""
    delivery = _delivery_to("http://no-such-host.invalid")
    delivery.capture(event({"n": 1}))
    assert delivery.flush(0.5).pending == 1
    delivery.reset()


def test_413_halves_the_batch_until_it_is_accepted(odd: Callable[..., Odd]) -> None:
    """No event is lost."""
    refused: list[int] = []

    def answer(connection: socket.socket) -> None:
        refused.append(1)
        if len(refused) == 2:
            server.well.set()
        connection.sendall(b"HTTP/1.1 413 Too much\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    server = odd(answer)
    delivery = _delivery_to(server.url)
    with lock_of(delivery):
        for number in range(8):
            delivery.capture(event({"n": number}))
    assert delivery.flush(5).delivered == 8
    assert [gzip.decompress(body).count(b"\n") + 1 for body in server.bodies] == [2, 2, 4]
    delivery.reset()
