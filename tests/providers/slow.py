"""A provider that hangs, drips or refuses, on a plain socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PAUSE = 0.05
MODES = ("hang", "drip headers", "drip body", "drip pieces", "429", "500")


class Slow:
    """`pieces` is what a stream repeats without end; `requests` counts what has been asked."""

    def __init__(self, mode: str, content_type: str, piece: bytes) -> None:
        self.mode, self.content_type, self.piece = mode, content_type, piece
        self.requests = 0
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self._read(connection)
            self.requests += 1
            if self.mode in ("429", "500"):
                refusal = f"HTTP/1.1 {self.mode} No\r\nretry-after: 60\r\nconnection: close\r\n"
                body = b'{"error": {"message": "later", "code": 429, "status": "X"}, "message": "later"}'
                length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
                connection.sendall((refusal + length).encode() + body)
                return
            if self.mode == "drip headers":
                self._drip(connection, b"HTTP/1.1 200 OK\r\nx-long: ", b"x")
            elif self.mode == "drip body":
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
                self._drip(connection, head, b" ")
            elif self.mode == "drip pieces":
                start = f"HTTP/1.1 200 OK\r\ncontent-type: {self.content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
                chunk = f"{len(self.piece):x}\r\n".encode() + self.piece + b"\r\n"
                self._drip(connection, start.encode(), chunk)
            else:
                self.over.wait(30)

    def _read(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        names = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        missing = int(names.get(b"content-length", b"0")) - len(body)
        while missing > 0:
            missing -= len(connection.recv(65536))

    def _drip(self, connection: socket.socket, first: bytes, again: bytes) -> None:
        connection.sendall(first)
        end = time.monotonic() + 30
        while not self.over.wait(PAUSE) and time.monotonic() < end:
            connection.sendall(again)


@contextmanager
def slow(mode: str, content_type: str = "text/event-stream", piece: bytes = b"") -> Iterator[Slow]:
    """A provider for the length of the block."""
    server = Slow(mode, content_type, piece)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join()
