"""Python Workers: CPython in WebAssembly (Pyodide in Node), with Cloudflare's own SDK; see host.mjs."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests import environments
from tests.documentation import PAGES, blocks
from tests.hosts import Cell, Situation
from tests.support import ROOT, TRACE, Answer, Event, Served, below, calls, roots, until
from zespan_serverless.testing import Backend

pytestmark = [
    pytest.mark.host(seconds=4),
    pytest.mark.skipif(not shutil.which("node"), reason="the Worker runs on Node"),
]

EACH = 5
HOST = "Cloudflare Workers"
PATHS: dict[str, Situation] = {
    "/": "async",
    "/stream": "stream",
    "/later": "async",
    "/@Untraced": "async",
    "/@Wsgi": "sync",
}
"""What is not to wait for the backend, and which function of the table it is."""
WAIT_UNTIL = 30.0
"""Seconds that Cloudflare gives to what follows the response."""
HERE = Path(__file__).parent
_numbers = itertools.count()


class Worker(Served):
    """An isolate with the Worker of worker.py, and the backend that it sends to."""

    def __init__(self, backend: Backend, model: ModelEndpoint, pages: Path) -> None:
        python = environments.installed("cloudflare", "worker")
        (packages,) = python.parents[1].glob("lib/python*/site-packages")
        self._seen = 0
        self.backend, port = backend, 19_000 + (os.getpid() * 101 + next(_numbers)) % 6_000
        command = ["node", "--experimental-wasm-stack-switching", str(HERE / "host.mjs"), str(port)]
        for number, block in enumerate(blocks(PAGES["hosts/cloudflare"])):
            (pages / f"page_{number}.py").write_text(block)
        folders = [str(python.parents[1] / "node_modules"), "worker", *map(str, (HERE, packages, pages, ROOT))]
        folders += [str(ROOT / "examples" / "cloudflare" / "src"), str(python.parents[1] / "wasm")]
        variables = {"CF_ZESPAN_BASE_URL": backend.url, "CF_ZESPAN_API_KEY": "zespan-key", "PATH": os.environ["PATH"]}
        variables |= {"CF_CARBON_API_KEY": "carbon-key", "CF_OTEL_EXPORTER_OTLP_HEADERS": "x-own=otlp-key"}
        variables |= {"CF_OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
        variables |= {"CF_OPENAI_BASE_URL": model.url, "CF_OPENAI_API_KEY": "none"}
        super().__init__([*command, *folders], port, HERE, variables)
        until(self.listens, 100)

    def listens(self) -> bool:
        """Whether the Worker's module is imported."""
        assert self._process.poll() is None, self.log
        return "imported in" in self.log

    def events(self) -> list[Event]:
        """Return the events that the backend has when no request is under way, since the last call."""
        self.ask("/__idle")
        seen, self._seen = self._seen, len(self.backend.events)
        return self.backend.events[seen : self._seen]

    def counters(self) -> tuple[int, int, int, int]:
        """Return how many events were captured, delivered, are pending, and were dropped."""
        captured, delivered, pending, dropped = json.loads(self.ask("/@Counters").body)
        return captured, delivered, pending, dropped


@pytest.fixture(scope="module")
def isolate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One for all tests, because its start takes seconds."""
    pages = tmp_path_factory.mktemp("pages")
    with Backend() as backend, ModelEndpoint(latency_ms=1) as model, Worker(backend, model, pages) as worker:
        yield worker


@pytest.fixture
def worker(isolate: Worker) -> Worker:
    """The Worker, whose backend has no events and is well."""
    isolate.backend.mode = "ok"
    isolate.events()
    return isolate


def test_nothing_is_lost(worker: Worker, cell: Cell) -> None:
    """Several requests of each kind, four at a time: each has its root event, and what is below it."""
    paths = {
        "/": "GET /",
        "/stream": "GET /stream",
        "/exception": "GET /exception",
        "/later": "GET /later",
        "/__scheduled": "scheduled */5 * * * *",
        "/__queue": "queue jobs",
        "/__call/Counter/increment": "Counter.increment",
        "/@Untraced": "GET /@Untraced",
        "/@Wsgi": "GET /@Wsgi",
    }
    with ThreadPoolExecutor(4) as pool:
        answers: list[Answer] = list(pool.map(worker.ask, [path for path in paths for _ in range(EACH)]))
    assert sorted({answer.status for answer in answers}) == [200, 201, 500]
    events = worker.events()
    for path, operation in paths.items():
        found = [root for root in roots(events) if root["operation"] == operation]
        steps = [len(below(root, events)) for root in found]
        assert steps == [2 if path in ("/stream", "/later") else 1] * EACH, operation
    captured, delivered, pending, dropped = worker.counters()
    assert (captured, pending, dropped) == (delivered, 0, 0)
    cell(HOST, "concurrent", f"Everything of {len(answers)} calls arrives, four at a time, each in its own trace.")
    ends = "Workers get no signal. What is in memory when Cloudflare ends an isolate is lost."
    cell(HOST, "SIGTERM", ends, stopped="there is none")


def test_a_request_is_in_its_callers_trace(worker: Worker) -> None:
    """The event says what Cloudflare says of the request."""
    worker.ask("/?key=secret", traceparent=f"00-{TRACE}-b7ad6b7169203331-01", cf_ray="8f0a1b2c3d4e5f60-FRA")
    (root,) = roots(worker.events())
    assert (root["trace_id"], root["parent_span_id"]) == (TRACE, "b7ad6b7169203331")
    said = {name: root["metadata"].get(name) for name in ("url.path", "cloudflare.ray_id", "cloudflare.colo")}
    assert said == {"url.path": "/", "cloudflare.ray_id": "8f0a1b2c3d4e5f60", "cloudflare.colo": "FRA"}
    assert root["metadata"]["cloud.platform"] == "cloudflare.workers"


@pytest.mark.parametrize(
    ("path", "status", "error"), [("/exception", 500, "ValueError"), ("/unavailable", 503, "503"), ("/", 200, None)]
)
def test_a_failure_is_the_workers_own(worker: Worker, path: str, status: int, error: str | None, cell: Cell) -> None:
    """The platform gets the exception or the response, and the event has the error."""
    assert worker.ask(path).status == status
    (root,) = roots(worker.events())
    assert (root["status"], root["metadata"].get("error.type")) == ("error" if error else "success", error)
    if path == "/exception":
        cell(HOST, "exception", "Everything arrives, with type and text; the platform gets the exception.")


@pytest.mark.parametrize("path", ["/stream", "/subclass"])
def test_a_stream_passes_through(worker: Worker, path: str) -> None:
    """Its bytes, its status and its headers; its event ends with it, and has the steps that were made meanwhile."""
    answer = worker.ask(path)
    assert (answer.status, answer.body, answer.headers["x-own"]) == (201, b"data: 0\n\ndata: 1\n\ndata: 2\n\n", "kept")
    events = worker.events()
    (root,) = roots(events)
    assert {step["operation"] for step in below(root, events)} == {"work", "in the stream"}
    assert root["latency_ms"] >= sum(step["latency_ms"] for step in below(root, events)) > 0


@pytest.mark.parametrize("path", PATHS)
def test_no_response_waits_for_the_backend(worker: Worker, path: str, cell: Cell) -> None:
    """A backend that does not answer holds up what comes after the response, not the response."""
    earlier = len(worker.backend.requests)
    worker.backend.mode = "hang"
    assert worker.ask(path).body
    until(lambda: len(worker.backend.requests) > earlier)
    worker.backend.mode = "ok"
    assert roots(worker.events())
    kinds = {
        "sync": "WSGI: everything",
        "async": "On Pyodide under Node, not on Cloudflare's workerd, everything",
        "stream": "Each piece passes at once; everything",
    }
    what = f"{kinds[PATHS[path]]} arrives after the response, which does not wait for the backend."
    cell(HOST, PATHS[path], what, sent="after the response", later="it does not wait")


def test_a_backend_that_hangs_ends_the_flush(worker: Worker, cell: Cell) -> None:
    """What follows the response is over long before Cloudflare would end it; the events wait for the next request."""
    worker.backend.mode = "hang"
    began = time.monotonic()
    assert worker.ask("/").body == b"answer"
    worker.ask("/__idle")
    took = time.monotonic() - began
    assert took < WAIT_UNTIL - 10
    worker.backend.mode = "ok"
    deliver_everything(worker)
    ended = f"With a hung backend `waitUntil` ended after {took:.1f} of 30 s; everything arrives with a later request."
    cell(HOST, "deadline", ended)


def deliver_everything(worker: Worker) -> None:
    """Make requests until the breaker lets one through, 5 s after the last failure."""

    def all_is_delivered() -> bool:
        worker.ask("/__call/Counter/increment")
        worker.ask("/__idle")
        return worker.counters()[2] == 0

    until(all_is_delivered, 60)


def test_events_outlast_an_outage(worker: Worker, cell: Cell) -> None:
    """Responses stay the same, and later requests deliver what earlier ones could not."""
    worker.backend.mode = 503
    assert [worker.ask("/").body for _ in range(5)] == [b"answer"] * 5
    worker.ask("/__idle")
    assert worker.counters()[2] == 10
    worker.backend.mode = "ok"
    deliver_everything(worker)
    assert len([root for root in roots(worker.events()) if root["operation"] == "GET /"]) == 5
    outage = "Everything arrives with the next requests of the isolate once it is back; no response waits."
    cell(HOST, "dead backend", outage, outage="kept, then sent")


def test_a_setting_that_workers_cannot_have_costs_no_event(worker: Worker) -> None:
    """There is no journal, which the log says."""
    assert worker.ask("/@Journal").body == b"None"
    assert "journal-unsupported" in worker.log


def test_a_flush_by_hand_waits(worker: Worker) -> None:
    """`flush()` in a handler suspends the request until the events are delivered."""
    assert b"delivered=1, dropped=0" in worker.ask("/flush").body


def test_a_full_batch_does_not_wait_for_the_end(worker: Worker) -> None:
    """More events than a batch holds are sent in several requests."""
    worker.ask("/many")
    assert len(worker.events()) == 122


def test_the_classes_of_the_page_are_traced(worker: Worker) -> None:
    """The entrypoint and the Durable Object have an event for each call."""
    assert worker.ask("/@Page").body == b"hello"
    for path in ("/__call/Page/scheduled/controller/env/ctx", "/__call/Conversation/ask/why"):
        assert worker.ask(path).status == 200
    assert [root["operation"] for root in roots(worker.events())] == [
        "GET /@Page",
        "Default.scheduled",
        "Conversation.ask",
    ]


def test_the_example_traces_its_model_calls(worker: Worker) -> None:
    """Streamed and not: openai's own client runs in WebAssembly, and its calls are below the request's event."""
    answer = worker.ask("/@Example", {"prompt": "Hi", "user": "ada"})
    assert answer.body.startswith(b"data: ")
    assert worker.ask("/__scheduled/Example").status == 200
    events = worker.events()
    assert [(call["model"], call["stream"], call["user_id"]) for call in calls(events)] == [
        ("gpt-4o", True, "ada"),
        ("gpt-4o", False, None),
    ]
    assert all(call["output_tokens"] for call in calls(events))
    assert [below(root, events) for root in roots(events)] == [[call] for call in calls(events)]


@pytest.mark.parametrize(
    ("exporter", "path", "header"),
    [
        ("zespan", "/v1/ingest", "x-api-key"),
        ("carbon", "/v1/ingest-events", "authorization"),
        ("otlp", "/v1/traces", "x-own"),
    ],
)
def test_every_format_is_sent_by_fetch(worker: Worker, exporter: str, path: str, header: str) -> None:
    """The backend accepts the request, which has the key, or the header, that a variable of the Worker has."""
    assert worker.ask("/@Formats", x_exporter=exporter).body == b"delivered"
    request = worker.backend.requests[-1]
    assert (request.path, request.headers[header].rpartition(" ")[2]) == (path, f"{exporter}-key")


def test_an_answer_that_is_no_success_is_an_outcome(worker: Worker) -> None:
    """As with threads: a refused key, a refused event, a server that asks to wait, a connection that ends."""
    seen = []
    modes: list[Any] = [401, 422, 429, "drop", "ok"]
    for mode in modes:
        worker.backend.mode = mode
        seen.append(worker.ask("/@Formats", x_exporter="zespan").body.decode())
    assert seen == ["unauthorized", "refused", "retry", "Internal Server Error", "delivered"]


def test_before_return_holds_the_response(worker: Worker) -> None:
    """With this setting the backend has the events when the client has the answer."""
    try:
        assert worker.ask("/@Waiting").body == b"answer"
        assert "GET /@Waiting" in [root["operation"] for root in roots(worker.backend.events)]
    finally:
        worker.counters()  # turns it off
