"""A proxy, a server that says nothing, and requests to them."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from zespan_serverless._http.transport import Transport


class Proxy(ThreadingHTTPServer):
    """Forwards absolute URLs, and opens tunnels; with `credentials` ("user:password"), only to who knows them; with
    `tls`, over TLS."""

    daemon_threads = True

    def __init__(self, credentials: str = "", tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyConnection)
        self._tls = tls
        self.authorization = "Basic " + base64.b64encode(credentials.encode()).decode() if credentials else None
        self.asked: list[str] = []  # "METHOD target" of each request
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, peer

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # clients go away, or distrust our certificate
            super().handle_error(request, client_address)

    def server_bind(self) -> None:
        socket.socket.bind(self.socket, self.server_address)  # HTTPServer's asks DNS for the machine's name
        self.server_address = self.socket.getsockname()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _ProxyConnection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        with suppress(OSError):
            super().handle_one_request()

    def _welcome(self) -> bool:
        assert isinstance(self.server, Proxy)
        self.server.asked.append(f"{self.command} {self.path}")
        if self.server.authorization not in (None, self.headers.get("proxy-authorization")):
            self.send_error(407)
            return False
        return True

    def do_CONNECT(self) -> None:
        if self._welcome():
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port)), 5) as target:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_pipe, args=(target, self.connection), daemon=True)
                back.start()
                _pipe(self.connection, target)
                back.join(5)
        self.close_connection = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self._welcome():
            return
        url = urlsplit(self.path)
        connection = http.client.HTTPConnection(url.netloc, timeout=5)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "proxy-authorization"}
        connection.request("POST", url.path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        self.send_response(response.status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _pipe(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            socket.socket.shutdown(end, socket.SHUT_RDWR)  # not SSLSocket's, which another thread reads from


class Mute:
    """Accepts connections, reads nothing and says nothing."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.accepted: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Mute:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)  # it may have one in hand that is not in the list yet
        for connection in self.accepted:
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self.accepted.append(self._socket.accept()[0])


BODY = b'{"n": 1}'


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

    def ends(self, seconds: float = 3.0) -> Any:  # a post ends by itself after 5
        self.thread.join(seconds)
        assert not self.thread.is_alive(), "still blocked"
        return self.outcome


def eventually(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until, "did not happen"
        time.sleep(0.002)
