"""A bucket: one object for each batch."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.exporters.stores import aws
from zespan_serverless import testing
from zespan_serverless._http.answer import Answer
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.stores import StoreExporter, _aws, events_of, open_store

pytestmark = pytest.mark.slow  # moto

OF = {"exporter": "zespan", "content_type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with aws.aws_server() as url:
        yield url


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The user's own client, beside an empty bucket."""
    aws.use(server, monkeypatch)
    client = aws.client("s3", server)
    client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": aws.REGION})
    yield client
    for found in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=found["Key"])
    client.delete_bucket(Bucket="bucket")


@pytest.mark.parametrize(
    ("url", "prefix"), [("s3://bucket", ""), ("s3://bucket/a/b", "a/b/"), ("s3://bucket/a/", "a/")]
)
def test_a_batch_is_an_object(url: str, prefix: str, bucket: Any) -> None:
    """Its key is the prefix and a name that begins with the time; its content is gzip."""
    assert StoreExporter(open_store(url), OF).send([b'{"a":1}'], 20.0) == Outcome("delivered")
    (found,) = bucket.list_objects_v2(Bucket="bucket")["Contents"]
    assert found["Key"].startswith(f"{prefix}20")
    assert found["Key"].endswith(".gz")
    stored = bucket.get_object(Bucket="bucket", Key=found["Key"])
    assert (stored["ContentType"], events_of(stored["Body"].read())[1]) == ("application/gzip", [b'{"a":1}'])


def test_an_object_that_cannot_be_read(bucket: Any) -> None:
    """An object that a lifecycle has archived does not prevent reading the others."""
    bucket.put_object(Bucket="bucket", Key="1.gz", Body=b"one", StorageClass="GLACIER")
    bucket.put_object(Bucket="bucket", Key="2.gz", Body=b"two")
    store = open_store("s3://bucket")
    first, second = store.list()
    with pytest.raises(ValueError, match="InvalidObjectState"):
        store.get(first)
    assert store.get(second) == b"two"
    with pytest.raises(KeyError):
        store.get("3")
    store.close()


def test_the_request_to_aws_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes to the bucket's own host by HTTPS, signed, in one piece, with a checksum; nothing is asked before."""
    aws.use("", monkeypatch)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    sent: list[tuple[Any, ...]] = []

    class Recorder:
        def __init__(self, origin: str) -> None:
            sent.append((origin,))

        def request(self, *request: Any) -> Answer:
            sent.append(request)
            return Answer(200, {}, b"")

        def close(self) -> None:
            pass

    monkeypatch.setattr(_aws, "Transport", Recorder)
    assert open_store("s3://bucket/parked").put(b"batch", "name", 20.0) == Outcome("delivered")
    _, (origin,), (method, path, body, headers, seconds) = sent
    assert (origin, method, path) == ("https://bucket.s3.eu-west-1.amazonaws.com", "PUT", "/parked/name.gz")
    assert body == b"batch"
    assert headers["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(b"batch").digest()).decode()
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
    assert not {"expect", "transfer-encoding", "content-encoding", "content-length"} & {
        name.lower() for name in headers
    }
    assert 0 < seconds <= 20


def test_what_was_put_is_listed_read_and_deleted(bucket: Any) -> None:
    """Oldest first, below the prefix only; other files are left alone."""
    store = open_store("s3://bucket/parked")
    for name in ("2", "1", "3"):
        store.put(name.encode(), name, 20.0)
    for key in ("parked/README", "parkedtoo/4.gz"):
        bucket.put_object(Bucket="bucket", Key=key, Body=b"not ours")
    assert [(name, store.get(name)) for name in store.list()] == [("1", b"1"), ("2", b"2"), ("3", b"3")]
    store.delete("2")
    store.delete("2")
    assert [*store.list()] == ["1", "3"]
    with pytest.raises(KeyError):
        store.get("2")


@pytest.mark.usefixtures("bucket")
class TestContract(testing.ExporterContract):
    def make(self) -> StoreExporter:
        return StoreExporter(open_store("s3://bucket/parked"), OF)
