"""Messages sent with boto3 and aiobotocore: they carry the trace context, arrive as before, and join two functions."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiobotocore.session
import boto3
import pytest
from botocore.exceptions import ParamValidationError
from moto import mock_aws
from moto.server import ThreadedMotoServer
from zespan_serverless_dev.emulator.lambda_rie import Sandbox

from tests.outbound.server import Server
from tests.outbound.test_http import EVENT, traced
from tests.support import TRACE, until
from zespan_serverless import span, testing, traced_records, zespan_lambda
from zespan_serverless._outbound import aws as injecting
from zespan_serverless._trace import Caller
from zespan_serverless.aws_lambda import HOST, LambdaCall
from zespan_serverless.testing import Backend, LambdaContext

CARRIED = ["traceparent", "tracestate", "baggage"]


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, text in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "DEFAULT_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", text)
    with mock_aws():
        yield


class Queue:
    """A queue of moto's."""

    def __init__(self, name: str = "q") -> None:
        self.client = boto3.client("sqs")
        self.url = self.client.create_queue(QueueName=name)["QueueUrl"]
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = found["Attributes"]["QueueArn"]

    def messages(self) -> list[dict[str, Any]]:
        found = self.client.receive_message(QueueUrl=self.url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
        messages: list[dict[str, Any]] = found.get("Messages", [])
        return messages

    def event(self) -> dict[str, Any]:
        """Return what Lambda makes of the messages."""

        def attribute(given: dict[str, Any]) -> dict[str, Any]:
            return {name[0].lower() + name[1:]: value for name, value in given.items()}

        records = [
            {
                "eventSource": "aws:sqs",
                "eventSourceARN": self.arn,
                "messageId": message["MessageId"],
                "body": message["Body"],
                "messageAttributes": {
                    name: attribute(given) for name, given in message.get("MessageAttributes", {}).items()
                },
            }
            for message in self.messages()
        ]
        return {"Records": records}


def consumed(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a function that gets this one, without that of the invocation."""

    @zespan_lambda
    def handler(event: Any, context: object) -> None:
        for _ in traced_records(event):
            pass

    with testing.recording() as events:
        handler(event, LambdaContext())
    return [found for found in events if found["operation"].startswith("process")]


def asked(events: list[dict[str, Any]]) -> str:
    """Return the id of the span that has sent."""
    (found,) = [event["span_id"] for event in events if event["operation"] == "ask"]
    return str(found)


def test_what_is_done_with_a_message_joins_the_trace_of_its_sender() -> None:
    """From a function by a queue to the next: one trace."""
    queue = Queue()
    sent = traced(lambda: queue.client.send_message(QueueUrl=queue.url, MessageBody="Hi"), "aws:sqs")
    (work,) = consumed(queue.event())
    assert (work["trace_id"], work["parent_span_id"]) == (TRACE, asked(sent))


def test_each_message_of_a_batch_carries_the_context() -> None:
    """With the attributes that it has of its own."""
    queue = Queue()
    own = {"kind": {"DataType": "String", "StringValue": "greeting"}}
    entries = [{"Id": "1", "MessageBody": "Hi", "MessageAttributes": own}, {"Id": "2", "MessageBody": "Ho"}]
    before = json.dumps(entries)
    traced(lambda: queue.client.send_message_batch(QueueUrl=queue.url, Entries=entries), "aws:sqs")
    first, second = sorted(queue.messages(), key=lambda message: message["Body"])
    assert {*first["MessageAttributes"]} == {"kind", *CARRIED}
    assert {*second["MessageAttributes"]} == {*CARRIED}
    assert second["MessageAttributes"]["baggage"]["StringValue"] == "b=2"
    assert json.dumps(entries) == before


@pytest.mark.parametrize("is_raw", [True, False])
def test_a_notification_joins_the_trace_of_its_sender(is_raw: bool) -> None:
    """From a function by a topic and a queue to the next, raw or not."""
    queue, sns = Queue(), boto3.client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    attributes = {"RawMessageDelivery": "true"} if is_raw else {}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes=attributes)
    sent = traced(lambda: sns.publish(TopicArn=topic, Message="Hi", Subject="S"), "aws:sns")
    (work,) = consumed(queue.event())
    assert (work["trace_id"], work["parent_span_id"]) == (TRACE, asked(sent))


def test_each_notification_of_a_batch_carries_the_context() -> None:
    """As messages do."""
    queue, sns = Queue(), boto3.client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes={"RawMessageDelivery": "true"})
    entries = [{"Id": "1", "Message": "Hi"}, {"Id": "2", "Message": "Ho"}]
    sent = traced(lambda: sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries), "aws:sns")
    assert [work["parent_span_id"] for work in consumed(queue.event())] == [asked(sent)] * 2


def test_a_text_message_to_a_phone_is_left_alone() -> None:
    """Attributes are not added where no receiver reads them."""
    given = {"PhoneNumber": "+491234", "Message": "Hi"}
    assert injected("sns", "Publish", given) == given


def test_an_event_joins_the_trace_of_its_sender() -> None:
    """From a function by EventBridge and a queue to the next; the detail is otherwise as it was written."""
    queue, events = Queue(), boto3.client("events")
    events.put_rule(Name="r", EventPattern='{"source": ["shop"]}')
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": queue.arn}])
    entry = {"Source": "shop", "DetailType": "paid", "Detail": ' {"price": 1.50, "price": 2e5}'}
    sent = traced(lambda: events.put_events(Entries=[entry]), "aws:events")
    event = queue.event()
    assert json.loads(event["Records"][0]["body"])["detail"]["price"] == 2e5
    (work,) = consumed(event)
    assert (work["trace_id"], work["parent_span_id"]) == (TRACE, asked(sent))


def injected(service: str, operation: str, params: dict[str, Any], event: Any = EVENT) -> dict[str, Any]:
    """Return what is sent of the parameters of a call."""
    changed: list[Any] = []
    before = json.dumps(params, default=str)
    traced(lambda: changed.append(injecting._CHANGES[service, operation](params)), f"aws:{service}", event=event)
    assert json.dumps(params, default=str) == before
    found: dict[str, Any] = changed[0]
    return found


@pytest.mark.parametrize(
    ("detail", "kept"),
    [
        ("{}", "}"),
        ('  {"a": 1}', '"a": 1}'),
        ('{"a": 1e400, "b": 123456789012345678901234567890.10}', '"b": 123456789012345678901234567890.10}'),
    ],
)
def test_the_detail_of_an_event_is_kept_as_it_is_written(detail: str, kept: str) -> None:
    """The context is put in front of it."""
    sent = injected("events", "PutEvents", {"Entries": [{"Detail": detail}]})["Entries"][0]["Detail"]
    assert sent.endswith(kept)
    assert [*json.loads(sent)][:3] == CARRIED


@pytest.mark.parametrize(
    "detail", ["[]", "no json", '{"traceparent": "mine", "baggage": "mine=1"}', None, "", "{" * 99_999]
)
def test_a_detail_that_is_none_or_has_a_context_stays(detail: Any) -> None:
    """What is no object has no place for it."""
    params = {"Entries": [{"Detail": detail}]}
    assert injected("events", "PutEvents", params) == params


@pytest.mark.parametrize("count", range(11))
def test_a_message_has_ten_attributes_at_most(count: int) -> None:
    """SQS refuses eleven. `traceparent` is the first that finds room."""
    own = {f"own{number}": {"DataType": "String", "StringValue": "x"} for number in range(count)}
    sent = injected("sqs", "SendMessage", {"QueueUrl": "q", "MessageBody": "Hi", "MessageAttributes": own})
    assert [*sent["MessageAttributes"]] == [*own, *CARRIED[: 10 - count]]


def test_messages_keep_within_the_size_of_a_call() -> None:
    """All of a batch count together: what does not fit is left out."""
    for rest, carried in ((0, 0), (71, 0), (72, 1), (91, 2), (109, 3)):
        body = "é" * ((262_144 - rest) // 2) + "x" * ((262_144 - rest) % 2)
        sent = injected("sqs", "SendMessage", {"QueueUrl": "q", "MessageBody": body})
        assert [*sent.get("MessageAttributes", {})] == CARRIED[:carried], rest
    half = "x" * 131_000
    sent = injected("sqs", "SendMessageBatch", {"Entries": [{"Id": "1", "MessageBody": half}] * 2})
    assert [len(entry.get("MessageAttributes", {})) for entry in sent["Entries"]] == [3, 0]
    sent = injected("sqs", "SendMessageBatch", {"Entries": [{"Id": "1", "MessageBody": "x" * 1_000_000}]})
    assert "MessageAttributes" not in sent["Entries"][0]
    detail = json.dumps({"a": "x" * 262_000})
    assert injected("events", "PutEvents", {"Entries": [{"Detail": detail}]})["Entries"][0]["Detail"] != detail
    detail = json.dumps({"a": "x" * 262_100})
    assert injected("events", "PutEvents", {"Entries": [{"Detail": detail}]})["Entries"][0]["Detail"] == detail


def test_attributes_of_the_users_stay() -> None:
    """A trace that the user has set, and its state."""
    own = {"traceparent": {"DataType": "String", "StringValue": "theirs"}}
    sent = injected("sqs", "SendMessage", {"QueueUrl": "q", "MessageBody": "Hi", "MessageAttributes": own})
    assert sent["MessageAttributes"]["traceparent"]["StringValue"] == "theirs"
    assert [*sent["MessageAttributes"]] == ["traceparent", "baggage"]


def context_of(params: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(params["ClientContext"]))


def test_a_client_context_keeps_what_it_has() -> None:
    """What is custom, and what is not."""
    own = {"custom": {"a": "b"}, "client": {"installation_id": "i"}}
    encoded = base64.b64encode(json.dumps(own).encode()).decode()
    found = context_of(injected("lambda", "Invoke", {"FunctionName": "f", "ClientContext": encoded}))
    assert found["client"] == own["client"]
    assert [*found["custom"]] == ["a", *CARRIED]


def test_a_client_context_keeps_within_its_limit() -> None:
    """3,583 characters: what does not fit is left out, and the trace itself is the last to go."""
    found: list[int] = []
    for length in range(2_350, 2_700, 7):
        encoded = base64.b64encode(json.dumps({"custom": {"a": "x" * length}}).encode()).decode()
        sent = injected("lambda", "Invoke", {"FunctionName": "f", "ClientContext": encoded})
        carried = [*context_of(sent)["custom"]][1:]
        assert carried == CARRIED[: len(carried)]
        assert len(sent["ClientContext"]) <= 3_583 or not carried
        found.append(len(carried))
    assert found == sorted(found, reverse=True)
    assert set(found) == {3, 2, 1, 0}


@pytest.mark.parametrize(
    "more",
    [
        {"InvocationType": "Event"},
        {"InvocationType": "DryRun"},
        {"ClientContext": "%%%"},
        {"ClientContext": base64.b64encode(b"[]").decode()},
        {"ClientContext": base64.b64encode(b'{"custom": 7}').decode()},
        {"ClientContext": base64.b64encode(b'{"custom": {"traceparent": "x", "baggage": "y"}}').decode()},
        {"ClientContext": 7},
    ],
)
def test_an_invoke_without_a_place_stays_as_it_is(more: dict[str, Any]) -> None:
    """The client context is unchanged if Lambda does not pass it on, it is invalid, or it has a trace context."""
    params = {"FunctionName": "f", **more}
    assert injected("lambda", "Invoke", params) == params


@pytest.mark.parametrize("hosts", [("aws:sns",), ("*.amazonaws.com", "sqs.eu-west-1.amazonaws.com")])
def test_only_services_that_are_named_get_messages_with_a_context(hosts: tuple[str, ...]) -> None:
    """The host of a queue is not a service, and its requests are signed."""
    queue = Queue()
    traced(lambda: queue.client.send_message(QueueUrl=queue.url, MessageBody="Hi"), *hosts)
    (message,) = queue.messages()
    assert "MessageAttributes" not in message


@pytest.mark.parametrize("failing", ["allowed", "headers_beside"])
def test_an_internal_failure_does_not_stop_the_message(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """Once."""

    def fail(*_: object) -> Any:
        raise RuntimeError("ours")

    queue = Queue()
    monkeypatch.setattr(injecting, failing, fail)
    traced(lambda: queue.client.send_message(QueueUrl=queue.url, MessageBody="Hi"), "aws:sqs")
    assert [message["Body"] for message in queue.messages()] == ["Hi"]


@pytest.mark.parametrize(
    "params",
    [{"MessageBody": 7}, *({"MessageBody": "Hi", "MessageAttributes": given} for given in (7, None, [1])), {}],
)
def test_a_mistake_of_the_users_is_reported_as_ever(params: dict[str, Any]) -> None:
    """By botocore."""
    queue = Queue()

    def ask() -> None:
        with pytest.raises(ParamValidationError):
            queue.client.send_message(QueueUrl=queue.url, **params)
        with pytest.raises(ParamValidationError):
            queue.client.send_message_batch(QueueUrl=queue.url, Entries=iter([]))
        with pytest.raises(ParamValidationError):
            boto3.client("lambda").invoke(FunctionName="f", ClientContext=None)

    traced(ask, "aws:sqs", "aws:lambda")


def test_aiobotocore_sends_the_context() -> None:
    """Its client is another class."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        there = {"region_name": "eu-west-1", "endpoint_url": f"http://{host}:{port}"}

        async def send() -> None:
            async with aiobotocore.session.get_session().create_client("sqs", **there) as opened:
                client: Any = opened
                url = (await client.create_queue(QueueName="a"))["QueueUrl"]
                with span("send"):
                    await client.send_message(QueueUrl=url, MessageBody="Hi")
                found = await client.receive_message(QueueUrl=url, MessageAttributeNames=["All"])
                (message,) = found["Messages"]
                assert {*message["MessageAttributes"]} == {*CARRIED}

        traced(lambda: asyncio.run(send()), "aws:sqs")
    finally:
        server.stop()


def invoked(work: Callable[[Any], object]) -> str:
    """Return the client context that boto3 sends over the wire."""
    with Server() as server:
        client = boto3.client("lambda", endpoint_url=server.url(""))
        traced(lambda: work(client), "aws:lambda")
        return server.requests[0]["x-amz-client-context"]


def test_a_function_that_is_invoked_reads_the_client_context() -> None:
    """As Lambda's runtime client hands it out: in `custom`."""
    encoded = invoked(lambda client: client.invoke(FunctionName="f", Payload=b"{}"))
    custom = json.loads(base64.b64decode(encoded))["custom"]
    context: Any = LambdaContext()
    context.client_context = type("ClientContext", (), {"custom": custom})()
    caller = HOST.read(LambdaCall({}, context)).parent
    assert isinstance(caller, Caller)
    assert (caller.trace_id, caller.tracestate, caller.baggage) == (TRACE, "a=1", "b=2")


@pytest.mark.host
def test_lambdas_runtime_hands_the_client_context_to_the_function(tmp_path: Path) -> None:
    """From boto3 to AWS's own runtime client: the trace goes on in the function that is invoked."""
    encoded = invoked(lambda client: client.invoke(FunctionName="f", Payload=b"{}"))
    (tmp_path / "app.py").write_text(
        "from zespan_serverless import zespan_lambda\n\n\n@zespan_lambda\ndef handler(event, context):\n    return 1\n"
    )
    with Backend() as backend, Sandbox("app.handler", tmp_path, env={"ZESPAN_BASE_URL": backend.url}) as sandbox:
        sandbox.invoke({}, headers={"x-amz-client-context": encoded})
        until(lambda: backend.events)
    (root,) = backend.events
    assert root["trace_id"] == TRACE
