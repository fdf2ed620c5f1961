"""docs/extend/: its examples run over real HTTP, and what they make passes the tests that the pages name."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.documentation import PAGES, blocks, run
from tests.providers.endpoint import Endpoint, Json, Reply, serving, whole
from tests.support import TRACE, TRACEPARENT
from zespan_serverless import capture, flush, init, testing, zespan_lambda
from zespan_serverless.exporters import Exporter

MESSAGES = [{"role": "user", "content": "Hi"}]
ANSWER: Json = {"text": "Hello.", "stop": "end", "model": "acme-1-mini", "tokens_in": 3, "tokens_out": 2, "usd": 0.0002}


def page(name: str, *numbers: int) -> SimpleNamespace:
    """The module that these blocks of a page are together."""
    found = blocks(PAGES[f"extend/{name}"])
    return run("\n".join(found[number] for number in numbers))


def test_each_block_of_these_pages_is_run_here() -> None:
    """A new example needs a new test."""
    counts = {name: len(blocks(text)) for name, text in PAGES.items() if name.startswith("extend/")}
    assert counts == {"extend/exporter": 4, "extend/host": 4, "extend/provider": 4}


# ---------------------------------------------------------------------- an exporter


def test_the_shortest_exporter_writes_every_event_to_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One method is enough."""
    monkeypatch.chdir(tmp_path)
    page("exporter", 0)
    capture({"operation": "mine"})
    assert flush(5).delivered == 1
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["operation"] == "mine"


@pytest.mark.slow
def test_the_exporter_over_http_passes_the_contract() -> None:
    """The lines of the page, and the tests below them, are right as they stand."""
    tests = page("exporter", 1, 3).TestMine
    names = [name for name in dir(tests) if name.startswith("test_")]
    assert len(names) > 10
    for name in names:
        test = tests()
        test.setup_method()
        getattr(test, name)()
        test.teardown_method()


def test_an_exporter_sends_in_the_words_of_its_backend() -> None:
    """`encode` decides about an event; a real server gets it, with the model's tokens and price."""
    spans = page("exporter", 1, 2).Spans
    with testing.Backend(decode=json.loads) as backend, ModelEndpoint(latency_ms=0) as model:
        from openai import OpenAI

        with OpenAI(base_url=model.url, api_key="k") as client, init(exporter=spans(backend.url, "k")):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)  # type: ignore[arg-type]
            assert flush(5).delivered == 1
        assert {request.headers["authorization"] for request in backend.requests} == {"Bearer k"}
    (span,) = backend.events
    assert (span["kind"], span["model"], span["tokens"], span["failed"]) == ("llm", "gpt-4o", [12, 5], False)
    assert span["usd"] > 0


def test_the_page_lists_each_method_of_an_exporter() -> None:
    """A method that is added to the class is missing on the page until it has its row."""
    listed = set(re.findall(r"^\| `(\w+)\(", PAGES["extend/exporter"], re.MULTILINE))
    assert listed - {"Outcome"} == {
        name for name, value in vars(Exporter).items() if callable(value) and name[0] != "_"
    }


# ---------------------------------------------------------------------- a host


class Platform:
    """The platform Acme: calls a function for each request over HTTP."""

    def __init__(self, function: Any, seconds: float = 10.0) -> None:
        self.returned: list[float] = []
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                ends = time.monotonic() + seconds
                left = SimpleNamespace(seconds_left=lambda: ends - time.monotonic(), function_name="answer")
                left.request_id = self.headers["x-request-id"]
                answer = function(SimpleNamespace(headers=self.headers, body=body), left)
                platform.returned.append(time.time())
                self.send_response(answer["status"])
                self.send_header("content-length", str(len(answer["body"])))
                self.end_headers()
                self.wfile.write(answer["body"].encode())

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Platform:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_the_decorator_for_another_host_delivers_before_the_process_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace is the caller's, has the model call, and is with the backend when the function returns."""
    with testing.Backend() as backend, ModelEndpoint(latency_ms=0) as model:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        monkeypatch.setenv("ZESPAN_API_KEY", "zsp_k")
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        module = page("host", 0, 1)
        with Platform(module.answer) as platform:
            headers = {"traceparent": TRACEPARENT, "x-request-id": "r1"}
            response = httpx.post(platform.url, content="Hi", headers=headers)
            arrived = len(backend.events)
        module.client.close()
    assert (response.status_code, response.text) == (200, "Hello, serverless world!")
    assert arrived == 2
    call, root = backend.events
    assert (root["trace_id"], call["parent_span_id"]) == (TRACE, root["span_id"])
    assert root["metadata"]["faas.invocation_id"] == "r1"
    assert (root["metadata"]["cloud.provider"], root["metadata"]["http.response.status_code"]) == ("acme", 200)


def test_a_host_with_a_hook_after_the_response_flushes_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hook delivers; of a backend that is unavailable it says how many events wait."""
    hook = page("host", 2).after_response
    context = SimpleNamespace(seconds_left=lambda: 5.0)
    with testing.Backend() as backend, init(base_url=backend.url, api_key="zsp_k"):
        capture({"operation": "one"})
        hook(context)
        assert len(backend.events) == 1
        backend.mode = "refuse"
        capture({"operation": "two"})
        hook(context)
        assert capsys.readouterr().out == "1 events wait for the next invocation\n"
        backend.mode = "ok"


def test_the_test_of_the_page_passes() -> None:
    """Without a platform, with the fixture's list."""
    module = page("host", 0, 3)
    with testing.recording() as events:
        module.test_the_invocation_is_traced(events)


# ---------------------------------------------------------------------- a provider


def _reply(path: str, request: Json) -> Reply:
    if not request.get("stream"):
        return whole({**ANSWER, "text": "broken"}, 500) if request["messages"] == [] else whole(ANSWER)
    pieces: list[Json] = [{"text": "Hel"}, {"text": "lo."}, {"tokens_in": 3, "tokens_out": 2}]
    return 200, {"content-type": "application/x-ndjson"}, [json.dumps(piece).encode() + b"\n" for piece in pieces]


@pytest.fixture
def server() -> Iterator[Endpoint]:
    with serving(_reply) as endpoint:
        yield endpoint


def test_calls_of_a_custom_client_are_events(server: Endpoint) -> None:
    """An answer, a stream, a stream that is left, and a refusal: the user's result, and one event each."""
    acme = page("provider", 0).Acme(server.url)

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        assert acme.chat(MESSAGES) == "Hello."
        assert "".join(acme.stream(MESSAGES)) == "Hello."
        for _ in acme.stream(MESSAGES):
            break
        with pytest.raises(httpx.HTTPStatusError):
            acme.chat([])

    with testing.recording() as events:
        handler({}, testing.LambdaContext())
    acme._http.close()
    answer, streamed, left, refused, root = events
    assert {event["parent_span_id"] for event in events[:-1]} == {root["span_id"]}
    assert [event["completion_text"] for event in (answer, streamed, left)] == ["Hello.", "Hello.", "Hel"]
    assert (answer["model"], answer["finish_reason"], answer["cost_usd"]) == ("acme-1-mini", "end", 0.0002)
    assert [event["stream"] for event in (answer, streamed, left)] == [False, True, True]
    assert [event["input_tokens"] for event in (answer, streamed, left)] == [3, 3, None]
    assert (refused["status"], left["status"]) == ("error", "success")


def test_a_client_that_cannot_be_changed_is_patched_once(server: Endpoint) -> None:
    """The result is the client's own, and a second patch adds no second event."""

    class Client:
        def _post(self, path: str, body: Json) -> Any:
            return httpx.post(server.url + path, json=body).json()

    trace_acme = page("provider", 1).trace_acme
    trace_acme(Client)
    trace_acme(Client)
    with testing.recording() as events, init():
        assert Client()._post("/generate", {"model": "acme-1", "messages": MESSAGES}) == ANSWER
        Client()._post("/models", {"messages": MESSAGES})
        flush(5)
    (call,) = events
    assert (call["provider"], call["model"], call["output_tokens"]) == ("acme", "acme-1-mini", 2)


def test_usage_that_is_known_later_is_an_event() -> None:
    """With the cost that it names."""
    with testing.recording() as events, init():
        page("provider", 2).fetched([ANSWER])
        flush(5)
    assert [(event["span_kind"], event["cost_usd"], event["completion_text"]) for event in events] == [
        ("llm", 0.0002, "Hello.")
    ]


def test_the_test_of_a_client_passes(server: Endpoint) -> None:
    """As it stands on the page."""
    module = page("provider", 0, 3)
    with testing.recording() as events, init():
        acme = module.Acme(server.url)
        pending = _Flushed(events)
        module.test_a_call_is_one_event(pending, acme)
        acme._http.close()


class _Flushed(list[Any]):
    """The fixture's list, which flushes when it is read."""

    def __init__(self, events: Any) -> None:
        super().__init__()
        self._events = events

    def __iter__(self) -> Iterator[Any]:
        flush(5)
        return iter(self._events)
