"""One client's connection: reads requests, checks them with the guard, and dispatches them."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import sqlite3
import struct
import sys
import traceback
from functools import partial
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase, BufferedReader, RawIOBase
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

from ..ingest import BODY_MAX
from . import api, telemetry
from .answer import Answer, Refused
from .files import file_answer
from .guard import HEADERS

if TYPE_CHECKING:
    from . import DevServer

_DISCARD_SECONDS, _DISCARD_MAX = 2.0, 256 << 20  # without a byte; bytes
_IDLE = 90.0  # seconds that a connection may be silent
_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # close with a reset
_LENGTH = re.compile(r"[0-9]{1,12}")


class Connection(BaseHTTPRequestHandler):
    """Kept alive between requests."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "zespan-serverless-dev", ""
    timeout = _IDLE
    wbufsize = -1  # head and body leave at once
    disable_nagle_algorithm = True

    def __init__(self, server: DevServer, *args: Any) -> None:
        self.dev = server
        self.names: dict[str, str] = {}
        self.url = urlsplit("/")
        self._body: bytes | None = None
        super().__init__(*args)

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    do_HEAD = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the terminal shows what matters."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request, with the headers that every answer has."""
        self.close_connection = True
        self._send(Answer.of({"error": message or self.responses.get(code, ("refused",))[0]}, code))

    def query(self) -> dict[str, str]:
        """Return the parameters after the question mark; of several with one name the last."""
        try:
            return dict(parse_qsl(self.url.query, max_num_fields=40))
        except ValueError:
            raise Refused(400, "too many parameters") from None

    def body(self, longest: int = BODY_MAX) -> bytes:
        """Return the body, which is read once."""
        if self._body is None:
            self._body = self._read(longest)
        return self._body

    def reader(self, longest: int) -> IO[bytes]:
        """Return the body as a file, which is read but once."""
        length = self._length(longest)
        self.close_connection = True  # what is not read of it would be taken for the next request
        self._body = b""
        return cast("IO[bytes]", BufferedReader(_Body(self.rfile, length)))

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object."""
        if self.names.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise Refused(415, "content-type must be application/json")
        try:
            found = json.loads(self.body(100_000))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Refused(400, "the body must be a JSON object")
        return found

    def has_left(self) -> bool:
        """Whether the client has closed the connection; before its answer a client sends nothing else."""
        try:
            return bool(select.select([self.connection], [], [], 0)[0])
        except (OSError, ValueError):
            return True

    def reset(self) -> None:
        """Close the connection without an answer, as the kernel does where nobody listens."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)

    def _send(self, answer: Answer) -> None:
        """Send an answer in one piece."""
        self.wfile.write(self.head(answer, len(answer.body)) + (b"" if self.command == "HEAD" else answer.body))
        self.wfile.flush()

    def head(self, answer: Answer, length: int | None) -> bytes:
        """Return the head of an answer; without a length it ends with the connection."""
        phrase = self.responses.get(answer.status, ("",))[0]
        headers = {**HEADERS, "content-type": answer.content_type, **answer.headers}
        if length is None:
            self.close_connection = True
        elif answer.status != 204:
            headers["content-length"] = str(length)
        if self.close_connection:
            headers["connection"] = "close"
        lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    def _handle(self) -> None:
        self.names = {name.lower(): value for name, value in self.headers.items()}
        self._body = None
        try:
            self.url = urlsplit(self.path)
            answer = self._answer()
        except Refused as refusal:
            answer = Answer.of({"error": str(refusal)}, refusal.status)
        except ValueError as error:
            answer = Answer.of({"error": str(error)}, 400)
        except sqlite3.DatabaseError as error:
            answer = Answer.of({"error": f"the run cannot be read: {error}"}, 422)
        except OSError:
            self.close_connection = True
            return
        except Exception as error:
            traceback.print_exc()
            answer = Answer.of({"error": f"the server has failed, see its terminal: {type(error).__name__}"}, 500)
        body: bytes | None = self._body  # read by the code that responded
        is_unread = body is None and ("transfer-encoding" in self.names or self.names.get("content-length", "0") != "0")
        self.close_connection |= is_unread  # unread bytes would be taken for the next request
        if answer is not None:
            self._send(answer)
        if is_unread:
            self._discard()

    def _discard(self) -> None:
        """Read what the client still sends, for a while: a connection that is closed before that is reset, and a client
        whose connection is reset may never see the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_DISCARD_SECONDS)
        left = _DISCARD_MAX
        with contextlib.suppress(OSError):
            while left > 0 and (data := self.connection.recv(1 << 16)):
                left -= len(data)

    def _answer(self) -> Answer | None:
        """Return the answer, or None if it has been sent already."""
        guard, path = self.dev.guard, self.url.path
        if path.startswith("/v1/"):
            if not guard.knows_host(self.names, is_telemetry=True):
                raise Refused(403, "unknown host")
            if guard.is_from_page(self.names):
                raise Refused(403, "telemetry is not taken from pages of a browser")
            return telemetry.answer(self.dev, self)
        if not guard.knows_host(self.names, is_telemetry=False):
            raise Refused(403, "unknown host: open the address that `zespan-serverless dev` has printed")
        if guard.is_foreign(self.names, is_page=path == "/" and self.command == "GET"):
            raise Refused(403, "another page may not ask")
        if path.startswith("/api/"):
            if not guard.is_owner(self.names):
                raise Refused(401, "open the address with the token that `zespan-serverless dev` has printed")
            return api.answer(self.dev, self)
        if self.command not in ("GET", "HEAD"):
            raise Refused(405, "only GET")
        return file_answer(self.dev, self)

    def _read(self, longest: int) -> bytes:
        if "transfer-encoding" in self.names:
            return self._read_chunks(longest)
        length = self._length(longest)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client has left")
        return body

    def _length(self, longest: int) -> int:
        length = self.names.get("content-length", "0")
        if not _LENGTH.fullmatch(length):
            raise Refused(400, "content-length is no number")
        if int(length) > longest:
            raise Refused(413, f"the body has more than {longest:,} bytes")
        return int(length)

    def _read_chunks(self, longest: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            line = self.rfile.readline(100).partition(b";")[0].strip()
            try:
                length = int(line, 16) if not line.startswith((b"-", b"+")) else -1
            except ValueError:
                length = -1
            if length < 0 or size + length > longest:
                self.close_connection = True
                raise Refused(413 if length > 0 else 400, f"the body must be at most {longest:,} bytes, in chunks")
            if length == 0:
                while self.rfile.readline(1000).strip():
                    pass
                return b"".join(parts)
            parts.append(self.rfile.read(length))
            size += length
            self.rfile.readline(3)


class _Body(RawIOBase):
    """The bytes of a body that have not been read yet."""

    def __init__(self, file: BufferedIOBase, left: int) -> None:
        self._file, self._left = file, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def connection_of(server: DevServer) -> Any:
    """Return what makes connections for a server."""
    return partial(Connection, server)
