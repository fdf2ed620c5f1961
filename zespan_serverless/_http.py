"""HTTP/1.1 on a socket that somebody else looks after: requests that are whole, answers that are short.

That is all it takes to post events, and to ask Lambda's sandbox for the next one, which we do in every invocation. What
http.client does to understand any server, its headers as e-mail among it, takes a seventh of all that we compute in
one; and a connection that is cut after a status line is the end of an answer's head to it. Tracers of http.client
(X-Ray's) do not see us, and should not: what we send is no work of the user's.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_LINE_MAX = 65_536  # bytes
_LINES_MAX = 256  # of a head
_HEADS_MAX = 16  # 1xx before an answer
_BODY_MAX = 65_536  # bytes that are read of a body; more, and the connection is not worth keeping


class NoAnswer(ConnectionError):
    """The connection has ended, or what came is not HTTP."""


class TornAnswer(OSError):
    """An answer had begun, and has not come as far as its headers' end."""


class Answer(NamedTuple):
    """`headers` by lower-case name. `body`: what has come of it, of 64 KiB at most."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Channel:
    """A connection. Not more than one request at a time, each followed by its answer."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.reusable = True
        """Whether another request may follow."""
        self._file = connected.makefile("rb")

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a request; `headers` has its Host. Raises ValueError for a header that is not one line of Latin-1."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if body:
            lines.append(f"content-length: {len(body)}")
        if any("\n" in line or "\r" in line for line in lines):
            raise ValueError("a header with a line break")
        lines += ["", ""]
        self.socket.sendall("\r\n".join(lines).encode("latin-1") + body)

    def wait(self) -> None:
        """Return when an answer has begun to arrive."""
        self.socket.recv(1, socket.MSG_PEEK)

    def receive(self, *, has_body: bool = True) -> Answer:
        """The answer. `has_body`: False for what a CONNECT is answered with. OSError if there is none.

        An answer whose body is torn is one: what it says stands in its head. The connection is then not reusable.
        """
        for _ in range(_HEADS_MAX):
            version, status = self._status()
            headers = self._headers()
            if status >= 200:
                break
        else:
            raise TornAnswer("1xx without end")
        ends = headers.get("connection", "").lower()
        self.reusable = "close" not in ends and (version != "HTTP/1.0" or "keep-alive" in ends)
        if not has_body or status in (204, 304):
            return Answer(status, headers, b"")
        try:
            return Answer(status, headers, self._body(headers))
        except OSError:  # reset, or out of time
            self.reusable = False
            return Answer(status, headers, b"")

    def is_quiet(self) -> bool:
        """Whether nothing has come that no request has asked for: the next one would take it for its answer."""
        self.socket.settimeout(0)
        try:
            return not self._file.peek(1)
        except BlockingIOError:
            return True
        except OSError as error:
            return type(error).__name__ == "SSLWantReadError"  # without loading ssl

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def release(self) -> None:
        """Leave the socket to something else."""
        self._file.close()

    def _status(self) -> tuple[str, int]:
        line = self._file.readline(_LINE_MAX)
        version, _, rest = line.partition(b" ")
        if not line or not version.startswith(b"HTTP/1."):
            raise NoAnswer(f"no HTTP: {line[:50]!r}" if line else "closed without an answer")
        if not line.endswith(b"\n") or not rest[:3].isdigit():
            raise TornAnswer(f"not a status: {line[:50]!r}")
        return version.decode("latin-1"), int(rest[:3])

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(_LINES_MAX):
            line = self._file.readline(_LINE_MAX)
            if not line.endswith(b"\n"):
                raise TornAnswer(f"ends in its head, with {line[-50:]!r}")
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon and not name.strip("\r\n"):
                return headers
            headers[name.lower()] = value.strip()
        raise TornAnswer("headers without end")

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunks()
        try:
            length = max(int(headers["content-length"]), 0)
        except (KeyError, ValueError):  # it ends with the connection, if ever
            length = _BODY_MAX + 1
        body = self._file.read(min(length, _BODY_MAX))
        self.reusable &= len(body) == length
        return body

    def _chunks(self) -> bytes:
        body, whole = b"", False
        with contextlib.suppress(ValueError, TornAnswer):
            while size := int(self._file.readline(_LINE_MAX).partition(b";")[0], 16):
                chunk = self._file.read(max(min(size, _BODY_MAX - len(body)), 0))
                body += chunk
                if len(chunk) != size or not self._file.readline(_LINE_MAX).endswith(b"\n"):
                    break
            else:
                self._headers()  # trailers
                whole = True
        self.reusable &= whole
        return body


def connect(host: str, port: int, timeout: float | None = None) -> socket.socket:
    """A connection; `timeout` in seconds, for this and for what follows. None: none."""
    # As bytes: for a text Python imports its codec `idna`, which takes 14 ms; a child that is forked meanwhile hangs.
    name: Any = host.encode() if host.isascii() else host
    connected = socket.create_connection((name, port), timeout)
    with contextlib.suppress(OSError):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected
