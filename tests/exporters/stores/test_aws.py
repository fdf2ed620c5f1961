"""What all stores in AWS do: real botocore over HTTP, within the time, without harm to the user's own clients."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from tests.exporters.stores import aws
from tests.support import until
from zespan_serverless.errors import ConfigurationError
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.stores import Store, StoreExporter, open_store
from zespan_serverless.exporters.stores._aws import AwsStore

pytestmark = pytest.mark.slow  # moto

URLS = ["s3://bucket/parked", "sqs://queue", "sqs://queue.fifo", "kinesis://stream", "firehose://delivery"]
OF = {"exporter": "zespan", "content_type": "application/json"}


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with aws.aws_server() as url:
        aws.client("s3", url).create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": aws.REGION}
        )
        sqs = aws.client("sqs", url)
        sqs.create_queue(QueueName="queue")
        sqs.create_queue(QueueName="queue.fifo", Attributes={"FifoQueue": "true"})
        aws.client("kinesis", url).create_stream(StreamName="stream", ShardCount=1)
        aws.client("firehose", url).create_delivery_stream(
            DeliveryStreamName="delivery",
            S3DestinationConfiguration={"RoleARN": "arn:aws:iam::1:role/r", "BucketARN": "arn:aws:s3:::bucket"},
        )
        yield url


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


def store_of(url: str) -> AwsStore:
    store = open_store(url)
    assert isinstance(store, AwsStore)
    return store


def test_a_batch_is_kept(url: str, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice, over the connection that is kept, and once more after it was closed."""
    aws.use(service, monkeypatch)
    store = store_of(url)
    assert store.put(b"one", "n1", 20.0) == Outcome("delivered")
    assert store.put(b"two", "n2", 20.0) == Outcome("delivered")
    store.close()
    assert store.put(b"three", "n3", 20.0) == Outcome("delivered")


def test_an_endpoint_that_never_answers_takes_the_time_that_was_given(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the timeouts of the SDK, which are a minute, nor its repetitions apply."""
    with aws.hanging_server() as mute:
        aws.use(mute, monkeypatch)
        store = store_of(url)
        store.prepare(20.0)
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            store.put(b"batch", "name", 0.3)
        assert time.monotonic() - begun < 15


def test_a_put_can_be_cancelled(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another thread, while the service does not answer."""
    with aws.hanging_server() as mute:
        aws.use(mute, monkeypatch)
        store = store_of(url)
        store.prepare(20.0)
        failures: list[BaseException] = []

        def put() -> None:
            try:
                store.put(b"batch", "name", 60.0)
            except OSError as error:
                failures.append(error)

        thread = threading.Thread(target=put)
        thread.start()
        until(lambda: store._wire._transport._busy is not None)
        store.cancel()
        thread.join(20)
        assert len(failures) == 1


def test_what_was_cancelled_before_it_was_sent_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that was given up while it imported the SDK sends nothing when that is done: others have the events."""
    with aws.hanging_server() as mute:
        aws.use(mute, monkeypatch)
        store = store_of("kinesis://stream")

        def ready() -> Any:
            store.cancel()
            return AwsStore._client_to_write(store)

        monkeypatch.setattr(store, "_client_to_write", ready)
        with pytest.raises(TimeoutError):
            store.put(b"batch", "name", 60.0)


def test_a_refused_connection_fails_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is an error at once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        aws.use(f"http://127.0.0.1:{free.getsockname()[1]}", monkeypatch)
        with pytest.raises(OSError, match=r"."):
            store_of(url).put(b"batch", "name", 20.0)


@pytest.mark.parametrize("url", ["s3://missing/x", "sqs://missing", "kinesis://missing", "firehose://missing"])
def test_what_does_not_exist_is_tried_again(url: str, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be created; the outcome says what the service has said."""
    aws.use(service, monkeypatch)
    outcome = store_of(url).put(b"batch", "name", 20.0)
    assert outcome.verdict == "retry"
    assert url in outcome.detail
    assert "exist" in outcome.detail.lower() or "not found" in outcome.detail.lower()


@pytest.mark.parametrize(
    ("url", "operation", "code", "size", "verdict"),
    [
        ("s3://bucket/x", "put_object", "EntityTooLarge", 10, "retry"),
        ("sqs://sqs.eu-west-1.amazonaws.com/1/queue", "send_message", "InvalidParameterValue", 1000, "refused"),
        ("sqs://sqs.eu-west-1.amazonaws.com/1/queue", "send_message", "InvalidParameterValue", 700, "retry"),
        ("sqs://sqs.eu-west-1.amazonaws.com/1/queue", "send_message", "AccessDenied", 1000, "retry"),
        ("kinesis://stream", "put_record", "ValidationException", 2_000_000, "refused"),
        ("kinesis://stream", "put_record", "InvalidArgumentException", 2_000_000, "refused"),
        ("kinesis://stream", "put_record", "ProvisionedThroughputExceededException", 2_000_000, "retry"),
        ("firehose://delivery", "put_record", "ServiceUnavailableException", 10, "retry"),
    ],
)
def test_size_errors_divide_the_batch_and_others_are_retried(
    url: str, operation: str, code: str, size: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be too large for a queue or stream as it is configured is divided; anything else is tried again."""
    aws.use("http://127.0.0.1:9", monkeypatch)
    store = store_of(url)
    with Stubber(store._client_to_write()) as stub:
        stub.add_client_error(operation, code, "says the service")
        outcome = store.put(b"x" * size, "name", 20.0)
    assert (outcome.verdict, "says the service" in outcome.detail) == (verdict, True)


def test_a_refused_signature_does_not_show_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS quotes the request that should have been signed, with the token of temporary credentials."""
    aws.use("http://127.0.0.1:9", monkeypatch)
    store = store_of("kinesis://stream")
    said = "The signature does not match.\n\nThe Canonical String should have been\n'POST\nx-amz-security-token:IQoJ'"
    with Stubber(store._client_to_write()) as stub:
        stub.add_client_error("put_record", "InvalidSignatureException", said)
        outcome = store.put(b"x", "name", 20.0)
    assert outcome.detail.endswith("The signature does not match.")


@pytest.mark.parametrize("url", ["sqs://queue", "kinesis://stream", "firehose://delivery"])
def test_the_largest_batch_is_accepted_and_one_byte_more_is_not_sent(
    url: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limits are those of the services, as they are documented, and as moto checks some of them."""
    aws.use(service, monkeypatch)
    store = store_of(url)
    size = store.accepted if url.startswith("kinesis") else store.limit  # moto's streams take 1 MiB
    assert store.put(b"x" * size, "name", 60.0) == Outcome("delivered")
    exporter = StoreExporter(store, OF)
    outcome = exporter.send([os.urandom(store.limit)], 60.0)
    assert (outcome.verdict, f"accepts {store.limit}" in outcome.detail) == ("refused", True)


@pytest.mark.parametrize("url", ["s3://", "sqs://", "kinesis:///", "firehose://x?regio=eu", "s3://key:secret@bucket"])
def test_what_is_no_url_of_a_store(url: str) -> None:
    """It is a mistake in the configuration; a password is not repeated."""
    with pytest.raises(ConfigurationError, match="must be like") as raised:
        open_store(url)
    assert "secret" not in str(raised.value)


def test_the_region_may_be_in_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `?region=`, or in a queue's own URL; else it is the environment's."""
    aws.use("http://127.0.0.1:9", monkeypatch)
    urls = [
        "s3://bucket?region=eu-north-1",
        "sqs://sqs.ap-south-1.amazonaws.com/123456789012/queue",
        "kinesis://stream",
    ]
    regions = [store_of(url)._client_to_write().meta.region_name for url in urls]
    assert regions == ["eu-north-1", "ap-south-1", aws.REGION]


def test_the_sdk_is_not_imported_early() -> None:
    """Opening a store costs no import of botocore, which takes a large part of a second."""
    script = (
        "import sys\n"
        "from zespan_serverless.exporters.stores import open_store\n"
        f"for url in {URLS}: open_store(url)\n"
        "print('botocore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


def test_the_users_sessions_are_left_alone(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither boto3's default session nor the user's client is affected by the store's client."""
    import boto3

    aws.use(service, monkeypatch)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    store_of("sqs://queue").put(b"batch", "name", 20.0)
    assert boto3.DEFAULT_SESSION is None


def test_each_scheme_has_an_own_store() -> None:
    """Five URLs make four kinds of stores."""
    kinds: set[type[Store]] = {type(open_store(url)) for url in URLS}
    assert len(kinds) == 4
