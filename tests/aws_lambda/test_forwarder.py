"""The function that sends on what is parked: from queues, streams and buckets, with answers for each part."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.aws_lambda.support import StartFunction
from tests.exporters.stores import aws
from zespan_serverless.aws_lambda import forwarder
from zespan_serverless.exporters.stores import StoreExporter, batch_of, open_store
from zespan_serverless.exporters.stores.s3 import Bucket
from zespan_serverless.settings import check
from zespan_serverless.testing import Backend, LambdaContext

OF = {"exporter": "zespan", "content_type": "application/json"}
EVENTS = Path(__file__).parents[1] / "events" / "aws_lambda"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_API_KEY", "zsp_1")
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        forwarder._forwarder.cache_clear()
        forwarder._bucket.cache_clear()
        yield backend
        forwarder._forwarder().close()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of S3, and a bucket."""
    with aws.aws_server() as url:
        aws.use(url, monkeypatch)
        client = aws.client("s3", url)
        client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": aws.REGION})
        yield client


def blob(*names: str) -> bytes:
    return batch_of([json.dumps({"event_id": name}).encode() for name in names], OF)


def sqs(**bodies: str) -> dict[str, Any]:
    """Return an event of messages with these ids and bodies."""
    (record,) = json.loads((EVENTS / "s3-sqs.json").read_text())["Records"]
    return {"Records": [{**record, "messageId": message_id, "body": body} for message_id, body in bodies.items()]}


def text(*names: str) -> str:
    return base64.b64encode(blob(*names)).decode()


def s3(*keys: str) -> dict[str, Any]:
    """S3's notification of these keys, as they are written in there."""
    (record,) = json.loads((EVENTS / "s3.json").read_text())["Records"]
    records = []
    for key in keys:
        record = copy.deepcopy(record)
        record["awsRegion"], record["s3"]["bucket"]["name"], record["s3"]["object"]["key"] = aws.REGION, "bucket", key
        records.append(record)
    return {"Records": records}


def forward(event: Any, seconds: float = 20.0) -> list[str]:
    """Return the ids of what is to be delivered again."""
    answer = forwarder.handler(event, LambdaContext(timeout=seconds + forwarder.RESERVE))
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def ids(backend: Backend) -> list[str]:
    return sorted(event["event_id"] for event in backend.events)


def keys(bucket: Any) -> list[str]:
    return [found["Key"] for found in bucket.list_objects_v2(Bucket="bucket").get("Contents", [])]


def test_messages_of_a_queue(backend: Backend) -> None:
    """All of them make one request, and none is delivered again."""
    assert forward(sqs(m1=text("a", "b"), m2=text("c"))) == []
    assert (ids(backend), len(backend.requests)) == (["a", "b", "c"], 1)


def test_only_messages_that_failed_are_delivered_again(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """One with a refused event, and one that is no batch: the log says why."""
    backend.reject = lambda event: event["event_id"] == "c"
    assert forward(sqs(m1=text("a"), m2=text("b", "c"), m3="nonsense", m4=text("d"))) == ["m2", "m3"]
    assert ids(backend) == ["a", "b", "d"]
    assert "m2: refused, HTTP 400" in caplog.text
    assert "m3: refused, " in caplog.text


@pytest.mark.parametrize("mode", [500, "hang", "refuse"])
def test_a_backend_that_is_away(mode: int, backend: Backend) -> None:
    """Every message is delivered again, and the function ends in time."""
    backend.mode = mode
    assert forward(sqs(m1=text("a"), m2=text("b")), seconds=0.5) == ["m1", "m2"]


def test_records_of_a_stream(backend: Backend) -> None:
    """They are delivered again by their sequence numbers."""
    (record,) = json.loads((EVENTS / "kinesis-one.json").read_text())["Records"]
    data = [(str(number), base64.b64encode(blob(f"e{number}")).decode()) for number in range(3)]
    kinesis = [{**record["kinesis"], "sequenceNumber": number, "data": text} for number, text in data]
    backend.reject = lambda event: event["event_id"] == "e1"
    assert forward({"Records": [{**record, "kinesis": one} for one in kinesis]}) == ["1"]
    assert ids(backend) == ["e0", "e2"]


@pytest.mark.slow
def test_objects_of_a_bucket(backend: Backend, bucket: Any) -> None:
    """They are deleted when they are delivered, whatever their names; one that is gone is no failure."""
    StoreExporter(open_store("s3://bucket/parked"), OF).send([b'{"event_id":"a"}'], 20.0)
    bucket.put_object(Bucket="bucket", Key="fire hose/1+2", Body=blob("b") + blob("c"))
    (parked,) = [key for key in keys(bucket) if key.startswith("parked/")]
    assert forward(s3(parked, "fire+hose/1%2B2", "gone")) == []
    assert (ids(backend), keys(bucket)) == (["a", "b", "c"], [])


@pytest.mark.slow
def test_objects_that_are_not_delivered_stay(backend: Backend, bucket: Any) -> None:
    """The invocation fails, so that Lambda repeats it."""
    backend.mode, backend.retry_after = 503, "50"
    bucket.put_object(Bucket="bucket", Key="a.gz", Body=blob("a"))
    with pytest.raises(RuntimeError, match="HTTP 503"):
        forward(s3("a.gz"))
    assert keys(bucket) == ["a.gz"]


@pytest.mark.slow
def test_an_object_that_cannot_be_deleted(backend: Backend, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The invocation fails, because the events would be sent again by the next replay."""
    bucket.put_object(Bucket="bucket", Key="a.gz", Body=blob("a"))
    monkeypatch.setattr(Bucket, "delete", lambda *_: open_store("s3://other").delete("x"))
    with pytest.raises(RuntimeError, match="delivered, but not deleted"):
        forward(s3("a.gz"))


@pytest.mark.slow
def test_news_of_a_bucket_by_a_queue(backend: Backend, bucket: Any) -> None:
    """The message is delivered again if one of its objects fails; S3's test message is none."""
    for key in ("a.gz", "b.gz"):
        bucket.put_object(Bucket="bucket", Key=key, Body=blob(key))
    backend.reject = lambda event: event["event_id"] == "b.gz"
    test = json.loads((EVENTS / "s3-test-sqs.json").read_text())["Records"][0]["body"]
    assert forward(sqs(m1=json.dumps(s3("a.gz")), m2=json.dumps(s3("b.gz")), m3=test)) == ["m2"]
    assert (ids(backend), keys(bucket)) == (["a.gz"], ["b.gz"])


@pytest.mark.slow
def test_news_of_a_bucket_by_eventbridge(backend: Backend, bucket: Any) -> None:
    """Keys are not quoted there."""
    bucket.put_object(Bucket="bucket", Key="a+b.gz", Body=blob("a"))
    event = json.loads((EVENTS / "eventbridge-s3.json").read_text())
    event["region"], event["detail"]["bucket"]["name"], event["detail"]["object"]["key"] = (
        aws.REGION,
        "bucket",
        "a+b.gz",
    )
    assert forward(event) == []
    assert (ids(backend), keys(bucket)) == (["a"], [])


@pytest.mark.parametrize("event", [{}, {"Records": [{"Sns": {}}]}])
def test_events_of_other_sources(event: Any, backend: Backend) -> None:
    """The invocation fails and says what the function is for."""
    with pytest.raises(RuntimeError, match="no event of SQS, Kinesis or S3"):
        forward(event)


def test_the_template_retries_undelivered_messages() -> None:
    """The template's handler exists, failed messages come back, messages are hidden long enough, and outputs exist."""
    text = (Path(__file__).parents[2] / "deploy/aws_lambda/forwarder/template.yaml").read_text()
    module, function = re.findall(r"Handler: (\S+)\.(\w+)", text)[0]
    assert getattr(import_module(module), function) is forwarder.handler
    assert "FunctionResponseTypes: [ReportBatchItemFailures]" in text
    (hidden,), (timeout,) = re.findall(r"VisibilityTimeout: (\d+)", text), re.findall(r"  Timeout: (\d+)", text)
    assert int(hidden) >= 6 * int(timeout)
    urls = re.findall(r"Value: !Sub (\w+)://", text)
    assert urls == ["sqs", "sqs"]
    variables = dict(re.findall(r"^ +ZESPAN_(\w+): (\S+)$", text, re.MULTILINE))
    check({name.lower(): value for name, value in variables.items()})


def test_in_a_sandbox(start: StartFunction, backend: Backend) -> None:
    """In Lambda's emulator, configured by the environment: what fails is delivered later, from a warm sandbox."""
    sandbox = start("zespan_serverless.aws_lambda.forwarder.handler", env={"ZESPAN_BASE_URL": backend.url}, timeout=5)
    backend.mode = 500
    assert sandbox.invoke(sqs(m1=text("a"))).payload == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    backend.mode = "ok"
    assert sandbox.invoke(sqs(m1=text("a"))).payload == {"batchItemFailures": []}
    assert ids(backend) == ["a"]
