"""`traced_records`, `traced_record`: the work on each record is in its sender's trace; all else is as without them."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest
from hypothesis import given

from tests.aws_lambda.test_events import EVENTS, TRACEPARENT, damaged, json_values, sqs
from zespan_serverless import flush, init, span, testing, traced_record, traced_records, traceparent, with_context
from zespan_serverless import zespan_lambda as decorate
from zespan_serverless._process import container
from zespan_serverless._trace import context as _trace
from zespan_serverless.aws_lambda import _batches, _carried, _records

BATCH = {"Records": [sqs(0, messageId="a"), sqs(1, messageId="b"), {"eventSource": "aws:sqs", "messageId": "c"}]}
ARN = "arn:aws:sqs:us-east-2:123456789012:orders"
for record in BATCH["Records"]:
    record["eventSourceARN"] = ARN


def invoke(work: Any, event: Any = BATCH) -> Any:
    """Return an invocation of a function that does `work` on an event."""
    return decorate(lambda event, context: work(event))(event, testing.LambdaContext())


def ids(event: dict[str, Any]) -> tuple[str, str, str | None]:
    return event["trace_id"], event["span_id"], event["parent_span_id"]


def test_the_work_on_a_record_is_in_its_senders_trace() -> None:
    """A record's event continues its traceparent and links to the invocation; without one it is a step of it."""

    def work(event: Any) -> None:
        for number, _ in enumerate(traced_records(event)):
            with span(f"call {number}"):
                pass

    with testing.recording() as events:
        invoke(work)
    call_a, a, call_b, b, call_c, c, root = events
    assert [e["operation"] for e in (a, b, c)] == ["process orders"] * 3
    assert [e["metadata"]["messaging.message.id"] for e in (a, b, c)] == ["a", "b", "c"]
    assert [e["span_kind"] for e in (a, b, c)] == ["general"] * 3
    for number, (record, call) in enumerate([(a, call_a), (b, call_b)], 1):
        assert (record["trace_id"], record["parent_span_id"]) == (f"{number:032x}", f"{number:016x}")
        assert (call["trace_id"], call["parent_span_id"]) == (record["trace_id"], record["span_id"])
        link = {"type": "invocation", "trace_id": root["trace_id"], "span_id": root["span_id"]}
        assert record["metadata"]["links"] == [link]
    assert (c["trace_id"], c["parent_span_id"]) == (root["trace_id"], root["span_id"])
    assert "links" not in c["metadata"]
    assert (call_c["trace_id"], call_c["parent_span_id"]) == (root["trace_id"], c["span_id"])
    assert {e["status"] for e in events} == {"success"}
    assert [link["trace_id"] for link in root["metadata"]["links"]] == [f"{1:032x}", f"{2:032x}"]


def test_current_trace_inside_the_loop_and_after_it() -> None:
    """Within the loop the record's trace is what a callee gets to continue, after it the invocation's."""

    def work(event: Any) -> None:
        before = traceparent()
        inside = [str(traceparent())[3:35] for _ in traced_records(event)]
        assert inside[:2] == [f"{1:032x}", f"{2:032x}"]
        assert traceparent() == before

    with testing.recording():
        invoke(work)


def test_users_and_tags_stay() -> None:
    """What with_context says around the loop is on the record's event too."""

    def work(event: Any) -> None:
        with with_context(user_id="ada", tags={"team": "search"}):
            list(traced_records(event))

    with testing.recording() as events:
        invoke(work)
    assert [(e["user_id"], e["tags"]) for e in events[:3]] == [("ada", {"team": "search"})] * 3


def test_an_error_that_ends_the_invocation_is_the_records_too() -> None:
    """It passes untouched; the record that was being worked on has it, and those before have not."""
    error = LookupError("no luck")

    def work(event: Any) -> None:
        for number, _ in enumerate(traced_records(event)):
            if number == 1:
                raise error

    with testing.recording() as events, pytest.raises(LookupError) as caught:
        invoke(work)
    assert caught.value is error
    assert [e["status"] for e in events] == ["success", "error", "error"]
    assert events[1]["error_message"] == "no luck"
    assert events[1]["metadata"]["error.type"] == "LookupError"
    assert events[1]["metadata"]["messaging.message.id"] == "b"


@pytest.mark.parametrize("handled", [False, True])
def test_leaving_the_loop_early_is_no_error(handled: bool) -> None:
    """After a break the record's event has the time until then, whatever is being handled around the invocation."""

    def work(event: Any) -> str:
        for _ in traced_records(event):
            break
        time.sleep(0.05)
        return "done"

    with testing.recording() as events:
        if handled:
            try:
                raise KeyError("somebody else's, who tries again")
            except KeyError:
                assert invoke(work) == "done"
        else:
            assert invoke(work) == "done"
    record, root = events
    assert (record["status"], root["status"]) == ("success", "success")
    assert record["latency_ms"] < 40 <= root["latency_ms"]


def test_partial_batch_response() -> None:
    """The usual loop: what fails is caught and reported, what the record's event cannot know a span can."""

    def work(event: Any) -> Any:
        failures = []
        for record in traced_records(event):
            try:
                with span("work"):
                    if record["messageId"] == "b":
                        raise ValueError("bad message")
            except ValueError:
                failures.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failures}

    with testing.recording() as events:
        assert invoke(work) == {"batchItemFailures": [{"itemIdentifier": "b"}]}
    assert [e["status"] for e in events if e["operation"] == "work"] == ["success", "error", "success"]
    assert [e["status"] for e in events if e["operation"] == "process orders"] == ["success"] * 3
    assert events[-1]["metadata"]["aws.lambda.batch_item_failures"] == 1
    assert events[-1]["metadata"]["aws.lambda.batch_size"] == 3


def test_a_loop_that_outlives_the_invocation() -> None:
    """A record still in hand ends with the invocation, once, and leaves nothing behind for the next."""
    kept: list[Any] = []

    def work(event: Any) -> None:
        records = traced_records(event)
        next(records)
        kept.append(records)

    with testing.recording() as events:
        invoke(work)
        assert len(events) == 2
        assert _trace.current() is None
        kept.pop().close()
        assert _trace.current() is None
        assert len(events) == 2
        invoke(lambda event: None)
        assert events[2]["parent_span_id"] is None


def test_records_are_traced_in_an_async_handler() -> None:
    """The same in an `async def`."""

    @decorate
    async def handler(event: Any, context: object) -> int:
        count = 0
        for _ in traced_records(event):
            with span("call"):
                count += 1
        return count

    with testing.recording() as events:
        assert handler(BATCH, testing.LambdaContext()) == 3
    assert [e["trace_id"] for e in events[:4]] == [f"{1:032x}"] * 2 + [f"{2:032x}"] * 2


def test_records_at_once_in_tasks() -> None:
    """Each task's record has its own trace, duration and error, while others are worked on too."""

    @decorate
    async def handler(event: Any, context: object) -> list[Any]:
        together = asyncio.Barrier(3)

        async def work(record: Any) -> None:
            with traced_record(record):
                await together.wait()
                with span("call " + record["messageId"]):
                    await asyncio.sleep(0)
                if record["messageId"] == "b":
                    raise ValueError("bad message")

        return await asyncio.gather(*map(work, event["Records"]), return_exceptions=True)

    with testing.recording() as events:
        assert [repr(result) for result in handler(BATCH, testing.LambdaContext())] == [
            "None",
            "ValueError('bad message')",
            "None",
        ]
    check_at_once(events)


def test_records_at_once_in_threads() -> None:
    """The same in the threads of a pool, which begin with no context."""
    together = threading.Barrier(3)

    def process(record: Any) -> None:
        with traced_record(record):
            together.wait(5)
            with span("call " + record["messageId"]):
                pass
            if record["messageId"] == "b":
                raise ValueError("bad message")

    def work(event: Any) -> None:
        with ThreadPoolExecutor(3) as pool:
            futures = [pool.submit(process, record) for record in event["Records"]]
        assert [type(future.exception()).__name__ for future in futures] == ["NoneType", "ValueError", "NoneType"]

    with testing.recording() as events:
        invoke(work)
    check_at_once(events)


def check_at_once(events: list[dict[str, Any]]) -> None:
    root = events[-1]
    for number, name in enumerate("abc", 1):
        (record,) = (e for e in events[:-1] if (e.get("metadata") or {}).get("messaging.message.id") == name)
        (call,) = (e for e in events if e["operation"] == f"call {name}")
        assert (call["trace_id"], call["parent_span_id"]) == (record["trace_id"], record["span_id"])
        sender = (f"{number:032x}", f"{number:016x}") if name != "c" else (root["trace_id"], root["span_id"])
        assert (record["trace_id"], record["parent_span_id"]) == sender
        assert record["operation"] == "process orders"
        assert record["metadata"].get("error.type") == ("ValueError" if name == "b" else None)
        assert record["status"] == ("error" if name == "b" else "success")
    assert (root["status"], len(events)) == ("success", 7)


def test_a_record_that_outlives_the_invocation() -> None:
    """It ends with the invocation, once, and its thread is free for the next one's trace."""
    begun, over = threading.Event(), threading.Event()
    seen: list[str | None] = []

    def process(record: Any) -> None:
        with traced_record(record):
            begun.set()
            over.wait(5)

    def work(event: Any) -> None:
        pool.submit(process, event["Records"][0])
        begun.wait(5)

    with testing.recording() as events, ThreadPoolExecutor(1) as pool:
        invoke(work)
        assert [e["operation"] for e in events] == ["process orders", "my-function"]
        over.set()
        invoke(lambda event: seen.append(pool.submit(traceparent).result(5)))
        assert len(events) == 3
        assert str(seen[0])[3:35] == events[2]["trace_id"]


@pytest.mark.parametrize("name", ["kafka-self-managed", "msk", "activemq", "rabbitmq", "documentdb"])
def test_a_record_that_does_not_say_where_it_is_from(name: str) -> None:
    """Without its event it is worked on untraced, with it the event is the one that the loop gives."""

    def looped(event: Any) -> None:
        for _ in traced_records(event):
            pass

    def one(event: Any) -> None:
        for record in _batches.records(event):
            with traced_record(record):
                pass
            with traced_record(record, event):
                pass

    def seen(work: Any) -> list[Any]:
        with testing.recording() as events:
            invoke(work, EVENTS[name])
        records = events[:-1]
        for record in records:
            record["metadata"].pop("links", None)
        return [(e["operation"], e["parent_span_id"] == events[-1]["span_id"], e["metadata"]) for e in records]

    assert seen(one) == seen(looped) != []


def test_record_without_an_invocation_is_sent_when_the_loop_is_left() -> None:
    """Without an invocation a record's event is sent when the loop is left, too."""
    with testing.recording() as events:
        for _ in traced_records(BATCH):
            break
        flush()
        assert [ids(e)[::2] for e in events] == [(f"{1:032x}", f"{1:016x}")]
        assert "links" not in events[0]["metadata"]


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_record_is_given(name: str) -> None:
    """Each record of every kind of event, in order, whether telemetry is on or off."""
    event = EVENTS[name]
    held = event if isinstance(event, list) else event.get("Records") or []
    if isinstance(event, dict) and "eventSource" in event:
        held = event.get("messages") or event.get("events") or event.get("records") or event["rmqMessagesByQueue"]
    if isinstance(held, dict):
        held = [record for part in held.values() for record in part]
    assert list(traced_records(event)) == held
    with testing.recording() as events:
        assert invoke(lambda event: list(traced_records(event)), event) == held
    assert len(events) in (1, 1 + len(held))


@given(json_values | damaged())
def test_any_event_can_be_looped_over(event: Any) -> None:
    """Whatever JSON an event is, there are records or none."""
    with testing.recording():
        given = invoke(lambda event: list(traced_records(event)), event)
    if isinstance(event, dict) and isinstance(event.get("Records"), list) and "eventSource" not in event:
        assert given == event["Records"] or isinstance(_batches.batch(event), _batches.Batch)


BROKEN: list[tuple[object, str]] = [
    (_trace, "new_span"),
    (_records, "Record"),
    (_carried.ContextFinder, "of"),
    (_batches.Batch, "attributes"),
    (container.Container, "capture"),
]


@pytest.mark.parametrize(("owner", "name"), BROKEN, ids=lambda v: v if isinstance(v, str) else "")
def test_whatever_breaks_inside_us_the_loop_does_not_notice(
    owner: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every record is given once, with any of our internals failing, also when the loop is left."""
    seen: list[str] = []

    def work(event: Any) -> None:
        seen.extend(record["messageId"] for record in traced_records(event))
        for record in event["Records"]:
            with traced_record(record):
                seen.append(record["messageId"])
        for record in traced_records(event):
            seen.append(record["messageId"])
            raise LookupError("mine")

    with testing.recording():
        monkeypatch.setattr(owner, name, mock.Mock(side_effect=RuntimeError("ours")))
        with pytest.raises(LookupError, match="mine"):
            invoke(work)
        monkeypatch.undo()
        assert _trace.current() is None
    assert seen == ["a", "b", "c"] * 2 + ["a"]


def test_init_in_a_script() -> None:
    """`init()` is enough: no decorator is needed for records to be traced."""
    exporter = testing.MemoryExporter()
    with init(exporter=exporter):
        for record in traced_records(EVENTS["sns-sqs"]):
            assert record["body"]
    assert exporter.events[0]["metadata"]["aws.lambda.event_origin"] == "sns"
    assert f"00-{exporter.events[0]['trace_id']}" == TRACEPARENT[:35]


class Undecided:
    """As an array of numpy's: it raises when it is asked whether it is true."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


@pytest.mark.parametrize(
    "name", ["eventSource", "EventSource", "eventSourceARN", "eventSourceArn", "body", "messageAttributes"]
)
def test_values_that_raise_when_they_are_looked_at(name: str) -> None:
    """The loop runs over every record all the same, and the invocation is traced."""
    record = {"eventSource": "aws:sqs", "messageId": "m", "body": "{}", name: Undecided()}
    event = {"Records": [record, record], name: Undecided()}

    @decorate
    def handler(event: dict[str, Any], context: object) -> int:
        with traced_record(record, event):
            return sum(one is record for one in traced_records(event))

    with testing.recording() as events:
        assert handler(event, testing.LambdaContext()) == 2
    assert events[-1]["operation"] == "my-function"
