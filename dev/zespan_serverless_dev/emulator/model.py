"""A local stand-in for OpenAI's chat completions: the same wire format, with chosen answers, errors and delays."""

from __future__ import annotations

import json
import re
import secrets
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any

Json = dict[str, Any]

MODEL_VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_KEY")
"""Variables that direct a program's model calls to the stand-in: its ``url``, and any key."""

WORDS = ["Hello", ",", " serverless", " world", "!"]  # the answer, a token each
ARGUMENTS = ['{"city"', ': "Paris"}']  # of the tool call, in the pieces that a stream has
USAGE: Json = {
    "prompt_tokens": 12,
    "completion_tokens": len(WORDS),
    "total_tokens": 12 + len(WORDS),
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


@dataclass
class ModelRequest:
    """One request and the time of its answer."""

    time: float  # seconds since the epoch
    path: str
    headers: dict[str, str]  # names in lower case
    body: Json
    port: int  # the client's port, the same for all requests on one connection
    answered: float | None = None  # seconds since the epoch, when the last byte was sent


class ModelEndpoint:
    """Serves POST /v1/chat/completions; ``url`` is the value for OPENAI_BASE_URL.

    A request with tools is answered with a call of the first tool, until the request has the result of that call. Each
    answer takes ``latency_ms``, which may be changed at any time. A request can ask for another answer:

    - model ``error-429`` (any status): that error in OpenAI's format; or header ``x-error: 429`` with any model
    - header ``x-latency-ms: 250``: another latency
    - header ``x-stream-fail-after: 2``: a stream breaks off after two chunks
    """

    def __init__(self, latency_ms: float = 50.0, host: str = "127.0.0.1") -> None:
        self.latency_ms = latency_ms
        self._lock = threading.Lock()
        self._requests: list[ModelRequest] = []
        self._server = _Server((host, 0), partial(_Connection, self))
        self.url = f"http://{host}:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> ModelEndpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def requests(self) -> list[ModelRequest]:
        """Every request so far. A copy."""
        with self._lock:
            return list(self._requests)

    def _arrived(self, request: ModelRequest) -> None:
        with self._lock:
            self._requests.append(request)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that hangs up is no error
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a stream is many small writes

    def __init__(self, endpoint: ModelEndpoint, *args: Any) -> None:
        self._endpoint = endpoint
        super().__init__(*args)

    def do_POST(self) -> None:
        body: Json = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._request = ModelRequest(time.time(), self.path, headers, body, self.client_address[1])
        self._endpoint._arrived(self._request)
        time.sleep(float(headers.get("x-latency-ms", self._endpoint.latency_ms)) / 1000)
        wanted = re.fullmatch(r"error-(\d{3})", str(body.get("model")))
        status = headers.get("x-error") or (wanted and wanted[1])
        if status:
            self._answer(int(status), _error(int(status)))
        elif self.path != "/v1/chat/completions":
            self._answer(404, _error(404))
        elif body.get("stream"):
            self._stream(_chunks(body), int(headers.get("x-stream-fail-after", -1)))
        else:
            self._answer(200, _completion(body))

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, so that only the test prints."""

    def _answer(self, status: int, document: Json) -> None:
        body = json.dumps(document).encode()
        self._request.answered = time.time()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("x-request-id", f"req_{secrets.token_hex(8)}")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, chunks: Iterator[Json], fail_after: int) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-request-id", f"req_{secrets.token_hex(8)}")
        self.end_headers()
        for sent, chunk in enumerate(chunks):
            if sent == fail_after:
                self.close_connection = True
                return
            self._send_event(json.dumps(chunk))
        self._request.answered = time.time()
        self._send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _send_event(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))


def _completion(body: Json) -> Json:
    tool = _wanted_tool(body)
    message: Json = {"role": "assistant", "content": None if tool else "".join(WORDS), "refusal": None}
    if tool:
        function = {"name": tool, "arguments": "".join(ARGUMENTS)}
        message["tool_calls"] = [{"id": _id("call_"), "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if tool else "stop"}
    return {**_head(body, "chat.completion"), "choices": [choice], "usage": USAGE}


def _chunks(body: Json) -> Iterator[Json]:
    """Yield the chunks of a stream. If usage was requested, a last chunk has it."""
    head = _head(body, "chat.completion.chunk")
    include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    if include_usage:
        head["usage"] = None  # in every chunk, as in OpenAI's streams
    tool = _wanted_tool(body)
    for delta in _tool_deltas(tool) if tool else _text_deltas():
        yield {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
    finish = "tool_calls" if tool else "stop"
    yield {**head, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish}]}
    if include_usage:
        yield {**head, "choices": [], "usage": USAGE}


def _text_deltas() -> Iterator[Json]:
    yield {"role": "assistant", "content": "", "refusal": None}
    for word in WORDS:
        yield {"content": word}


def _tool_deltas(tool: str) -> Iterator[Json]:
    call = {"index": 0, "id": _id("call_"), "type": "function", "function": {"name": tool, "arguments": ""}}
    yield {"role": "assistant", "content": None, "tool_calls": [call]}
    for piece in ARGUMENTS:
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _wanted_tool(body: Json) -> str | None:
    """Return the name of the tool to call: the first one offered, unless the conversation already has a result."""
    if not body.get("tools") or body["messages"][-1]["role"] == "tool":
        return None
    name: str = body["tools"][0]["function"]["name"]
    return name


def _head(body: Json, kind: str) -> Json:
    return {"id": _id("chatcmpl-"), "object": kind, "created": int(time.time()), "model": body.get("model")}


def _error(status: int) -> Json:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": f"made-up error {status}", "type": kind, "param": None, "code": None}}


def _id(prefix: str) -> str:
    return prefix + secrets.token_hex(12)
