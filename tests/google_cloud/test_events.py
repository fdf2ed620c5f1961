"""Functions that events trigger, on the functions framework; and what every known event and header is read as."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.google_cloud.support import Function
from tests.hosts import Cell, Situation, later
from tests.support import SPAN, TRACE, TRACEPARENT, below, roots
from zespan_serverless import testing
from zespan_serverless._platforms import google
from zespan_serverless._trace import Caller
from zespan_serverless.google_cloud import FunctionHost
from zespan_serverless.testing import Backend

Start = Callable[..., Function]

HOST = "Google event functions"
PAYLOADS = Path(__file__).parents[1] / "events" / "google_cloud"
FILES = sorted(file for file in PAYLOADS.glob("*.json") if file.name != "index.json")
INDEX: dict[str, Any] = json.loads((PAYLOADS / "index.json").read_text())
REQUESTS: dict[str, Any] = {file.stem: json.loads(file.read_text()) for file in FILES}
CE = {"ce-specversion": "1.0", "ce-type": "com.example.made", "ce-source": "//example.com", "ce-id": "7"}
SOURCES = {"chat": "sync.py"}


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[[str], tuple[Function, Backend]]]:
    """served(target): a function, started when it is first asked for, and the backend of all of them."""
    with ExitStack() as stack:
        backend = stack.enter_context(Backend())
        functions: dict[str, Function] = {}

        def serve(target: str) -> tuple[Function, Backend]:
            if target not in functions:
                env = {"ZESPAN_BASE_URL": backend.url}
                if target == "on_background":
                    env["FUNCTION_SIGNATURE_TYPE"] = "event"
                functions[target] = stack.enter_context(Function(target, SOURCES.get(target, "events.py"), env))
            return functions[target], backend

        yield serve


def send(function: Function, request: dict[str, Any]) -> int:
    body = request["body"]
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return function.ask(request["path"], data, **request["headers"]).status


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_every_example_is_understood(name: str, served: Callable[[str], tuple[Function, Backend]]) -> None:
    """Each request in the library has a source, is answered, and its root event says what its entry does."""
    expected = INDEX[name]
    assert expected["source"].startswith("https://")
    function, backend = served(expected["target"])
    before = len(backend.events)
    assert send(function, REQUESTS[name]) == 200
    events = backend.events[before:]
    (root,) = roots(events)
    about = root["metadata"]
    assert root["status"] == "success"  # a function that returns nothing, as those for events do, has not failed
    assert about["faas.trigger"] == expected["trigger"]
    assert {key: about.get(key) for key in expected["attributes"]} == expected["attributes"]
    assert [root["trace_id"], root["parent_span_id"]] == expected.get("parent", [root["trace_id"], None])
    assert about["cloud.platform"] == "gcp_cloud_functions"
    assert len(about["faas.invocation_id"]) == 12
    assert root["operation"] == "chat"
    if expected["target"] != "chat":
        assert [step["operation"] for step in below(root, events)] == ["work"]


def test_the_index_is_complete() -> None:
    """Every entry has its file, and there are all kinds of triggers among them."""
    assert sorted(INDEX) == sorted(REQUESTS)
    assert {entry["trigger"] for entry in INDEX.values()} == {"http", "pubsub", "datasource", "timer", "other"}


def test_trace_of_an_events_last_hop_is_a_link(served: Callable[[str], tuple[Function, Backend]]) -> None:
    """The event's own trace is continued; that of its last hop, in the headers, is linked, or the parent if alone."""
    function, backend = served("on_event")
    before, hop = len(backend.events), f"00-{'a' * 32}-{'b' * 16}-01"
    function.ask("/", {}, **CE, **{"ce-traceparent": TRACEPARENT}, traceparent=hop)
    function.ask("/", {}, **CE, traceparent=hop)
    first, second = roots(backend.events[before:])
    assert (first["trace_id"], first["parent_span_id"]) == (TRACE, SPAN)
    assert first["metadata"]["links"] == [{"type": "delivery", "trace_id": "a" * 32, "span_id": "b" * 16}]
    assert (second["trace_id"], second["parent_span_id"], "links" in second["metadata"]) == ("a" * 32, "b" * 16, False)


@pytest.mark.parametrize("target", ["on_event", "on_event_async"])
def test_event_function_has_delivered_when_it_is_acknowledged(
    target: str, served: Callable[[str], tuple[Function, Backend]], start: Start, cell: Cell
) -> None:
    """Sync and async: when the framework has its OK, the backend has the events; a failure is the function's own."""
    function, backend = served(target)
    before = len(backend.events)
    assert function.ask("/", {"pieces": 1}, **CE, **{"ce-traceparent": TRACEPARENT}).body == b"OK"
    assert function.ask("/", {"fail": True}, **CE).status == 500
    step, root, failed_step, failed = backend.events[before:]
    assert below(root, [step]) == [step]
    assert (root["trace_id"], root["parent_span_id"], root["status"]) == (TRACE, SPAN, "success")
    assert (failed["status"], failed["error_message"], failed_step["status"]) == ("error", "boom", "error")
    off = start(target, "events.py", ZESPAN_ENABLED="0")

    def ms() -> float:
        took = {}
        for name, one in (("ours", function), ("theirs", off)):
            took[name] = sorted(one.ask("/", {"pieces": 1}, **CE).seconds for _ in range(9))[4]
        return (took["ours"] - took["theirs"]) * 1000

    off.ask("/", {"pieces": 1}, **CE)
    seen = f"Everything arrives before the OK, which is {later(ms())} later."
    situation: Situation = "async" if target.endswith("async") else "sync"
    cell(HOST, situation, seen, sent="before the response ends", later="the round trip to the backend")
    cell(HOST, "exception", "Everything arrives, with type and text; the status is as without the package.")
    cell(HOST, "stream", "The response of an event function has no body.")


def test_concurrent_events_continue_their_own_traces(start: Start, backend: Backend, cell: Cell) -> None:
    """Each continues its own producer's trace, with its own step below it."""
    backend.latency = 0.05
    function = start("on_event", "events.py")
    function.listen()
    traces = [f"{number:032x}" for number in range(1, 17)]
    with ThreadPoolExecutor(16) as pool:
        sent = [pool.submit(function.ask, "/", {"sleep": 0.05}, **CE, traceparent=f"00-{t}-{SPAN}-01") for t in traces]
    assert {one.result().status for one in sent} == {200}
    assert sorted(root["trace_id"] for root in roots(backend.events)) == traces
    assert all(len(below(root, backend.events)) == 1 for root in roots(backend.events))
    cell(HOST, "concurrent", "Each of 16 events is in its own trace.")


def test_sigterm_lets_an_event_finish_and_sends_its_events(start: Start, backend: Backend, cell: Cell) -> None:
    """It is finished, and its events are sent."""
    function = start("on_event", "events.py", ZESPAN_FLUSH_MODE="after_response")
    function.ask("/", {}, **CE)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(function.ask, "/", {"sleep": 0.4}, **CE)
        time.sleep(0.15)
        function.terminate()
    assert (sent.result().status, function.wait().code) == (200, 0)
    assert len(roots(backend.events)) == 2
    seen = "The current event ends, and everything arrives. Exit 0, as without the package."
    cell(HOST, "SIGTERM", seen, stopped="everything is sent")


def test_hanging_backend_costs_flush_timeout_and_nothing_at_the_deadline(
    start: Start, backend: Backend, cell: Cell
) -> None:
    """A hanging backend costs flush_timeout, and nothing at all in the last 0.2 s of the timeout."""
    backend.mode = "hang"
    limits = {"CLOUD_RUN_TIMEOUT_SECONDS": "1", "ZESPAN_FLUSH_TIMEOUT": "0.3", "ZESPAN_FLUSH_INTERVAL": "60"}
    function = start("on_event", "events.py", **limits)
    first, late = function.ask("/", {}, **CE), function.ask("/", {"sleep": 0.85}, **CE)
    assert (first.status, late.status) == (200, 200)
    assert first.seconds >= 0.3
    assert backend.events == []
    backend.mode = "ok"
    function.ask("/", {}, **CE)
    assert len(roots(backend.events)) == 3
    seen = f"Everything arrives once it is back. With a flush_timeout of 0.3 s the OK came after {first.seconds:.2f} s."
    cell(HOST, "dead backend", seen, outage="kept, then sent; three responses wait")
    over = (late.seconds - 0.85) * 1000
    seen = f"No flush uses the last 0.2 s: the OK is {later(over)} later, and everything arrives with the next event."
    cell(HOST, "deadline", seen)


def test_typed_functions_in_either_order(served: Callable[[str], tuple[Function, Backend]]) -> None:
    """In either order with the framework's decorator; the result is the function's own."""
    for target, factor in (("on_order", 2), ("on_order_above", 3)):
        function, backend = served(target)
        before = len(backend.events)
        assert json.loads(function.ask("/", {"pieces": 2}).body) == {"pieces": 2 * factor}
        (root,) = roots(backend.events[before:])
        assert root["metadata"]["faas.trigger"] == "http"


def test_async_event_function_without_a_trace(served: Callable[[str], tuple[Function, Backend]]) -> None:
    """The framework does not hand it the request, so only the event's own trace is known; the id is, all the same."""
    function, backend = served("on_event_async")
    before = len(backend.events)
    function.ask("/", {}, **CE, traceparent=TRACEPARENT, function_execution_id="abcdef123456")
    (root,) = roots(backend.events[before:])
    assert (root["parent_span_id"], root["metadata"]["faas.invocation_id"]) == (None, "abcdef123456")


texts = st.text(max_size=40) | st.sampled_from(
    [TRACEPARENT, f"{TRACE}/1;o=1", "projects/p/topics/t", "1", "google.cloud.pubsub.topic.v1.messagePublished"]
)
names = st.sampled_from(
    ["type", "source", "subject", "id", "traceparent", "document", "message", "attributes", "subscription", "messageId"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | texts, inner, max_size=4),
    max_leaves=10,
)
headers = st.dictionaries(
    st.sampled_from(
        [
            *("traceparent", "x-cloud-trace-context", "ce-id", "ce-type", "ce-source", "ce-traceparent"),
            *("x-cloudscheduler", "x-cloudtasks-queuename", "x-cloudtasks-taskretrycount", "x-goog-pubsub-message-id"),
        ]
    ),
    texts,
)


@given(st.dictionaries(names, values, max_size=5), values, headers)
def test_anything_can_be_read(context: dict[str, Any], data: Any, found: dict[str, str]) -> None:
    """Whatever an event and its headers hold, there is a trigger, short flat attributes, a valid parent or none."""

    class Event:
        def __init__(self) -> None:
            self.data = data

        def get_attributes(self) -> dict[str, Any]:
            return context

    class Request:
        method, path, scheme, headers = "POST", "/", "http", found

    class Background:
        event_type, event_id, resource = "google.pubsub.topic.publish", data, data

    parent, _ = google.parents(found.get, google.producer(context, data))
    assert parent is None or (len(parent.trace_id) == 32 and len(parent.span_id or "0" * 16) == 16)
    host = FunctionHost(test_anything_can_be_read, is_told_to_stop=True)
    for args in ((Event(),), (Request(),), (data, Background()), (data,), ()):
        said = host.read(host.request(args, {})).describe().attributes
        assert said["faas.trigger"] in ("http", "pubsub", "datasource", "timer", "other")
        for name, value in said.items():
            assert name == "links" or value is None or (isinstance(value, (str, int)) and len(str(value)) <= 1100)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{TRACE}/{int(SPAN, 16)};o=1", Caller(TRACE, SPAN, 1)),
        (f"{TRACE}/{int(SPAN, 16)}", Caller(TRACE, SPAN)),
        (f"{TRACE.upper()}/1", Caller(TRACE, "0000000000000001")),
        (f"{TRACE}/0;o=0", Caller(TRACE, None, 0)),
        (TRACE, Caller(TRACE)),
        (f"{TRACE};o=1", Caller(TRACE, None, 1)),
        (f"{TRACE}/1;o=1;x=y", Caller(TRACE, "0000000000000001")),
        (f"{'0' * 32}/1;o=1", None),
        (f"{TRACE}/99999999999999999999;o=1", None),
        (f"{TRACE[:-1]}/1;o=1", None),
        ("", None),
        (None, None),
    ],
)
def test_cloud_trace_context_has_a_decimal_span(value: object, expected: object) -> None:
    """Google's header: the span is decimal, may be 0 or missing, and has 64 bits."""
    assert google.parse_cloud_trace(value) == expected


def test_called_by_hand_with_a_made_up_context() -> None:
    """Called directly, with a made-up context, it has one event, and its result."""
    from zespan_serverless import zespan_cloud_event

    @zespan_cloud_event
    def handler(data: object, context: object) -> str:
        return "done"

    with testing.recording() as events:
        assert handler({"a": 1}, object()) == "done"
    assert [event["metadata"]["faas.trigger"] for event in events] == ["other"]


def test_a_hop_in_the_producers_own_trace_is_no_link() -> None:
    """Pub/Sub continues it with a span of its own: the producer's is the parent, and there is nothing to link to."""
    trace, hop = "a" * 32, f"00-{'a' * 32}-{'c' * 16}-01"
    producer = Caller(trace, "b" * 16, 1)
    assert google.parents({"traceparent": hop}.get, producer) == (producer, {})
    link = {"type": "delivery", "trace_id": "d" * 32, "span_id": "c" * 16}
    assert google.parents({"traceparent": hop.replace("a", "d")}.get, producer) == (producer, {"links": [link]})


def test_state_and_baggage_come_beside_the_trace() -> None:
    """In headers, in the attributes of a CloudEvent and of a message, and baggage beside Google's own header."""
    carried = {"traceparent": TRACEPARENT, "tracestate": "a=1", "baggage": "b=2"}
    caller = Caller(TRACE, SPAN, 1, "a=1", "b=2")
    assert google.parents(carried.get) == (caller, {})
    assert google.producer(carried, None) == caller
    assert google.producer({}, {"message": {"attributes": carried}}) == caller
    assert google.producer({}, {"attributes": {f"googclient_{name}": text for name, text in carried.items()}}) == caller
    headers = {"x-cloud-trace-context": f"{TRACE}/{int(SPAN, 16)};o=0", "baggage": "b=2"}
    assert google.parents(headers.get) == (Caller(TRACE, SPAN, 0, baggage="b=2"), {})
    assert google.parents({"baggage": "b=2"}.get) == (Caller("", baggage="b=2"), {})
