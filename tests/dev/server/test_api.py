"""What the page asks, and is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint
from zespan_serverless_dev.server import DevServer

from tests.dev.server.support import CALL, MS, ROOT, TRACE, ask, event, owner, root, send
from zespan_serverless import init, span, zespan_lambda
from zespan_serverless.testing import LambdaContext


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev


def test_what_the_package_sends_is_shown(dev: DevServer) -> None:
    """An invocation with a step and a model call is a row, a lane and a tree, and its ledger closes."""
    with ModelEndpoint(latency_ms=0) as model, openai.OpenAI(base_url=model.url, api_key="none") as client:
        init(base_url=dev.url, api_key="zsp_local", enabled=True, flush_mode="before_return", journal="off")

        @zespan_lambda
        def handler(event: object, context: object) -> str:
            with span("look up"):
                return str(
                    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])
                )

        handler({}, LambdaContext())
    (row,) = dev.get("invocations")["rows"]
    assert (row["function"], row["status"], row["spans"], row["calls"]) == ("my-function", "ok", 3, 1)
    assert (row["models"], row["tokens"], row["state"]) == (["gpt-4o-mini"], {"input": 12, "output": 5}, "delivered")
    trace = dev.get(f"trace/{row['trace_id']}")
    spans = {one["name"]: one for one in trace["spans"]}
    assert spans["chat"]["parent_span_id"] == spans["look up"]["span_id"]
    assert spans["look up"]["parent_span_id"] == spans["my-function"]["span_id"]
    assert spans["chat"]["input"] == [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    assert spans["chat"]["output"][0]["parts"][0]["content"] == "Hello, serverless world!"
    assert spans["my-function"]["attributes"]["faas.name"] == "my-function"
    summary = dev.get("summary")
    assert summary["ledger"] == {"captured": 3, "delivered": 3, "waiting": 0, "dropped": {}, "lost": 0}
    (sandbox,) = dev.get("sandboxes")["sandboxes"]
    assert (sandbox["function"], sandbox["invocations"], sandbox["cold"], sandbox["told"]) == (
        "my-function",
        1,
        1,
        False,
    )
    arrived = dev.get(f"event/{spans['chat']['event_id']}")
    assert arrived["completion_text"] == "Hello, serverless world!"


def test_times_of_a_span(dev: DevServer) -> None:
    """An event's timestamp is its end; its start is its duration before."""
    send(dev, event(), root())
    spans = {one["span_id"]: one for one in dev.get(f"trace/{TRACE}")["spans"]}
    assert (spans[CALL]["start"], spans[CALL]["end"]) == (MS - 100, MS)
    assert (spans[ROOT]["start"], spans[ROOT]["end"]) == (MS - 250, MS)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("function=shop", 2),
        ("function=other", 0),
        ("status=error", 1),
        ("start=cold", 1),
        ("user=u-1", 1),
        ("session=s-1", 1),
        ("model=gpt-4o-mini", 2),
        ("model=gpt-4o", 0),
        ("text=gr%C3%BC%C3%9Fe", 2),
        ("text=100%25", 1),
        ("text=nowhere", 0),
        ("function=shop&status=ok&text=Hello", 1),
    ],
)
def test_rows_match_all_filters(dev: DevServer, query: str, found: int) -> None:
    """Rows are those that all filters allow; a text is found in whatever way JSON has it."""
    send(dev, event(prompt_text="Grüße"), root())
    second = {"trace_id": "2" * 32, "span_id": "3" * 16}
    failed = root(**second, status="error", user_id="u-1", session_id="s-1", metadata={"start_kind": "warm"})
    send(dev, event(trace_id="2" * 32, parent_span_id="3" * 16, completion_text='Hello: "100%"'), failed)
    answer = dev.get(f"invocations?{query}")
    assert (len(answer["rows"]), answer["total"], answer["searching"]) == (found, found, False)


def test_pages_stay_in_place(dev: DevServer) -> None:
    """With `until`, rows that have come since neither move the others nor are missing from `newer`."""
    for number in range(5):
        send(dev, root(trace_id=f"{number:032x}", timestamp=f"2026-11-29T10:00:0{number}Z"))
    first = dev.get("invocations?limit=2")
    send(dev, root(trace_id="f" * 32, timestamp="2026-11-29T10:00:09Z"))
    second = dev.get(f"invocations?limit=2&offset=2&until={first['until']}")
    assert [row["trace_id"][-1] for row in first["rows"] + second["rows"]] == ["4", "3", "2", "1"]
    assert (second["total"], second["newer"]) == (5, 1)


def test_a_run_compared_with_itself(dev: DevServer) -> None:
    """Each span name of each function has its sums in both runs, and no difference."""
    send(dev, event(), root())
    answer = dev.get("compare?a=current&b=current")
    assert [(row["function"], row["name"]) for row in answer["rows"]] == [
        ("shop", "chat gpt-4o-mini"),
        ("shop", "shop"),
    ]
    call = answer["rows"][0]
    assert (call["a"]["count"], call["a"]["duration_ms"], call["a"]["tokens"]) == (1, 100.0, 17)
    assert set(call["difference"].values()) == {0}


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("trace/none", 404, "no such trace"),
        ("event/none", 404, "no such event"),
        ("lane?sandbox=none", 404, "no such sandbox"),
        ("summary?run=../../etc/passwd", 404, "no such run"),
        ("invocations?limit=-1", 400, "limit must be"),
        ("invocations?until=a", 400, "until must be"),
        ("ledger?state=gone", 400, "state must be one of delivered"),
        ("nothing", 404, "below /api"),
    ],
)
def test_a_wrong_request_is_explained(dev: DevServer, path: str, status: int, says: str) -> None:
    """A request that cannot be answered gets a reason, in JSON."""
    reply = ask(dev, "GET", f"/api/{path}", headers=owner(dev))
    assert reply.status == status
    assert says in reply.json()["error"]


def test_many_at_once(dev: DevServer) -> None:
    """Functions that send at the same time, while others read, lose nothing."""

    def work(number: int) -> None:
        for turn in range(10):
            ids = {"trace_id": f"{number:016x}{turn:016x}"}
            metadata = {"faas.invocation_id": f"{number}-{turn}", "faas.instance": str(number)}
            assert send(dev, event(**ids), root(**ids, metadata=metadata)) == 200
            ledger = dev.get("summary")["ledger"]
            assert ledger["captured"] == ledger["delivered"] >= (turn + 1) * 2

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert dev.get("summary")["events"] == 160
    sandboxes = dev.get("sandboxes")["sandboxes"]
    assert {(one["invocations"], one["ledger"]["delivered"]) for one in sandboxes} == {(10, 20)}


def test_a_connection_is_kept(dev: DevServer) -> None:
    """Requests of one client share a connection, also after a refusal and an answer without a body."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", dev.port, timeout=30)
    statuses = []
    for path, body in [("/v1/ingest", b"no"), ("/v1/lifecycle", b""), ("/v1/ingest", json.dumps(event()).encode())]:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
        assert connection.sock is not None
    connection.close()
    assert statuses == [400, 204, 200]
