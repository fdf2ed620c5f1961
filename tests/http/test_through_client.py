"""Requests through the user's own client for HTTP: httpx's, and httpx2's."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

from tests.http.support import Mute, Proxy
from tests.support import until
from zespan_serverless import ConfigurationError, testing, zespan_lambda
from zespan_serverless._http.through_client import ClientTransport
from zespan_serverless.settings import check
from zespan_serverless.testing import Backend

BODY = b'{"n": 1}'


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    """The module whose client it is."""
    return request.param


@pytest.fixture
def client(library: Any) -> Iterator[Any]:
    with library.Client() as client:
        yield client


def post(transport: ClientTransport, timeout: float = 10, **headers: str) -> int:
    return transport.post("/v1/ingest", BODY, {"x-api-key": "k", **headers}, timeout).status


def _until_asked(backend: Backend, count: int) -> None:
    until(lambda: len(backend.requests) >= count)


class Posting:
    """A post in a thread, with its result or its exception."""

    def __init__(self, transport: ClientTransport, timeout: float = 60) -> None:
        self.found: list[Any] = []
        self._arguments = transport, timeout
        self.thread = threading.Thread(target=self._post, daemon=True)
        self.thread.start()

    def _post(self) -> None:
        try:
            self.found.append(post(*self._arguments))
        except Exception as error:
            self.found.append(error)

    def ended(self) -> Any:
        self.thread.join(20)
        assert not self.thread.is_alive(), "the post has not ended"
        return self.found[0]


def test_request_has_path_headers_and_body(backend: Backend, client: Any) -> None:
    """They arrive as they were given; nothing is compressed on the way back, and the client's own headers stay."""
    client.headers["x-team"] = "search"
    answer = ClientTransport(backend.url + "/base/", client).post("/v1/ingest", BODY, {"x-api-key": "k"}, 10)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/json", b"")
    (request,) = backend.requests
    assert (request.path, request.events) == ("/base/v1/ingest", [{"n": 1}])
    sent = {name: request.headers[name] for name in ("x-api-key", "x-team", "accept-encoding")}
    assert sent == {"x-api-key": "k", "x-team": "search", "accept-encoding": "identity"}


def test_one_connection_serves_all_requests(backend: Backend, client: Any) -> None:
    """It is kept alive, whatever the status; one that the backend has closed is replaced."""
    transport = ClientTransport(backend.url, client)
    for mode in (200, 500, 204):
        backend.mode = mode
        assert post(transport) == mode
    assert backend.connections == 1
    backend.close_connections()
    assert (post(transport), backend.connections) == (204, 2)


def test_a_connection_that_dies_with_the_request_is_replaced_once(client: Any) -> None:
    """A load balancer's RST arrives when the request does. A new connection that dies is an error."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted = []

        def serve() -> None:
            for answers in (1, 0, 1, 0):
                with server.accept()[0] as connection:
                    accepted.append(connection.recv(65536))
                    if answers:
                        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                        connection.recv(65536)  # the next request, which gets no answer

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        transport = ClientTransport(f"http://127.0.0.1:{server.getsockname()[1]}", client)
        assert post(transport) == 200
        with pytest.raises(Exception, match="disconnected"):
            post(transport)
        assert len(accepted) == 2  # the first connection, and one in its place
        assert post(transport) == 200
        with pytest.raises(Exception, match="disconnected"):
            post(transport)
        thread.join(10)


def test_cancel_ends_the_wait_for_an_answer(backend: Backend, client: Any) -> None:
    """On a new connection, and on one that was kept; it is not tried again."""
    transport = ClientTransport(backend.url, client)
    for _ in range(2):
        backend.mode = "hang"
        before = len(backend.requests)
        posting = Posting(transport)
        _until_asked(backend, before + 1)
        transport.cancel()
        assert isinstance(posting.ended(), Exception)
        assert len(backend.requests) == before + 1
        backend.mode = "ok"
        assert post(transport) == 200


def test_cancel_ends_the_wait_for_an_answer_over_tls(tls_backend: Backend, authority: trustme.CA, library: Any) -> None:
    """With the user's SSL context, as for a client certificate."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with library.Client(verify=context) as client:
        transport = ClientTransport(tls_backend.url, client)
        assert post(transport) == 200
        tls_backend.mode = "hang"
        posting = Posting(transport)
        until(lambda: len(tls_backend.requests) == 2)
        transport.cancel()
        assert isinstance(posting.ended(), Exception)


def test_the_tls_handshake_ends_with_its_time(mute: Mute, library: Any) -> None:
    """It cannot be interrupted, but lasts no longer than the request may."""
    with library.Client() as client:
        posting = Posting(ClientTransport(f"https://127.0.0.1:{mute.port}", client), 0.3)
        assert isinstance(posting.ended(), Exception)


def test_cancel_while_connecting_takes_effect_afterwards(backend: Backend, client: Any) -> None:
    """Then the request is not sent."""
    transport = ClientTransport(backend.url, client)
    found = transport.opened

    def opened(new: socket.socket) -> None:
        transport.cancel()  # as by another thread at this moment
        transport._sockets = ()
        found(new)

    transport.opened = opened  # type: ignore[method-assign]
    with pytest.raises(Exception, match=r"."):
        post(transport)
    assert backend.events == []


def test_cancel_spares_other_requests_of_the_client(backend: Backend, client: Any) -> None:
    """Only connections that were opened for ours are ended."""
    transport = ClientTransport(backend.url, client)
    with Backend() as other:
        other.mode = backend.mode = "hang"
        theirs: list[Any] = []
        thread = threading.Thread(target=lambda: theirs.append(client.post(other.url, content=BODY, timeout=30)))
        thread.start()
        until(lambda: other.requests)
        posting = Posting(transport)
        until(lambda: backend.requests)
        transport.cancel()
        assert isinstance(posting.ended(), Exception)
        other.mode = "ok"
        thread.join(20)
        assert [response.status_code for response in theirs] == [200]


def test_cancel_without_a_request_changes_nothing(backend: Backend, client: Any) -> None:
    """The connection is kept."""
    transport = ClientTransport(backend.url, client)
    transport.cancel()
    assert post(transport) == 200
    transport.cancel()
    assert (post(transport), backend.connections) == (200, 1)


def test_a_post_times_out_by_itself(backend: Backend, client: Any) -> None:
    """Whatever timeout the client has."""
    client.timeout = None
    transport = ClientTransport(backend.url, client)
    backend.mode = "hang"
    began = time.monotonic()
    with pytest.raises(Exception, match="timed out"):
        post(transport, 0.2)
    assert time.monotonic() - began < 10
    with pytest.raises(TimeoutError):
        post(transport, 0)


def test_redirects_are_not_followed(backend: Backend, library: Any) -> None:
    """Although the client follows them: the key would go elsewhere."""
    backend.mode = "redirect"
    with library.Client(follow_redirects=True) as client:
        assert post(ClientTransport(backend.url, client)) == 307
    assert [request.path for request in backend.requests] == ["/v1/ingest"]


def test_credentials_of_the_client_do_not_replace_the_key(backend: Backend, library: Any) -> None:
    """They are sent where the key is in another header."""
    with library.Client(auth=("user", "password")) as client:
        transport = ClientTransport(backend.url, client)
        post(transport, authorization="Bearer key")
        post(transport)
    sent = [request.headers["authorization"].split()[0] for request in backend.requests]
    assert sent == ["Bearer", "Basic"]


def test_the_clients_proxy_is_used(backend: Backend, library: Any) -> None:
    """Also where the environment names none."""
    with Proxy() as proxy, library.Client(proxy=f"http://{proxy.address}") as client:
        assert post(ClientTransport(backend.url, client)) == 200
        assert proxy.asked == [f"POST {backend.url}/v1/ingest"]


def test_http_2_is_used_where_the_client_does(authority: trustme.CA, tmp_path: Path, library: Any) -> None:
    """A request on a connection that was kept can be cancelled there, too."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with Http2(authority, tmp_path) as server, library.Client(http2=True, verify=context) as client:
        transport = ClientTransport(server.url, client)
        assert [post(transport), post(transport)] == [200, 200]
        server.hangs = True
        posting = Posting(transport)
        until(lambda: len(server.versions) == 3)
        transport.cancel()
        assert isinstance(posting.ended(), Exception)
        server.hangs = False
        assert post(transport) == 200
        assert server.versions == ["2"] * 4


class Http2:
    """A server that speaks HTTP/2 over TLS, and hangs if it is told to. It notes the version of each request."""

    def __init__(self, authority: trustme.CA, folder: Path) -> None:
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"https://127.0.0.1:{port}"
        self.versions: list[str] = []
        self.hangs = False
        self._config = Config()
        self._config.bind = [f"127.0.0.1:{port}"]
        self._config.certfile, self._config.keyfile = str(folder / "cert.pem"), str(folder / "key.pem")
        self._config.errorlog = None
        self._config.graceful_timeout = 0.1
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Http2:
        self._thread.start()
        until(self._listens)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2]))):
            return True
        return False

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(serve(self._answer, self._config, shutdown_trigger=self._stop.wait))

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        self.versions.append(scope["http_version"])
        while (await receive()).get("more_body"):
            pass
        while self.hangs:  # noqa: ASYNC110 (another thread changes it)
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("kind", ["text/html", "text/plain"])
def test_only_bodies_that_are_wanted_are_returned(kind: str, client: Any) -> None:
    """By their content type; what is longer than 64 KiB is not read to its end."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as connection:
                connection.recv(65536)
                head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\n<html>"
                connection.sendall(head.encode())
                while True:
                    connection.sendall(b"x" * 65536)

        threading.Thread(target=serve, daemon=True).start()
        transport = ClientTransport(f"http://127.0.0.1:{server.getsockname()[1]}", client)
        answer = transport.post("", BODY, {}, 20)
    assert answer.status == 200
    assert answer.body[:7] == (b"<html>x" if kind == "text/html" else b"")
    assert len(answer.body) < 1_000_000


def test_a_client_that_was_given_is_never_closed(backend: Backend, client: Any) -> None:
    """It is the user's."""
    transport = ClientTransport(backend.url, client)
    assert post(transport) == 200
    transport.close()
    assert not client.is_closed
    assert (post(transport), backend.connections) == (200, 2)


def test_a_connection_that_was_idle_for_long_is_not_used(backend: Backend, client: Any) -> None:
    """A load balancer may have forgotten it while the process was frozen, and the client's clock stood still."""
    transport = ClientTransport(backend.url, client)
    assert [post(transport), post(transport), backend.connections] == [200, 200, 1]
    for seconds in (60, -60):  # clocks are also put back
        transport._used_at -= seconds
        assert post(transport) == 200
    assert backend.connections == 3


def test_a_client_of_a_function_is_made_once_and_closed(backend: Backend, library: Any) -> None:
    """When a connection is prepared, or when the first request is sent; after a close there is a new one."""
    made: list[Any] = []

    def make() -> Any:
        made.append(library.Client())
        return made[-1]

    transport = ClientTransport(backend.url, make)
    transport.close()
    assert made == []
    transport.connect(1)
    assert (len(made), post(transport), len(made)) == (1, 200, 1)
    transport.close()
    assert made[0].is_closed
    assert (post(transport), len(made)) == (200, 2)
    transport.close()


def test_threads_that_make_a_client_at_the_same_time_use_one(backend: Backend, library: Any) -> None:
    """As a thread that was given up meanwhile, and its successor: the other client is closed."""
    made: list[Any] = []
    both = threading.Barrier(2, timeout=20)

    def make() -> Any:
        client = library.Client()
        made.append(client)
        both.wait()
        return client

    transport = ClientTransport(backend.url, make)
    posts = [Posting(transport), Posting(transport)]
    assert [one.ended() for one in posts] == [200, 200]
    assert sorted(client.is_closed for client in made) == [False, True]
    transport.close()
    assert [client.is_closed for client in made] == [True, True]


def test_a_refused_connection_is_tried_once(backend: Backend, client: Any) -> None:
    """Nothing was kept that could be replaced."""
    tried: list[str] = []
    client.event_hooks = {"request": [lambda request: tried.append(str(request.url))]}
    backend.mode = "refuse"
    with pytest.raises(Exception, match=r"."):
        post(ClientTransport(backend.url, client))
    assert len(tried) == 1


def test_a_function_that_makes_no_client_is_an_error(backend: Backend) -> None:
    """It says what was expected."""
    for wrong in (lambda: None, lambda: "httpx"):
        transport = ClientTransport(backend.url, wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="must make an httpx"):
            post(transport)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_does_not_use_its_parents_connections(backend: Backend, library: Any) -> None:
    """A function makes a client for it. A client that has been used already is refused, with what to do."""
    with library.Client() as client:
        given = ClientTransport(backend.url, client)
        unused = ClientTransport(backend.url, library.Client)
        made = ClientTransport(backend.url, library.Client)
        assert [post(given), post(made)] == [200, 200]
        assert _in_child(lambda: post(given)) == "RuntimeError"
        assert _in_child(lambda: post(made)) == _in_child(lambda: post(unused)) == "200"
        assert backend.connections == 4
        assert [post(given), post(made)] == [200, 200]
        assert backend.connections == 4
    made.close()


def _in_child(call: Callable[[], object]) -> str:
    """Return what a call returns in a forked child, or the name of its exception."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            told = str(call())
        except BaseException as error:
            told = type(error).__name__
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


def test_the_destination_is_shown_without_secrets(client: Any) -> None:
    """Scheme, host and port."""
    transport = ClientTransport("https://user:hunter2@a.example:444/base?token=1", client)
    assert transport.destination == "https://a.example:444"


@pytest.mark.parametrize("exporter", ["zespan", "carbon", "otlp"])
def test_the_setting_is_for_every_exporter_over_http(
    exporter: Any, backend: Backend, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function's events go through the client; it stays usable for the function itself."""
    monkeypatch.setenv("CARBON_API_KEY", "key")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    agents: list[str] = []
    with library.Client(headers={"user-agent": "mine"}) as client:

        @zespan_lambda(exporter=exporter, base_url=backend.url, http_client=client, flush_mode="before_return")
        def handler(event: Any, context: Any) -> int:
            return int(client.get(backend.url, timeout=10).status_code)

        assert handler({}, testing.LambdaContext()) == 200
        agents += [request.headers["user-agent"] for request in backend.requests]
    assert agents == ["mine", "mine"]


def test_clients_and_functions_are_accepted() -> None:
    """Objects, classes, functions, and partial ones."""
    functions: list[Any] = [httpx.Client, httpx2.Client, lambda: httpx.Client(), functools.partial(httpx2.Client)]
    for function in functions:
        assert check({"http_client": function}) == {"http_client": function}
    with httpx.Client() as client:
        assert check({"http_client": client}) == {"http_client": client}


async def _client() -> httpx.Client:
    return httpx.Client()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (httpx.AsyncClient, "must be synchronous, such as httpx.Client, not AsyncClient"),
        (_client, "must be synchronous, such as httpx.Client, not an async def"),
        ("httpx", "must be an httpx.Client, or a function that returns one, not 'str'"),
        (dict, "must be an httpx.Client, or a function that returns one, not 'dict'"),
    ],
)
def test_anything_else_is_a_mistake_in_the_configuration(wrong: object, text: str) -> None:
    """The error says what to pass."""
    with pytest.raises(ConfigurationError, match=text):
        check({"http_client": wrong})
