"""A stand-in for the APIs of model providers, over HTTP: it answers what a test gives it, whole or in pieces."""

from __future__ import annotations

import base64
import json
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
Reply = tuple[int, dict[str, str], list[bytes | None]]
"""Status, headers, and the body in the pieces in which it is sent; at None the connection breaks off."""


def whole(answer: Json, status: int = 200, **headers: str) -> Reply:
    """Return one JSON document."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"content-type": "application/json", **named}, [json.dumps(answer).encode()]


def events(*data: Json, named: bool = False, done: bool = False) -> Reply:
    """Server-sent events; `named` after their `type`, `done` with OpenAI's last line."""
    pieces = [
        (f"event: {one['type']}\n" if named else "").encode() + b"data: " + json.dumps(one).encode() + b"\n\n"
        for one in data
    ]
    return 200, {"content-type": "text/event-stream"}, [*pieces, *([b"data: [DONE]\n\n"] if done else [])]


def frames(*data: tuple[str, Json]) -> Reply:
    """AWS's event stream: (event type, payload)."""
    pieces = (frame({":message-type": "event", ":event-type": kind}, payload) for kind, payload in data)
    return 200, {"content-type": "application/vnd.amazon.eventstream"}, [*pieces]


def chunk(data: Json) -> tuple[str, Json]:
    """Return a piece of a model's own stream, as Bedrock wraps it."""
    return "chunk", {"bytes": base64.b64encode(json.dumps(data).encode()).decode()}


def frame(headers: dict[str, str], payload: Json) -> bytes:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html describes the encoding."""
    body = json.dumps(payload).encode()
    raw = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in {":content-type": "application/json", **headers}.items()
    )
    head = struct.pack(">II", 16 + len(raw) + len(body), len(raw))
    message = head + struct.pack(">I", zlib.crc32(head)) + raw + body
    return message + struct.pack(">I", zlib.crc32(message))


class Endpoint:
    """`url` serves what `reply(path, request)` gives; `requests` are those received."""

    def __init__(self, reply: Callable[[str, Json], Reply]) -> None:
        self.reply = reply
        self.requests: list[tuple[str, Json]] = []
        self.go_on = threading.Event()  # between the pieces of a body
        self.go_on.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers.get("content-length") or 0))
                try:
                    request = json.loads(data)
                except ValueError:
                    request = {}
                endpoint.requests.append((self.path, request))
                status, headers, pieces = endpoint.reply(self.path, request)
                self.send_response_only(status)  # without a date, so that two answers are the same
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for piece in pieces:
                    endpoint.go_on.wait(5)
                    if piece is None:
                        self.close_connection = True
                        return
                    self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None: ...

        return Handler


@contextmanager
def serving(reply: Callable[[str, Json], Reply]) -> Iterator[Endpoint]:
    """An endpoint that serves for the length of the block."""
    endpoint = Endpoint(reply)
    thread = threading.Thread(target=endpoint._server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.go_on.set()
        endpoint._server.shutdown()
        endpoint._server.server_close()
        thread.join()
