"""Reading an event and a context: right for what Lambda sends, harmless for everything else."""

from __future__ import annotations

import base64
import copy
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless._trace import Caller
from zespan_serverless.aws_lambda import HOST, LambdaCall, _batches, _carried, _events, _shapes
from zespan_serverless.testing import LambdaContext

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
XRAY = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"

PAYLOADS = Path(__file__).parents[1] / "events" / "aws_lambda"
FILES = sorted(file for file in PAYLOADS.glob("*.json") if file.name != "index.json")
INDEX: dict[str, Any] = json.loads((PAYLOADS / "index.json").read_text())
EVENTS: dict[str, Any] = {file.stem: json.loads(file.read_text()) for file in FILES}

TRIGGERS = ("http", "pubsub", "datasource", "timer", "other")

KNOWN = ["headers", "multiValueHeaders", "requestContext", "http", "elb", "domainName", "method", "httpMethod", "path"]
MORE = ["Records", "records", "eventSource", "body", "Sns", "detail", "detail-type", "source", "messageAttributes"]
keys = st.sampled_from([*KNOWN, *MORE, "rawPath", "routeKey", "resource", "traceparent", "TRACEPARENT"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(TRACEPARENT)
names = st.sampled_from(["aws:sqs", "aws:sns", "aws:kafka", "aws:rmq", "aws:kinesis", "aws:s3"])
json_values = st.recursive(
    scalars | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of everything in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(path for key, held in inner for path in places(held, (*above, key)))]


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """Return an example of an event with something else in one place of it."""
    event = copy.deepcopy(EVENTS[draw(st.sampled_from(sorted(EVENTS)))])
    path = draw(st.sampled_from(places(event)))
    if not path:
        return draw(json_values)
    held = event
    for key in path[:-1]:
        held = held[key]
    held[path[-1]] = draw(json_values)
    return event


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_example_is_understood(file: Path) -> None:
    """Each event in the library has a source, and is read as its entry says; one without an entry fails."""
    event, expected = json.loads(file.read_text()), INDEX[file.stem]  # Powertools change what other tests give them
    before = copy.deepcopy(event)
    assert expected["source"].startswith("https://")
    assert _events.describe(event) == (expected["trigger"], expected["attributes"])
    assert ids(_events.parent(event)) == (tuple(expected["parent"]) if "parent" in expected else None)
    assert _events.links(event) == (expected.get("links", []), 0)
    assert event == before


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_attributes_leave_out_what_a_record_does_not_have(name: str) -> None:
    """Nothing is sent of what a record does not have."""
    found = _batches.batch(EVENTS[name])
    for record in found or ():
        assert found is not None
        assert None not in _events.record_attributes(found, record).values()


def test_each_record_names_its_own_collection() -> None:
    """Each has its own, where a batch may bring more than one."""
    found = _batches.batch(EVENTS["documentdb-collections"])
    assert found is not None
    assert [_events.record_attributes(found, record)["faas.document.collection"] for record in found] == [
        "orders",
        "payments",
    ]


def test_the_index_is_complete() -> None:
    """Every entry has its file, and there are all kinds of triggers among them."""
    assert sorted(INDEX) == sorted(EVENTS)
    assert len(EVENTS) >= 40
    assert {entry["trigger"] for entry in INDEX.values()} == set(TRIGGERS)


def test_every_known_source_has_an_example() -> None:
    """No row of the tables is there without an event that needs it."""
    rows = {kind.source for kind in _batches._KINDS.values()} | {shape[0] for shape in _shapes.SHAPES}
    assert rows <= {entry["attributes"].get("aws.lambda.event_source") for entry in INDEX.values()}


@pytest.mark.slow
@given(json_values | damaged())
def test_any_event_can_be_read(event: Any) -> None:
    """Whatever JSON an event is, it makes an invocation: a trigger, short flat attributes, valid links."""
    invocation = HOST.read(LambdaCall(event, LambdaContext()))
    assert invocation.describe().attributes["faas.trigger"] in TRIGGERS
    caller = invocation.parent
    assert caller is None or [len(caller.trace_id), len(caller.span_id or "")] in ([32, 16], [32, 0], [0, 0])
    trigger, attributes = _events.describe(event)
    assert trigger == invocation.describe().attributes["faas.trigger"]
    for value in attributes.values():
        assert isinstance(value, (str, int)) or (isinstance(value, list) and len(value) == 1)
        assert len(str(value)) <= 1100
    found, omitted = _events.links(event)
    assert all(len(str(link["trace_id"])) == 32 for link in found)
    assert omitted == 0


@pytest.mark.slow
@given(st.text(max_size=600) | st.none())
def test_any_xray_header_can_be_read(header: str | None) -> None:
    """What is not an X-Ray trace makes no link."""
    link = _events.xray_link(header)
    assert link is None or link["type"] == "xray"


def test_deeply_nested_event_does_not_exhaust_the_stack() -> None:
    """A field as deep as JSON allows does not exhaust the stack."""
    deep: Any = "x"
    for _ in range(sys.getrecursionlimit()):
        deep = [deep]
    event = {"requestContext": {"http": {"method": deep}, "domainName": deep}, "headers": {"traceparent": deep}}
    assert HOST.read(LambdaCall(event, None)).describe().attributes["faas.trigger"] == "http"


def test_message_nested_in_itself_does_not_exhaust_the_stack() -> None:
    """A body that quotes a body that quotes a body is read as far as it is short, and does not exhaust the stack."""
    event: Any = {"detail-type": "x", "source": "innermost"}
    for _ in range(12):
        event = {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(event), "a": "aws:s3 detail-type"}]}
    assert _events.describe(event)[0] == "pubsub"
    body = '{"detail-type":' + "[" * 30_000
    assert _events.describe({"Records": [{"eventSource": "aws:sqs", "body": body}]})[0] == "pubsub"


@pytest.mark.parametrize(
    ("event", "parent"),
    [
        ({"headers": {"Traceparent": TRACEPARENT}}, (TRACE, SPAN)),
        ({"headers": {"traceparent": TRACEPARENT, "TraceParent": "no", "Host": "a"}}, (TRACE, SPAN)),
        ({"headers": {f"X-{number}": "a" for number in range(600)} | {"Baggage": "a=1"}}, None),
        ({"headers": {1: "not JSON", "traceparent": TRACEPARENT}}, None),
        ({"headers": None, "multiValueHeaders": {"TRACEPARENT": [TRACEPARENT]}}, (TRACE, SPAN)),
        ({"headers": {"traceparent": TRACEPARENT}, "multiValueHeaders": {"traceparent": [TRACEPARENT] * 2}}, None),
        ({"headers": {"traceparent": f"{TRACEPARENT},{TRACEPARENT}"}}, None),
        ({"headers": {"traceparent": "00-0-0-01"}}, None),
        ({"headers": {"traceparent": TRACEPARENT.upper()}}, None),
        ({"headers": {"traceparent": [TRACEPARENT, TRACEPARENT]}}, None),
        ({"detail": {"traceparent": TRACEPARENT}, "detail-type": "x", "source": "y"}, (TRACE, SPAN)),
        ({"traceparent": TRACEPARENT}, (TRACE, SPAN)),
        ({"traceparent": 7}, None),
        ({"body": json.dumps({"traceparent": TRACEPARENT})}, None),
        ([TRACEPARENT], None),
    ],
)
def test_parent_is_the_one_valid_traceparent_header(event: Any, parent: tuple[str, str] | None) -> None:
    """The parent is the one valid traceparent header; two of them, or a bad one, are none."""
    assert ids(_events.parent(event)) == parent


def test_xray_root_without_a_span_is_linked_as_a_trace() -> None:
    """A root that X-Ray has no span for yet is linked to as a trace."""
    link = _events.xray_link("Root=1-5759e988-bd862e3fe1be46a994272793")
    assert link == {"type": "xray", "trace_id": "5759e988bd862e3fe1be46a994272793"}


def test_client_context_carries_a_parent() -> None:
    """A direct invoke names its parent in the client context, which newer runtimes hand out."""
    context: Any = LambdaContext()
    context.w3c = lambda: {"traceparent": TRACEPARENT}
    assert ids(HOST.read(LambdaCall({}, context)).parent) == (TRACE, SPAN)
    context.w3c = lambda: 1 / 0
    assert HOST.read(LambdaCall({}, context)).parent is None
    context = LambdaContext()
    context.client_context = Mock(custom={"traceparent": TRACEPARENT})
    assert ids(HOST.read(LambdaCall({}, context)).parent) == (TRACE, SPAN)


def sqs(number: int, **more: Any) -> dict[str, Any]:
    """Return a message with a trace of its own."""
    traceparent = {"stringValue": f"00-{number + 1:032x}-{number + 1:016x}-01"}
    return {"eventSource": "aws:sqs", "messageAttributes": {"traceparent": traceparent}, **more}


def test_a_batch_is_never_the_parent() -> None:
    """Not even one record, and not what stands beside the records: the invocation has a trace of its own."""
    for count in (1, 2):
        event = {"Records": [sqs(number) for number in range(count)], "traceparent": TRACEPARENT}
        assert _events.parent(event) is None
        assert len(_events.links(event)[0]) == count


def test_links_are_limited_and_the_rest_is_counted() -> None:
    """128 links at most, and the number of records that were not looked at for more."""
    found, omitted = _events.links({"Records": [sqs(number) for number in range(10_000)]})
    assert (len(found), omitted) == (128, 10_000 - 128)
    found, omitted = _events.links({"Records": [sqs(0)] * 10_000})
    assert (len(found), omitted) == (1, 10_000 - _events.RECORDS_READ)
    assert _events.links({"Records": [{"eventSource": "aws:sqs"}] * 10_000}) == ([], 0)
    both = [sqs(n, attributes={"AWSTraceHeader": f"Root=1-{n:08x}-{1:024x};Parent={n + 1:016x}"}) for n in range(99)]
    found, omitted = _events.links({"Records": both}, XRAY)
    assert (len(found), omitted) == (128, 99 - 64)


def test_long_texts_are_cut() -> None:
    """No attribute has more than 1024 characters, wherever it comes from."""
    long = "/" + "x" * 5_000
    events: list[Any] = [
        {"httpMethod": long, "path": long, "resource": long, "requestContext": {"domainName": long}},
        {"detail-type": long, "source": long, "id": long},
        {"Records": [{"eventSource": "aws:sqs", "messageId": long, "eventSourceARN": f"a:b:c:d:e:{long}"}]},
        {"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"name": long}, "object": {"key": long}}}]},
    ]
    for event in events:
        lengths = [len(value) for value in _events.describe(event)[1].values() if isinstance(value, str)]
        assert max(lengths) == 1_024


def test_each_link_is_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """X-Ray's of the invocation and of its message, and the producer's, each once, and whatever X-Ray samples."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", XRAY)
    records = [sqs(0, attributes={"AWSTraceHeader": XRAY}), sqs(0, attributes={"AWSTraceHeader": XRAY})]
    xray = {"type": "xray", "trace_id": "5759e988bd862e3fe1be46a994272793", "span_id": "53995c3f42cd8ad8"}
    producer = {"type": "producer", "trace_id": f"{1:032x}", "span_id": f"{1:016x}"}
    assert HOST.read(LambdaCall({"Records": records}, None)).describe().attributes["links"] == [xray, producer]
    assert HOST.read(LambdaCall({}, None)).describe().attributes["links"] == [xray]


def ids(caller: Caller | None) -> tuple[str, str | None] | None:
    return None if caller is None else (caller.trace_id, caller.span_id)


def carried(record: Any) -> dict[str, object]:
    """Return what a record carries of its producer's trace context."""
    batch = _batches.batch({"Records": [record]})
    assert batch is not None
    carrier = _carried.ContextFinder().of(batch, record)
    found = {name: carrier(name) for name in ("traceparent", "tracestate", "baggage")}
    return {name: value for name, value in found.items() if value is not None}


CARRIED = {"traceparent": TRACEPARENT, "tracestate": "a=1,b@c=2", "baggage": "user=ada;p=1"}


@pytest.mark.parametrize(
    "record",
    [
        {
            "eventSource": "aws:sqs",
            "messageAttributes": {name: {"dataType": "String", "stringValue": text} for name, text in CARRIED.items()},
        },
        {
            "EventSource": "aws:sns",
            "Sns": {"MessageAttributes": {name: {"Type": "String", "Value": text} for name, text in CARRIED.items()}},
        },
        {"eventSource": "aws:kafka", "headers": [{name: list(text.encode())} for name, text in CARRIED.items()]},
        {"eventSource": "aws:sqs", "body": json.dumps(CARRIED)},
        {"eventSource": "aws:sqs", "body": json.dumps({"source": "s", "detail-type": "d", "detail": CARRIED})},
        {
            "eventSource": "aws:sqs",
            "body": json.dumps(
                {
                    "Type": "Notification",
                    "Message": "Hi",
                    "MessageAttributes": {name: {"Type": "String", "Value": text} for name, text in CARRIED.items()},
                }
            ),
        },
        {"eventSource": "aws:kinesis", "kinesis": {"data": base64.b64encode(json.dumps(CARRIED).encode()).decode()}},
    ],
    ids=["sqs", "sns", "kafka", "json", "eventbridge in sqs", "sns in sqs", "kinesis"],
)
def test_a_record_carries_state_and_baggage_where_its_traceparent_is(record: Any) -> None:
    """In attributes, in headers, in JSON, and in an event of another service that the message is."""
    assert carried(record) == CARRIED


@pytest.mark.parametrize(
    "event",
    [
        {"headers": {name.title(): text for name, text in CARRIED.items()}},
        {
            "multiValueHeaders": {
                "traceparent": [TRACEPARENT],
                "tracestate": ["a=1", "b@c=2"],
                "baggage": ["user=ada;p=1"],
            }
        },
        {
            "Records": [
                {"cf": {"request": {"headers": {n: [{"key": n, "value": text}] for n, text in CARRIED.items()}}}}
            ]
        },
        {"detail-type": "d", "source": "s", "detail": CARRIED},
        CARRIED,
    ],
    ids=["headers", "several lines", "cloudfront", "eventbridge", "direct"],
)
def test_a_request_carries_state_and_baggage(event: Any) -> None:
    """Of several header lines one list is made."""
    assert _events.parent(event) == Caller(TRACE, SPAN, 1, CARRIED["tracestate"], CARRIED["baggage"])


def test_baggage_comes_without_a_trace() -> None:
    """It is a header of its own; a trace in the event counts for more."""
    assert _events.parent({"headers": {"baggage": "a=1"}}) == Caller("", baggage="a=1")
    assert ids(_events.parent({"headers": {"baggage": "a=1"}, "detail": {"traceparent": TRACEPARENT}})) == (TRACE, SPAN)


@pytest.mark.parametrize("before", range(3))
def test_traceparent_is_found_in_base64(before: int) -> None:
    """A record's JSON is found to have a traceparent wherever it begins, and one without is not decoded."""
    said = {"a" * before: 0, "traceparent": TRACEPARENT}
    data = base64.b64encode(json.dumps(said).encode()).decode()
    assert any(mark in data for mark in _carried._ENCODED)
    record = {"eventSource": "aws:kinesis", "kinesis": {"data": data}}
    assert carried(record) == {"traceparent": TRACEPARENT}
    assert carried({**record, "kinesis": {"data": "%%" + _carried._ENCODED[0]}}) == {}


def test_what_is_parsed_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """6 MB of messages that all look like having a trace are parsed up to a limit, and what has none is not parsed."""
    read: list[int] = []
    monkeypatch.setattr(_carried, "json_or_none", lambda text: read.append(len(text)))
    body = json.dumps({"traceparent": "x" * 10_000})
    _events.links({"Records": [{"eventSource": "aws:sqs", "body": body}] * 600})
    assert 200_000 < sum(read) <= 262_144
    read.clear()
    _events.links({"Records": [{"eventSource": "aws:sqs", "body": "{}" * 5_000}] * 600})
    assert read == []


@pytest.mark.parametrize("context", [None, Mock(), MagicMock(), object(), "context", {"aws_request_id": "x"}])
def test_stand_in_for_a_context_gives_no_deadline(context: Any) -> None:
    """A stand-in for a context gives no deadline, rather than a wrong one."""
    invocation = HOST.read(LambdaCall({}, context))
    assert invocation.id is None
    assert invocation.remaining is None


def test_time_left_is_that_of_the_context() -> None:
    """The time left is the context's, in seconds; should its clock fail later, none is left."""
    context = Mock()
    context.get_remaining_time_in_millis.return_value = 1500
    remaining = HOST.read(LambdaCall({}, context)).remaining
    assert remaining is not None
    assert remaining() == 1.5
    context.get_remaining_time_in_millis.side_effect = RuntimeError
    assert remaining() == 0.0


def test_where_event_and_context_are_found() -> None:
    """By position, by name, and after the self of a method that was decorated in its class."""
    context = LambdaContext()
    event = {"httpMethod": "GET"}
    for args, kwargs in (
        ((event, context), {}),
        ((event,), {"context": context}),
        ((), {"event": event, "context": context}),
        ((object(), event, context), {}),
    ):
        invocation = HOST.read(HOST.request(args, kwargs))
        assert (invocation.id, invocation.describe().attributes["faas.trigger"]) == (context.aws_request_id, "http")
