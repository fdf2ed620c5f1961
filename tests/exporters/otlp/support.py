"""An OTLP endpoint that keeps what it is sent, and records to send."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from zespan_serverless._record.model import Answer, Model, Prompt
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._record.step import Step
from zespan_serverless._trace.context import Span
from zespan_serverless.settings import Settings

TRACE, ROOT, CALL = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7", "b7ad6b7169203331"
ENDED = 1_700_000_000.25


class Endpoint:
    """Answers each POST as it is told: with `status`, `headers` and `body`; with 500 if it `fails` at what is sent.

    `requests` are (path, headers, body), the body unpacked.
    """

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {"content-type": "application/json"}
        self.body = b"{}"
        self.fails: Callable[[bytes], bool] = lambda _: False
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers["content-length"]))
                unpacked = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
                endpoint.requests.append((self.path, headers, unpacked))
                self.send_response(500 if endpoint.fails(unpacked) else endpoint.status)
                for name, value in {**endpoint.headers, "content-length": str(len(endpoint.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(endpoint.body)

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing, because the output belongs to the test."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def documents(self) -> list[dict[str, Any]]:
        """Return the requests in JSON, so far."""
        return [json.loads(body) for _, _, body in self.requests]

    def spans(self) -> list[dict[str, Any]]:
        """Return the spans of the requests in JSON, so far."""
        return [span for document in self.documents() for span in spans_in(document)]


def spans_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the spans in a request."""
    return [span for one in document["resourceSpans"] for scope in one["scopeSpans"] for span in scope["spans"]]


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return attributes as OTLP has them in JSON, as a dict."""
    return {one["key"]: _plain(one["value"]) for one in attributes}


def _plain(value: dict[str, Any]) -> Any:
    ((kind, held),) = value.items()
    if kind == "arrayValue":
        return [_plain(one) for one in held.get("values", [])]
    return int(held) if kind == "intValue" else held


def root(**settings: Any) -> Record:
    """Return the record of an invocation."""
    attributes: dict[str, Any] = {"faas.trigger": "http", "faas.coldstart": True, "faas.invocation_id": "r-1"}
    record = Record(Span(TRACE, ROOT, None), resource(**settings), "invocation", "handler", 250.0, attributes, ENDED)
    record.event_id = "e-root"
    return record


def resource(**settings: Any) -> Resource:
    """Return a process on Lambda."""
    made = Resource(Settings(**settings))
    made.attributes = {"cloud.provider": "aws", "cloud.platform": "aws_lambda", "faas.instance": "log-stream"}
    return made


def step(kind: str, name: str, **parts: Any) -> Record:
    """Return the record of a step of a user's."""
    record = Record(Span(TRACE, CALL, ROOT, "u-1", "s-1", {"team": "search"}), resource(), kind, name, 10.0, {}, ENDED)
    record.event_id = "e-step"
    if parts:
        record.step = Step()
        for part, value in parts.items():
            setattr(record.step, part, value)
    return record


def call(**changes: Any) -> Record:
    """Return the record of a model call, streamed, with a cache, reasoning and a tool."""
    span = Span(TRACE, CALL, ROOT, "u-1", "s-1", {"team": "search"})
    span.conversation_id = "c-1"
    record = Record(span, resource(), "llm", "chat", 100.0, ended=ENDED)
    record.event_id = "e-call"
    prompt = Prompt([{"role": "user", "content": "Weather in Paris?"}])
    prompt.system, prompt.digest = "Be brief.", "d1"
    prompt.tools = [{"name": "weather", "description": "Tells the weather"}]
    answer = Answer()
    answer.model, answer.text, answer.finish_reason = "gpt-4o-2024-08-06", "Let me look.", "tool_calls"
    answer.input_tokens, answer.output_tokens, answer.reasoning_tokens = 100, 40, 8
    answer.cached_tokens, answer.cache_write_tokens, answer.known = 64, 16, True
    answer.first_chunk_ms, answer.first_token_ms = 20.0, 25.0
    answer.tool("weather", '{"city": "Paris"}')
    record.model = Model("openai", "gpt-4o", prompt, answer, stream=True)
    record.model.cost = 0.0015
    record.attributes = answer.attributes
    for name, value in changes.items():
        setattr(record, name, value)
    return record
