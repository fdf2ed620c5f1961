"""Lambda's Extensions API over one kept-alive connection.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. The peer is the sandbox's own, on loopback,
and is asked in every invocation: what http.client does to understand any server takes a tenth of all that we compute
in one. Tracers of http.client (X-Ray's) do not see this either, and should not: it is no work of the user's.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

_PATH = "/2020-01-01/extension/"
_LINE_MAX = 65_536  # bytes


class Answer(NamedTuple):
    """`headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Api:
    """`address` is that of AWS_LAMBDA_RUNTIME_API, host:port. What fails raises OSError or ValueError; then `close`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._file: BinaryIO | None = None

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a request, whose answer is to be received next. Connects if need be; without a timeout: the next event
        may be hours away."""
        if self._socket is None:
            host, _, port = self._address.rpartition(":")
            self._socket = socket.create_connection((host, int(port)))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._file = self._socket.makefile("rb")
        head = [f"{method} {_PATH}{path} HTTP/1.1", f"Host: {self._address}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            head.append(f"Content-Length: {len(body)}")
        self._socket.sendall("\r\n".join([*head, "", ""]).encode() + body)

    def wait(self) -> None:
        """Return when the answer has begun to arrive."""
        if self._socket is not None:
            self._socket.recv(1, socket.MSG_PEEK)

    def receive(self) -> Answer:
        """The answer to what has been sent."""
        version, status, *_ = self._line().split(None, 2)
        if not version.startswith("HTTP/1."):
            raise ValueError(f"not HTTP: {version[:20]}")
        headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        body = self._chunks() if chunked else self._read(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(status), headers, body)

    def close(self) -> None:
        """The next request has a new connection."""
        used, self._socket, self._file = (self._file, self._socket), None, None
        for part in used:
            if part is not None:
                part.close()

    def _line(self) -> str:
        line = self._file.readline(_LINE_MAX) if self._file is not None else b""
        if not line.endswith(b"\n"):
            raise ConnectionError(f"the answer ends with {line[-20:]!r}")
        return line.rstrip(b"\r\n").decode("latin-1")

    def _read(self, size: int) -> bytes:
        body = self._file.read(size) if self._file is not None else b""
        if len(body) < size:
            raise ConnectionError(f"the answer ends after {len(body)} of {size} bytes")
        return body

    def _chunks(self) -> bytes:
        chunks: list[bytes] = []
        while size := int(self._line().partition(";")[0], 16):
            chunks.append(self._read(size))
            self._line()
        while self._line():  # trailers
            pass
        return b"".join(chunks)
