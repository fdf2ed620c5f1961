"""Posts through the user's HTTP client, `httpx.Client` or that of httpx2, instead of `Transport`.

The client has the user's configuration: client certificates, proxies, HTTP/2. Imported on demand. It is slower than
`Transport`. While it connects, a request cannot be interrupted: until TLS is established, only its timeouts limit it.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._base.guard import pass_on
from .answer import BODY_MAX, Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._base.http_client import HttpClient

_IDLE_MAX = 50.0  # seconds of wall clock, as in `Transport`: the client's own clock stops in a frozen process
_CONNECTING = ("connect_tcp.started", "connect_unix_socket.started")
_NEW_SOCKETS = ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")
"""Suffixes of the events that httpcore reports for a new connection. TLS uses another socket object."""


class ClientTransport:
    """`connect`, `post` and `close` are called by one thread at a time; `cancel` may be called by any thread."""

    def __init__(
        self, base_url: str, client: HttpClient | Callable[[], HttpClient], *, reads: tuple[str, ...] = ("html",)
    ) -> None:
        """`client` may be a function that makes one. `reads`: words in the content types of bodies that are wanted."""
        self._url, self._reads = base_url.rstrip("/"), reads
        self._given: Any = client
        self._is_function = isinstance(client, type) or not hasattr(client, "send")
        # By the process that has used it. A parent's is never touched in a forked child, not even by the garbage
        # collector: the connections are the parent's, one of whose threads may have held a lock of it at the fork.
        self._clients: dict[int, Any] = {}
        self._sockets: tuple[socket.socket, ...] = ()  # of connections that were opened for our requests
        self._used_at = 0.0  # wall clock
        self._busy: _Request | None = None

    @property
    def destination(self) -> str:
        """Where requests go, for log messages; without a password. Which proxy the client has is not known."""
        url = urlsplit(self._url)
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"

    def connect(self, timeout: float) -> None:
        """Make the client, if a function was given for that. It connects when it posts."""
        if self._is_function:
            self._ready()

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """Post a request, and return the answer within about `timeout` seconds. Raises whatever the client raises.

        A body is left out, unless it is that of a success and its content type has one of the words `reads`. If a
        connection that was kept turns out to be dead, the request is repeated once.
        """
        deadline = time.monotonic() + timeout
        request = self._busy = _Request(self)
        try:
            client = self._ready()
            if not 0 <= time.time() - self._used_at < _IDLE_MAX:
                self._end_connections()
            return self._exchange(client, request, path, body, headers, deadline)
        except Exception as error:
            pass_on(error)
            if request.aborted or request.is_new or not request.is_sent or time.monotonic() >= deadline:
                raise
            return self._exchange(self._ready(), request, path, body, headers, deadline)
        finally:
            self._used_at = time.time()
            if self._busy is request:
                self._busy = None

    def cancel(self) -> None:
        """Make a `post` in another thread fail, by ending the connections that were opened for our requests.

        They go to the backend, so the user's own requests through the same client have others.
        """
        busy = self._busy
        if busy is not None:
            busy.aborted = True
            self._end_connections()

    def close(self) -> None:
        """End the connections that were opened for our requests, and close the client if the function has made it.

        In a forked child the parent's are left alone.
        """
        client, self._busy = self._clients.pop(os.getpid(), None), None
        if client is not None:
            self._end_connections()
            if self._is_function:
                client.close()
        self._sockets = ()

    def _ready(self) -> Any:
        """Return the client that this process may use."""
        pid = os.getpid()
        if pid in self._clients:
            return self._clients[pid]
        if not self._is_function and self._clients:
            raise RuntimeError(
                "the connections of http_client belong to the parent of this forked process: "
                "pass a function that makes the client, such as http_client=lambda: httpx.Client(...)"
            )
        made = self._given() if self._is_function else self._given
        if not callable(getattr(made, "build_request", None)):
            raise TypeError(f"http_client must make an httpx.Client, not a {type(made).__name__}")
        self._sockets = ()  # if there are any, they are a parent's
        client = self._clients.setdefault(pid, made)
        if client is not made:  # a thread that was given up while it made one, and its successor, were both here
            made.close()
        return client

    def _exchange(
        self, client: Any, request: _Request, path: str, body: bytes, headers: Mapping[str, str], deadline: float
    ) -> Answer:
        time_left = deadline - time.monotonic()
        if request.aborted or time_left <= 0:
            raise TimeoutError("aborted" if request.aborted else "no answer in time")
        sent = client.build_request(
            "POST",
            self._url + path,
            content=body,
            headers={"accept-encoding": "identity", **headers},
            timeout=(time_left,) * 4,  # for connecting, each read, each write, and waiting for the pool
            extensions={"trace": request.trace},
        )
        # A redirect would take the key elsewhere, and credentials of the client's own might replace it.
        options = {"auth": None} if "authorization" in headers else {}
        request.is_sent = True
        response = client.send(sent, stream=True, follow_redirects=False, **options)
        found = {name.lower(): value for name, value in response.headers.items()}
        content = _body(response, deadline)
        kind = found.get("content-type", "").lower()
        is_wanted = 200 <= response.status_code < 300 and any(word in kind for word in self._reads)
        return Answer(response.status_code, found, content if is_wanted else b"")

    def _end_connections(self) -> None:
        for one in self._sockets:
            _end(one)

    def opened(self, new: socket.socket) -> None:
        """Note a connection that was opened for one of our requests."""
        self._sockets = (*(one for one in self._sockets if one.fileno() >= 0), new)


class _Request:
    """One request under way. `is_new`: a connection is opened for it."""

    def __init__(self, transport: ClientTransport) -> None:
        self._transport = transport
        self.aborted = self.is_new = self.is_sent = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take part in what httpcore does, see https://www.encode.io/httpcore/extensions/#trace."""
        self.is_new |= event.endswith(_CONNECTING)
        if event.endswith(_NEW_SOCKETS):
            new = info["return_value"].get_extra_info("socket")
            if isinstance(new, socket.socket):
                self._transport.opened(new)
                if self.aborted:
                    _end(new)


def _end(connection: socket.socket) -> None:
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not SSLSocket's, which another thread reads from
    except OSError as error:  # it is closed
        pass_on(error)


def _body(response: Any, deadline: float) -> bytes:
    """Return what arrives of a body in time, at most about 64 KiB: without its end the connection cannot be kept."""
    body = b""
    try:
        for piece in response.iter_raw():
            body += piece
            if len(body) > BODY_MAX or time.monotonic() >= deadline:
                break
    except Exception as error:  # the outcome is in the head, which is here
        pass_on(error)
    finally:
        response.close()
    return body
