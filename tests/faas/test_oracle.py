"""`@zespan_oracle` in fdk's own server, which its platform pauses as soon as it has a response."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.faas.support import Fn, trace, traceparent, variables
from tests.hosts import Cell, Situation
from tests.support import SPAN, TRACE, TRACEPARENT, below, calls, roots
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=2)

HOST = "Oracle Functions"
KINDS = {"json": 200, "text": 200, "503": 200, "fails": 502}  # of requests, and the status that Fn gets
TEXT = {"kind": "text"}


@pytest.fixture(scope="module", params=["sync", "coroutine"])
def function(request: pytest.FixtureRequest, ingest: Backend, model: ModelEndpoint) -> Iterator[Fn]:
    """A function in fdk's server, whose flushes may take far longer than a call, and leave a call 1.5 s."""
    before = len(ingest.events)
    env = variables(ingest, model.url, ZESPAN_FLUSH_TIMEOUT="25", ZESPAN_FLUSH_RESERVE="1.5")
    with Fn(request.param, env) as function:
        assert function.call({"kind": "json"}, {"traceparent": TRACEPARENT}).status == 200  # which imports the function
        assert len(ingest.events) == before + 2
        yield function


def test_no_event_is_lost_when_a_container_is_paused(function: Fn, ingest: Backend, cell: Cell) -> None:
    """A process that is stopped as soon as each response is complete has sent every event by then: in the caller's
    trace, with the status, the error, the call and the function."""
    before, statuses = len(ingest.events), []
    for number, kind in enumerate(KINDS):
        statuses.append(function.call({"kind": kind}, {"traceparent": traceparent(number)}).status)
        function.freeze()
        assert len(ingest.events) == before + 2 * (number + 1)
        function.thaw()
    assert statuses == list(KINDS.values())
    events = ingest.events[before:]
    found = {root["trace_id"]: root for root in roots(events) if len(below(root, calls(events))) == 1}
    seen = [found[trace(number)] for number in range(len(KINDS))]
    assert [root["status"] for root in seen] == ["success", "success", "error", "error"]
    assert [root["metadata"].get("error.type") for root in seen] == [None, None, "503", "LookupError"]
    first = seen[0]["metadata"]
    assert (first["faas.name"], first["faas.invocation_id"], first["faas.trigger"]) == ("chat", "call-1", "http")
    assert (first["http.request.method"], first["url.path"]) == ("POST", "/chat")
    assert (first["cloud.provider"], first["cloud.region"]) == ("oracle_cloud", "eu-frankfurt-1")
    assert (first["cloud.resource_id"], first["faas.max_memory"]) == ("ocid1.fnfunc.oc1..f", 256 * 1024**2)
    assert 0 < first["time_left_at_start_ms"] <= 60_000
    situation: Situation = "sync" if function.entrypoint == "sync" else "async"
    seen_here = "Everything arrives before the response."
    cell(HOST, situation, seen_here, sent="before the response", later="the round trip to the backend")
    cell(HOST, "exception", "Everything arrives, with type and text, before fdk answers with 502.")
    cell(HOST, "stream", "fdk sends whole responses.")
    cell(HOST, "concurrent", "A container has one call at a time.")


def test_the_trace_of_a_call(function: Fn, ingest: Backend) -> None:
    """Without `traceparent`, the trace is that of Oracle's own tracing; odd headers are no trace."""
    before = len(ingest.events)
    b3 = {"x-b3-traceid": TRACE[16:], "x-b3-spanid": SPAN, "x-b3-sampled": "0"}
    function.call(TEXT, b3)
    function.call(TEXT, {**b3, "x-b3-traceid": "zz"}, gateway=False)
    function.call(TEXT, {**b3, "traceparent": TRACEPARENT}, gateway=False)
    first, second, third = roots(ingest.events[before:])
    assert (first["trace_id"], first["parent_span_id"]) == ("0" * 16 + TRACE[16:], SPAN)
    assert first["metadata"]["trace.sampled_by_caller"] is False
    assert second["parent_span_id"] is None
    assert (second["metadata"]["faas.trigger"], third["trace_id"]) == ("other", TRACE)


def test_a_call_keeps_its_deadline(function: Fn, ingest: Backend, cell: Cell) -> None:
    """If the backend hangs, the response leaves before the deadline, although a flush may take far longer; the events
    arrive with the next call."""
    before = len(ingest.events)
    ingest.mode = "hang"
    answer = function.call(TEXT, seconds=3)
    ingest.mode = "ok"
    assert (answer.status, answer.body) == (200, b"Hello")
    assert answer.seconds < 3
    assert function.call(TEXT).status == 200
    assert len(roots(ingest.events[before:])) == 2
    cell(HOST, "deadline", "The flush ends `flush_reserve` before it; everything arrives with the next call.")
    seen = "Everything arrives once it is back; a response waits for `flush_timeout`, but not beyond the deadline."
    cell(HOST, "dead backend", seen, outage="kept, then sent; responses wait, within the deadline")


def test_sigterm(ingest: Backend, model: ModelEndpoint, cell: Cell) -> None:
    """What the backend did not take is sent at the end, and fdk ends as it does without the package."""
    before = len(ingest.events)
    traced = Fn("sync", variables(ingest, model.url, ZESPAN_FLUSH_TIMEOUT="0.1"))
    bare = Fn("sync", variables(ingest, model.url, HOW="none"))
    with traced, bare:
        ingest.mode = "refuse"
        assert [one.call(TEXT).status for one in (traced, bare)] == [200, 200]
        assert len(ingest.events) == before
        ingest.mode = "ok"
        for one in (traced, bare):
            one.terminate()
        assert [one.wait().code for one in (traced, bare)] == [0, 0]
    events = ingest.events[before:]
    assert (len(roots(events)), len(calls(events))) == (1, 1)
    cell(HOST, "SIGTERM", "Everything is sent. Exit 0, as without the package.", stopped="everything is sent")
