"""Durable functions: Azure's SDK on Microsoft's worker library, with the host's messages about orchestrations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Protocol

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests import environments
from tests.azure_functions.support import APPS, Answer, Worker
from tests.documentation import PAGES, blocks
from tests.support import SPAN, TRACE, Event, below, calls, roots, until
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=4)

ID = "d1"


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def worker(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One for all tests: the app of the documentation's page, and what apps/durable adds to it."""
    python = environments.installed("azure", "durable")
    (block,) = [each for each in blocks(PAGES["hosts/azure-functions"]) if "DFApp" in each]
    folder = tmp_path_factory.mktemp("durable")
    (folder / "page.py").write_text(block)
    (folder / "function_app.py").write_text((APPS / "durable" / "function_app.py").read_text())
    (folder / "host.json").write_text('{"version": "2.0"}')
    with ModelEndpoint(latency_ms=1) as model:
        env = {"ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_test"}
        env |= {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
        worker = Worker(folder, env=env, python=python)
        yield worker
        worker.close()


class Arrived(Protocol):
    """Waits until so many root events have arrived since the test began, and returns all events since then."""

    def __call__(self, count: int) -> list[Event]: ...


@pytest.fixture
def arrived(backend: Backend) -> Arrived:
    before = len(backend.events)

    def arrived(count: int) -> list[Event]:
        until(lambda: len(roots(backend.events[before:])) >= count)
        return backend.events[before:]

    return arrived


def history(*results: str) -> list[dict[str, Any]]:
    """Return the history of an orchestration whose activities have returned so far."""
    at = {"Timestamp": "2026-11-30T00:00:00.000000Z", "IsPlayed": True}
    events: list[dict[str, Any]] = [
        {"EventType": 12, "EventId": -1, **at},
        {"EventType": 0, "EventId": -1, "Name": "traced", "Version": None, "Input": None, **at},
    ]
    for number, result in enumerate(results):
        events += [
            {"EventType": 4, "EventId": number, "Name": "attempt", **at},
            {"EventType": 13, "EventId": -1, **at},
            {"EventType": 12, "EventId": -1, **at},
            {"EventType": 5, "EventId": -1, "TaskScheduledId": number, "Result": json.dumps(result), **at},
        ]
    return events


def orchestrate(worker: Worker, function: str, *results: str, input: str | None = None) -> dict[str, Any]:
    """Return what an orchestrator answers to the host."""
    body: dict[str, Any] = {
        "history": history(*results),
        "input": input,
        "instanceId": ID,
        "isReplaying": bool(results),
    }
    body |= {"parentInstanceId": None, "upperSchemaVersion": 0}
    answer = worker.invoke(function, {"context": {"string": json.dumps(body)}})
    assert answer.ok, answer.stack
    state: dict[str, Any] = json.loads(answer.body)
    return state


def test_a_replay_has_no_event(worker: Worker, arrived: Arrived) -> None:
    """An orchestrator that is decorated all the same is called as often as without us, and its result is its own."""
    states = [orchestrate(worker, "traced", *results) for results in ((), ("A",), ("A", "B"))]
    assert [(state["isDone"], state.get("output")) for state in states] == [(False, None), (False, None), (True, "AB")]
    assert worker.http("runs").body == "replay: False, replay: True, replay: True"
    worker.invoke("attempt", {"word": {"string": '"last"'}})
    assert [root["operation"] for root in roots(arrived(1))] == ["attempt"]


def test_each_attempt_of_an_activity_is_in_the_trace_of_the_orchestration(worker: Worker, arrived: Arrived) -> None:
    """The host passes it with each attempt; the failed one has the exception, which is the function's own."""
    answers: list[Answer] = [worker.invoke("attempt", {"word": {"string": f'"{word}"'}}) for word in ("fails", "works")]
    assert [answer.ok for answer in answers] == [False, True]
    assert "mine" in str(answers[0].exception)
    assert answers[1].body == '"WORKS"'
    events = arrived(2)
    found = roots(events)
    assert sorted(str(root["metadata"].get("error.type")) for root in found) == ["LookupError", "None"]
    assert {(root["operation"], root["trace_id"], root["parent_span_id"]) for root in found} == {
        ("attempt", TRACE, SPAN)
    }
    assert {root["metadata"]["azure.functions.trigger"] for root in found} == {"activity"}
    assert [len(below(root, events)) for root in found] == [1, 1]


def test_each_operation_of_an_entity_has_an_event(worker: Worker, arrived: Arrived) -> None:
    """A batch of three, of which one raises, with the entity's id; the state is the entity's own."""
    batch = [{"name": name, "input": "null", "isSignal": True} for name in ("add", "fail", "add")]
    body = {"self": {"name": "tally", "key": "k"}, "exists": True, "state": "0", "batch": batch}
    answer = worker.invoke("tally", {"context": {"string": json.dumps(body)}})
    assert answer.ok, answer.stack
    state = json.loads(answer.body)
    assert [result["isError"] for result in state["results"]] == [False, True, False]
    events = arrived(3)
    found = [(root["operation"], root["status"], root["metadata"]["azure.durable.entity.id"]) for root in roots(events)]
    assert sorted(found) == [
        ("tally.add", "success", "@tally@k"),
        ("tally.add", "success", "@tally@k"),
        ("tally.fail", "error", "@tally@k"),
    ]


def test_a_starter_passes_its_trace_to_the_host(worker: Worker, arrived: Arrived) -> None:
    """The page's functions: the starter's event is the parent of what it starts, and the activity's call is traced."""
    headers: list[str] = []

    class Extension(BaseHTTPRequestHandler):
        """The host's endpoint for starters."""

        def do_POST(self) -> None:
            headers.append(str(self.headers["traceparent"]))
            body = json.dumps({"id": ID}).encode()
            self.send_response(202)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Extension) as extension:
        Thread(target=extension.serve_forever, daemon=True).start()
        binding = {"taskHubName": "hub", "creationUrls": {}, "managementUrls": {}}
        binding |= {"rpcBaseUrl": f"http://127.0.0.1:{extension.server_port}/durabletask/"}
        request = {"method": "POST", "url": "https://app.azurewebsites.net/api/reports"}
        answer = worker.invoke("start", {"req": {"http": request}, "client": {"string": json.dumps(binding)}})
        extension.shutdown()
    assert (answer.ok, answer.body) == (True, ID), answer.stack
    (action,) = orchestrate(worker, "report", input='"Hi"')["actions"][0]
    assert action["functionName"] == "summarize"
    assert worker.invoke("summarize", {"text": {"string": '"Hi"'}}).ok
    events = arrived(2)
    start, summarize = sorted(roots(events), key=lambda root: str(root["operation"]))
    assert headers == [f"00-{TRACE}-{start['span_id']}-01"]
    assert [call["parent_span_id"] for call in calls(events)] == [summarize["span_id"]]
