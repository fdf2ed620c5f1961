"""A stream of Firehose: one record for each batch; several in one object of S3."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exporters.stores import aws
from zespan_serverless import testing
from zespan_serverless.errors import ConfigurationError
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.stores import StoreExporter, batches_of, open_store

pytestmark = pytest.mark.slow  # moto

OF = {"exporter": "zespan", "content_type": "application/json"}


def test_a_batch_is_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """The object that Firehose writes has the batches one after the other."""
    with aws.aws_server() as url:
        aws.use(url, monkeypatch)
        s3 = aws.client("s3", url)
        s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": aws.REGION})
        aws.client("firehose", url).create_delivery_stream(
            DeliveryStreamName="delivery",
            S3DestinationConfiguration={"RoleARN": "arn:aws:iam::1:role/r", "BucketARN": "arn:aws:s3:::bucket"},
        )
        store = open_store("firehose://delivery")
        exporter = StoreExporter(store, OF)
        assert [exporter.send([b"%d" % number], 20.0) for number in range(2)] == [Outcome("delivered")] * 2
        keys = [found["Key"] for found in s3.list_objects_v2(Bucket="bucket")["Contents"]]
        written = b"".join(s3.get_object(Bucket="bucket", Key=key)["Body"].read() for key in keys)
    assert sorted(events for _, events in batches_of(written)) == [[b"0"], [b"1"]]
    with pytest.raises(ConfigurationError, match="firehose://delivery cannot be read back"):
        store.list()


class TestContract(testing.ExporterContract):
    @pytest.fixture(autouse=True)
    def stream(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with aws.aws_server() as url:
            aws.use(url, monkeypatch)
            where = {"LocationConstraint": aws.REGION}
            aws.client("s3", url).create_bucket(Bucket="bucket", CreateBucketConfiguration=where)
            aws.client("firehose", url).create_delivery_stream(
                DeliveryStreamName="delivery",
                S3DestinationConfiguration={"RoleARN": "arn:aws:iam::1:role/r", "BucketARN": "arn:aws:s3:::bucket"},
            )
            yield

    def make(self) -> StoreExporter:
        return StoreExporter(open_store("firehose://delivery"), OF)
