"""The test backend that users get: it has to fail exactly as asked, or it tests nothing."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from zespan_serverless.testing._backend import Backend, Mode

EVENTS: list[dict[str, Any]] = [{"event_id": "a", "n": 1}, {"event_id": "b", "n": 2}]


class Client:
    """One kept-alive connection, without retries or redirects."""

    def __init__(self, backend: Backend, timeout: float = 5, trust: ssl.SSLContext | None = None) -> None:
        netloc = urlsplit(backend.url).netloc
        self.connection = (
            http.client.HTTPConnection(netloc, timeout=timeout)
            if trust is None
            else http.client.HTTPSConnection(netloc, timeout=timeout, context=trust)
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def post(self, body: bytes) -> http.client.HTTPResponse:
        self.connection.request("POST", "/v1/ingest", body, {"X-Api-Key": "zsp_test"})
        response = self.connection.getresponse()
        response.read()
        return response


def ndjson(*events: dict[str, Any]) -> bytes:
    return gzip.compress("\n".join(map(json.dumps, events)).encode())


def test_accepts_gzip_ndjson(backend: Backend) -> None:
    """A gzip batch is answered 200 and its events are there when the client has the answer."""
    body = ndjson(*EVENTS)
    with Client(backend) as client:
        assert client.post(body).status == 200
    assert backend.events == EVENTS
    (request,) = backend.requests
    assert (request.path, request.status, request.bytes) == ("/v1/ingest", 200, len(body))
    assert request.headers["x-api-key"] == "zsp_test"
    assert request.events == EVENTS
    assert request.answered is not None
    assert time.time() - 5 < request.time <= request.answered <= time.time()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the loopback has one address")
def test_host_is_where_it_listens() -> None:
    """It can be reached at the address that it was given, which its url names, and at no other."""
    with Backend(host="127.0.0.2") as backend, Client(backend) as client:
        assert client.post(ndjson(*EVENTS)).status == 200
        port = urlsplit(backend.url).port
        assert backend.url == f"http://127.0.0.2:{port}"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_accepts_plain_ndjson(backend: Backend) -> None:
    """An uncompressed batch is read too."""
    with Client(backend) as client:
        assert client.post(b'{"n": 1}\n\n{"n": 2}\n').status == 200
    assert backend.events == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    "body", [b"{", b"[1, 2]", b"\x1f\x8bgarbage", ndjson(*EVENTS)[:-12]], ids=["open", "array", "no gzip", "cut off"]
)
def test_body_that_is_not_a_batch_is_a_400(backend: Backend, body: bytes) -> None:
    """A body that is not NDJSON objects is a 400, never accepted in part."""
    with Client(backend) as client:
        assert client.post(body).status == 400
    assert backend.events == []


@pytest.mark.parametrize("status", [400, 401, 413, 429, 500, 503])
def test_status_as_mode_is_the_answer(backend: Backend, status: int) -> None:
    """A status as mode is the answer, and accepts nothing."""
    backend.mode = status
    with Client(backend) as client:
        assert client.post(ndjson(*EVENTS)).status == status
    assert backend.events == []
    assert backend.requests[0].events == EVENTS


def test_retry_after_comes_with_errors_only(backend: Backend) -> None:
    """Retry-After is sent with a 429, not with a 200."""
    backend.retry_after = "7"
    with Client(backend) as client:
        assert client.post(ndjson(*EVENTS)).getheader("retry-after") is None
        backend.mode = 429
        assert client.post(ndjson(*EVENTS)).getheader("retry-after") == "7"


def test_reject_refuses_only_batches_with_the_poisoned_event(backend: Backend) -> None:
    """One poisoned event makes its whole batch a 400; the other events are fine in a batch of their own."""
    backend.reject = lambda event: event["n"] == 2
    with Client(backend) as client:
        assert client.post(ndjson(*EVENTS)).status == 400
        assert client.post(ndjson(EVENTS[0])).status == 200
    assert backend.events == EVENTS[:1]


def test_latency_comes_before_the_answer(backend: Backend) -> None:
    """The answer waits for the latency."""
    backend.latency = 0.2
    start = time.monotonic()
    with Client(backend) as client:
        assert client.post(ndjson(*EVENTS)).status == 200
    assert time.monotonic() - start >= 0.2


def test_hang_never_answers(backend: Backend) -> None:
    """A hanging backend has the request but lets its client time out."""
    backend.mode = "hang"
    with Client(backend, timeout=0.3) as client, pytest.raises(TimeoutError):
        client.post(ndjson(*EVENTS))
    assert [request.status for request in backend.requests] == [None]
    assert backend.events == []


def test_hang_forgets_a_client_that_left(backend: Backend) -> None:
    """What was posted by a client that gave up is not accepted by the recovered backend behind its back."""
    backend.mode = "hang"
    with Client(backend, timeout=0.1) as client, pytest.raises(TimeoutError):
        client.post(ndjson(*EVENTS))
    time.sleep(0.2)
    backend.mode = "ok"
    with pytest.raises(TimeoutError):
        backend.wait_for(1, timeout=0.3)


def test_hang_ends_with_the_mode(backend: Backend) -> None:
    """A request that hangs is answered when the backend recovers."""
    backend.mode = "hang"
    recover = threading.Timer(0.2, lambda: setattr(backend, "mode", "ok"))
    recover.start()
    with Client(backend) as client:
        assert client.post(ndjson(*EVENTS)).status == 200
    recover.join()
    assert backend.events == EVENTS


@pytest.mark.slow
def test_drip_keeps_every_read_short_and_the_answer_long(backend: Backend) -> None:
    """A dripping answer never trips a timeout per read, and counts as accepted only at its end."""
    backend.mode, backend.drip_interval = "drip", 0.03
    start = time.monotonic()
    with Client(backend, timeout=1) as client:
        client.connection.request("POST", "/", ndjson(*EVENTS))
        time.sleep(0.2)
        assert backend.events == []
        assert client.connection.getresponse().status == 200
    assert time.monotonic() - start > 1
    assert backend.wait_for(2) == EVENTS


def test_refuse_and_listen_again_on_the_same_port(backend: Backend) -> None:
    """Connections are refused, kept-alive ones cut, and the recovered backend is where it was."""
    url = backend.url
    with Client(backend) as client:
        client.post(ndjson(EVENTS[0]))
        backend.mode = "refuse"
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            client.post(ndjson(*EVENTS))
    with Client(backend) as client, pytest.raises(ConnectionRefusedError):
        client.post(ndjson(*EVENTS))
    assert len(backend.requests) == 1
    backend.mode = "ok"
    assert backend.url == url
    with Client(backend) as client:
        assert client.post(ndjson(EVENTS[1])).status == 200
    assert backend.events == EVENTS


def test_drop_closes_without_an_answer(backend: Backend) -> None:
    """The request is read and the connection closed."""
    backend.mode = "drop"
    with Client(backend) as client, pytest.raises(http.client.RemoteDisconnected):
        client.post(ndjson(*EVENTS))
    assert [request.status for request in backend.requests] == [None]
    assert backend.events == []


def test_redirect_accepts_nothing(backend: Backend) -> None:
    """A redirect names another path of the same server and accepts nothing."""
    backend.mode = "redirect"
    with Client(backend) as client:
        response = client.post(ndjson(*EVENTS))
    assert (response.status, response.getheader("location")) == (307, f"{backend.url}/elsewhere")
    assert backend.events == []


def test_unknown_mode_raises_where_it_is_set(backend: Backend) -> None:
    """A mode with a typo fails where it is set, not as a test that passes for the wrong reason."""
    typo: Any = "hangs"
    with pytest.raises(ValueError, match="hangs"):
        backend.mode = typo


def test_connections_are_kept_alive_and_counted(backend: Backend) -> None:
    """Two requests of one client share a connection; another client's is another one."""
    with Client(backend) as client:
        client.post(ndjson(*EVENTS))
        client.post(ndjson(*EVENTS))
    with Client(backend) as client:
        client.post(ndjson(*EVENTS))
    assert backend.connections == 2


def test_close_connections_makes_a_kept_alive_one_stale(backend: Backend) -> None:
    """An idle connection that the backend has closed fails; the server goes on."""
    with Client(backend) as client:
        client.post(ndjson(*EVENTS))
        backend.close_connections()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            client.post(ndjson(*EVENTS))
        client.connection.close()
        assert client.post(ndjson(*EVENTS)).status == 200


def test_accepts_the_document_of_carbon(backend: Backend) -> None:
    """The events in it count one by one; another document of one line is one event."""
    with Client(backend) as client:
        assert client.post(json.dumps({"events": EVENTS}).encode()).status == 200
        assert client.post(b'{"events": 2}').status == 200
    assert backend.events == [*EVENTS, {"events": 2}]


def test_other_formats_are_read_by_a_function_of_the_users() -> None:
    """It gets the body without gzip; what it cannot read is answered with 400."""
    with Backend(decode=lambda body: [{"n": int(word)} for word in body.split()]) as backend, Client(backend) as client:
        assert client.post(gzip.compress(b"1 2")).status == 200
        assert client.post(b"3").status == 200
        assert client.post(b"four").status == 400
        assert backend.events == [{"n": 1}, {"n": 2}, {"n": 3}]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-api-key": "right"}, 200),
        ({"authorization": "Bearer right"}, 200),
        ({"x-api-key": "wrong"}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({}, 401),
    ],
)
def test_the_key_may_be_in_either_header(backend: Backend, headers: dict[str, str], status: int) -> None:
    """As Zespan and Carbon want it."""
    backend.api_key = "right"
    connection = http.client.HTTPConnection(urlsplit(backend.url).netloc, timeout=5)
    connection.request("POST", "/", b"{}", headers)
    assert connection.getresponse().status == status
    connection.close()


def test_wait_for_says_what_it_has_instead(backend: Backend) -> None:
    """Events that never come are a TimeoutError naming what was answered."""
    backend.mode = 503
    with Client(backend) as client:
        client.post(ndjson(*EVENTS))
    with pytest.raises(TimeoutError, match=r"0 of 1 events after 0\.1 s.*\[503\]"):
        backend.wait_for(1, timeout=0.1)


def test_wait_for_returns_as_soon_as_the_events_are_there(backend: Backend) -> None:
    """Waiting ends with the event, not with the timeout."""
    with Client(backend) as client:
        post = threading.Timer(0.1, client.post, [ndjson(*EVENTS)])
        post.start()
        start = time.monotonic()
        assert backend.wait_for(2, timeout=5) == EVENTS
        assert time.monotonic() - start < 4
        post.join()


@pytest.mark.parametrize("mode", ["ok", "hang", "drip", "refuse", "drop"])
def test_close_is_quick_in_every_mode(mode: Mode) -> None:
    """A test never waits for its backend to go, whatever is in flight."""
    backend = Backend()
    with Client(backend) as client:
        client.post(ndjson(*EVENTS))
        backend.mode = mode
        with suppress(OSError, http.client.HTTPException):
            client.connection.request("POST", "/", ndjson(*EVENTS))
        start = time.monotonic()
        backend.close()
        assert time.monotonic() - start < 4
    with Client(backend) as client, pytest.raises(ConnectionRefusedError):
        client.post(ndjson(*EVENTS))


def test_tls_is_served_to_clients_that_trust_it() -> None:
    """With a certificate it serves HTTPS, and clients that distrust it or send nothing do not affect others."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with Backend(tls=server) as backend:
        assert backend.url.startswith("https://")
        with Client(backend, trust=ssl.create_default_context()) as client, pytest.raises(ssl.SSLError):
            client.post(ndjson(*EVENTS))
        netloc = urlsplit(backend.url)
        with (
            socket.create_connection((str(netloc.hostname), netloc.port or 0)),
            Client(backend, trust=trusting) as client,
        ):
            assert client.post(ndjson(*EVENTS)).status == 200
            backend.close_connections()
            with pytest.raises((http.client.RemoteDisconnected, OSError)):
                client.post(ndjson(*EVENTS))
        assert backend.events == EVENTS
        backend.mode = "hang"
        with Client(backend, timeout=0.3, trust=trusting) as client, pytest.raises(TimeoutError):
            client.post(ndjson(*EVENTS))
