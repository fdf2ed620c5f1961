"""`Backend`: a real HTTP server that accepts events, and can fail in the ways that backends fail."""

from __future__ import annotations

import gzip
import json
import select
import socket
import socketserver
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal, get_args

Event = dict[str, Any]
Mode = Literal["ok", "hang", "drip", "refuse", "drop", "redirect"]

_BIND_ATTEMPTS = 100
_POLL = 0.05  # seconds between two checks of the mode, the client or a port


@dataclass
class Request:
    """One request as it arrived, and how it was answered."""

    time: float  # seconds since the epoch, when the body had been read
    path: str
    headers: dict[str, str]  # names in lower case
    events: list[Event]
    bytes: int  # size of the body as sent, compressed or not
    status: int | None = None  # None: not answered, or not yet
    answered: float | None = None  # seconds since the epoch


class Backend:
    """An HTTP server for tests that accepts events as Zespan's and Carbon's do. It listens from its creation until
    `close`.

        with Backend() as backend:
            monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
            ...
            assert backend.wait_for(2)[0]["trace_id"] == "..."

    It answers 200 until ``mode`` is changed, which may be done at any time, also during a request:

    - ``"ok"``: answers 200
    - an ``int``: answers that status, with a Retry-After header if ``retry_after`` is set (never with a 2xx)
    - ``"hang"``: reads the request, and answers only after the mode has changed, as the new mode says
    - ``"drip"``: answers 200 one byte at a time, ``drip_interval`` seconds apart
    - ``"refuse"``: refuses new connections and closes open ones; any other mode listens again, on the same port
    - ``"drop"``: reads the request, and closes the connection without an answer
    - ``"redirect"``: answers 307 with the location of another path of this server

    Args:
        tls: A server-side context. The server then speaks HTTPS only.
        host: The address to listen on. Use another one than the loopback address for a function in a container.
        decode: A function that returns the events of a request's body, from which gzip has been removed. A body for
            which it raises ValueError is answered with 400. Default: one document of JSON a line, or Carbon's format.

    Attributes:
        latency: Seconds before each answer. Default: 0.
        drip_interval: Seconds between two bytes in the mode ``"drip"``. Default: 0.2.
        retry_after: Value of the Retry-After header. Default: None, which sends no such header.
        reject: A function of an event. A batch with an event for which it returns true is answered with 400.
        api_key: If set, a request with another key, in `x-api-key` or as a bearer token, is answered with 401.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        decode: Callable[[bytes], list[Event]] | None = None,
    ) -> None:
        self.latency: float = 0.0
        self.drip_interval: float = 0.2
        self.retry_after: str | None = None
        self.reject: Callable[[Event], bool] | None = None
        self.api_key: str | None = None
        self._tls = tls
        self._host = host
        self._decode = decode or _documents
        self._mode: Mode | int = "ok"
        self._mode_lock = threading.Lock()
        self._changed = threading.Condition()  # guards the four below
        self._events: list[Event] = []
        self._requests: list[Request] = []
        self._open: set[socket.socket] = set()
        self._connections = 0
        self._listener = _Listener(0, self)
        self._port: int = self._listener.server_address[1]
        self._listener.start()

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, and close all connections."""
        self._listener.stop()
        self.close_connections()

    @property
    def url(self) -> str:
        """Its URL without a trailing slash, for ZESPAN_BASE_URL."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self._port}"

    @property
    def mode(self) -> Mode | int:
        """How it answers, see `Backend`. Setting an unknown mode raises ValueError."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode | int) -> None:
        if not isinstance(mode, int) and mode not in get_args(Mode):
            raise ValueError(f"mode must be a status or one of {', '.join(get_args(Mode))}, not {mode!r}")
        with self._mode_lock:
            before, self._mode = self._mode, mode
            if mode == "refuse" and before != "refuse":
                self._listener.stop()
                # Bound but not listening: the kernel refuses connections, and no other process can take the port.
                self._listener = _Listener(self._port, self)
                self.close_connections()
            elif before == "refuse" and mode != "refuse":
                self._listener.start()

    @property
    def events(self) -> list[Event]:
        """A copy of all events that were accepted (answered with a 2xx), in order of arrival."""
        with self._changed:
            return list(self._events)

    @property
    def requests(self) -> list[Request]:
        """A copy of all requests read so far, answered or not."""
        with self._changed:
            return list(self._requests)

    @property
    def connections(self) -> int:
        """Number of connections accepted since the start."""
        with self._changed:
            return self._connections

    def wait_for(self, count: int, timeout: float = 5.0) -> list[Event]:
        """Wait until ``count`` events are accepted, and return all. Raises TimeoutError after ``timeout`` seconds."""
        with self._changed:
            if self._changed.wait_for(lambda: len(self._events) >= count, timeout):
                return list(self._events)
            answers = [request.status for request in self._requests]
            raise TimeoutError(f"{len(self._events)} of {count} events after {timeout} s; statuses answered: {answers}")

    def close_connections(self) -> None:
        """Close all open connections, as a load balancer closes those that were idle for too long."""
        with self._changed:
            for connection in self._open:
                with suppress(OSError):  # the client may have closed it
                    # Not SSLSocket.shutdown, which would remove the TLS state while another thread reads.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _opened(self, connection: socket.socket) -> None:
        with self._changed:
            self._connections += 1
            self._open.add(connection)

    def _closed(self, connection: socket.socket) -> None:
        with self._changed:
            self._open.discard(connection)

    def _arrived(self, request: Request) -> None:
        with self._changed:
            self._requests.append(request)

    def _answered(self, request: Request, status: int) -> None:
        with self._changed:
            request.status, request.answered = status, time.time()
            if 200 <= status < 300:
                self._events += request.events
                self._changed.notify_all()


class _Listener(socketserver.ThreadingTCPServer):
    """The listening socket and its thread. Not an HTTPServer, which resolves the machine's name when it binds."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, backend: Backend) -> None:
        super().__init__((backend._host, port), partial(_Connection, backend), bind_and_activate=False)
        self._backend = backend
        self._thread: threading.Thread | None = None
        self._retry(self.server_bind)

    def _retry(self, step: Callable[[], None]) -> None:
        """Repeat a step that fails while a client of another program has our port, since we do not listen now."""
        for _ in range(_BIND_ATTEMPTS):
            try:
                return step()
            except OSError:
                time.sleep(_POLL)
        self.server_close()
        raise OSError(f"another program uses port {self.server_address[1]}")

    def start(self) -> None:
        self._retry(self.server_activate)
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        if self._backend._tls is not None:
            # The handshake is part of the first read, in the connection's own thread: it delays no other client.
            connection = self._backend._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._backend._opened(connection)
        return connection, peer

    def shutdown_request(self, request: Any) -> None:
        self._backend._closed(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # clients disconnect, or do not trust our certificate
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    """One client's connection, kept alive between requests."""

    protocol_version = "HTTP/1.1"

    def __init__(self, backend: Backend, *args: Any) -> None:
        self._backend = backend
        super().__init__(*args)

    def do_POST(self) -> None:
        backend = self._backend
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        events = _decode(body, backend._decode)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(time.time(), self.path, headers, events or [], len(body))
        backend._arrived(request)
        time.sleep(backend.latency)
        while backend.mode == "hang":
            if self._client_has_left():
                self.close_connection = True
                return
        mode = backend.mode
        if mode in ("drop", "refuse"):
            self.close_connection = True
            return
        status = mode if isinstance(mode, int) else 307 if mode == "redirect" else 200
        poisoned = backend.reject is not None and any(map(backend.reject, request.events))
        if 200 <= status < 300 and (events is None or poisoned):
            status = 400
        keys = headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")
        if backend.api_key is not None and backend.api_key not in keys:
            status = 401
        answer = self._answer(status)
        head = answer.index(b"\r\n\r\n") + 3 if mode == "drip" else 0
        self._drip(answer[:head])
        # Before the client can know: a test that has seen the answer must find its events here.
        backend._answered(request, status)
        self._drip(answer[head:])

    do_GET = do_PUT = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, because the output belongs to the test."""

    def _drip(self, data: bytes) -> None:
        """Send one byte at a time while the mode is "drip", then the rest at once."""
        while self._backend.mode == "drip" and data:
            self.connection.sendall(data[:1])
            time.sleep(self._backend.drip_interval)
            data = data[1:]
        self.connection.sendall(data)

    def _client_has_left(self) -> bool:
        """Wait a moment for the client to disconnect. Before its answer a client sends nothing else."""
        return bool(select.select([self.connection], [], [], _POLL)[0])

    def _answer(self, status: int) -> bytes:
        body = "" if status in (204, 304) else "{}"
        lines = [f"HTTP/1.1 {status} {_reason(status)}"]
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
        if self._backend.retry_after is not None and status >= 300:
            lines.append(f"retry-after: {self._backend.retry_after}")
        if status == 307:
            lines.append(f"location: {self._backend.url}/elsewhere")
        return "\r\n".join([*lines, "", body]).encode("latin-1")


def _decode(body: bytes, decode: Callable[[bytes], list[Event]]) -> list[Event] | None:
    """Return the events of a body, with gzip or without; None if it is not valid."""
    try:
        events = decode(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body)
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    return events if all(isinstance(event, dict) for event in events) else None


def _documents(body: bytes) -> list[Event]:
    """Return documents of JSON, one a line; or those of Carbon's one document."""
    documents = [json.loads(line) for line in body.splitlines() if line.strip()]
    if len(documents) == 1 and isinstance(documents[0], dict) and isinstance(documents[0].get("events"), list):
        return documents[0]["events"]  # type: ignore[no-any-return]
    return documents


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
