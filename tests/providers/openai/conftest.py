"""The two sides of the real client, models on the loopback interface, and what was recorded of them."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any

import openai
import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from zespan_serverless import flush, testing, zespan_lambda

Event = dict[str, Any]
Json = dict[str, Any]


class Side:
    """The sync or the async client, to be used in the same words: what it returns goes through `run`."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._loop = asyncio.new_event_loop()
        self.client = self.connect(url)

    def connect(self, url: str) -> Any:
        kind = openai.OpenAI if self.name == "sync" else openai.AsyncOpenAI
        return kind(base_url=url, api_key="sk-none", max_retries=0)

    def run(self, result: Any) -> Any:
        """Return the result, awaited if it wants to be."""
        return self._loop.run_until_complete(result) if inspect.isawaitable(result) else result

    def ask(self, **more: Any) -> Any:
        """Return what `create` returns for the simplest of requests, or for another."""
        request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], **more}
        return self.run(self.client.chat.completions.create(**request))

    def is_stream(self, value: object) -> bool:
        """Whether it is the client's own stream, not something like it."""
        return type(value) is (openai.Stream if self.name == "sync" else openai.AsyncStream)

    def take(self, stream: Any, count: int = sys.maxsize) -> list[Any]:
        """Return the next chunks of a stream, or all that are left."""
        if self.name == "sync":
            return list(itertools.islice(stream, count))

        async def read() -> list[Any]:
            chunks: list[Any] = []
            while len(chunks) < count:
                try:
                    chunks.append(await anext(stream))
                except StopAsyncIteration:
                    break
            return chunks

        return list(self.run(read()))

    def enter(self, manager: Any) -> Any:
        return manager.__enter__() if self.name == "sync" else self.run(manager.__aenter__())

    def leave(self, manager: Any) -> None:
        if self.name == "sync":
            manager.__exit__(None, None, None)
        else:
            self.run(manager.__aexit__(None, None, None))

    def parse(self, **request: Any) -> Any:
        """`parse`, which was beta before openai 1.92."""
        completions = self.client.chat.completions
        if not hasattr(completions, "parse"):
            completions = self.client.beta.chat.completions
        return self.run(completions.parse(**request))

    def helper(self, **request: Any) -> Any:
        """Return the context manager that `.stream()` returns."""
        completions = self.client.chat.completions
        if not hasattr(completions, "stream"):
            completions = self.client.beta.chat.completions
        return completions.stream(**request)

    def close(self) -> None:
        self.run(self.client.close())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class Recorded:
    """The events of one test."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def all(self) -> list[Event]:
        flush(5)
        return list(self._events)

    def calls(self) -> list[Event]:
        """Return those of model calls, without invocations and spans."""
        return [event for event in self.all() if event["span_kind"] == "llm"]

    def one(self) -> Event:
        """Return the one event of the one call made."""
        (event,) = self.calls()
        return event


class Scripted:
    """A model that says exactly what a test gives it: a completion, the chunks of a stream, or an error's status.

    `replies` are given one after the other, and the last one again and again. Between chunks it waits `pace` seconds;
    `hung_up` is set when the client leaves before the end of a stream.
    """

    def __init__(self) -> None:
        self.replies: list[Any] = []
        self.pace = 0.0
        self.hung_up = threading.Event()
        self.bodies: list[Json] = []
        self._server = _Server(("127.0.0.1", 0), partial(_Connection, self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @staticmethod
    def completion(content: str | None = "Hello", **more: Any) -> Json:
        """Return a completion; `more` goes into the message."""
        choice = {"index": 0, "message": {"role": "assistant", "content": content, **more}, "finish_reason": "stop"}
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "choices": [choice]}

    @staticmethod
    def chunk(content: str | None = None, *, index: int = 0, finish: str | None = None, **more: Any) -> Json:
        """Return a chunk; `more` goes into the delta."""
        choice = {"index": index, "delta": {"content": content, **more}, "finish_reason": finish}
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini", "choices": [choice]}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that goes away is what some tests are about
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, model: Scripted, *args: Any) -> None:
        self._model = model
        super().__init__(*args)

    def do_POST(self) -> None:
        model = self._model
        model.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        reply = model.replies.pop(0) if len(model.replies) > 1 else model.replies[0]
        if isinstance(reply, int):
            self._answer(reply, {"error": {"message": f"made-up error {reply}"}})
        elif isinstance(reply, dict):
            self._answer(200, reply)
        else:
            try:
                self._stream(reply)
            except OSError:
                model.hung_up.set()
                raise

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: a test's output is the test's."""

    def _answer(self, status: int, document: Json) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after-ms", "1")  # for clients that retry
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, chunks: Iterable[Json | str]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            data = f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk)}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            time.sleep(self._model.pace)
        self.wfile.write(b"0\r\n\r\n")


@pytest.fixture(scope="session")
def model() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(latency_ms=0) as model:
        yield model


@pytest.fixture(scope="session", params=["sync", "async"])
def _side(request: pytest.FixtureRequest, model: ModelEndpoint) -> Iterator[Side]:
    side = Side(request.param, model.url)
    yield side
    side.close()


@pytest.fixture
def side(_side: Side, model: ModelEndpoint) -> Iterator[Side]:
    """Each test that asks for it runs twice: with `openai.OpenAI` and with `openai.AsyncOpenAI`."""
    client = _side.client
    yield _side
    if _side.client is not client:
        _side.run(_side.client.close())
        _side.client = client


@pytest.fixture
def scripted(side: Side) -> Iterator[Scripted]:
    """The side's client then talks to this model."""
    model = Scripted()
    side.client = side.connect(model.url)
    yield model
    model.close()


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with testing.recording() as events:
        yield Recorded(events)


@pytest.fixture
def invoke() -> Callable[[Callable[[], Any]], Any]:
    """Calls a function inside an invocation of a Lambda function, and returns what it returns."""

    def invoke(body: Callable[[], Any]) -> Any:
        @zespan_lambda
        def handler(event: object, context: object) -> Any:
            return body()

        return handler({}, testing.LambdaContext())

    return invoke
