"""A stream of Kinesis: one record for each batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exporters.stores import aws
from zespan_serverless import testing
from zespan_serverless.errors import ConfigurationError
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.stores import StoreExporter, events_of, open_store

pytestmark = pytest.mark.slow  # moto

OF = {"exporter": "zespan", "content_type": "application/json"}


def test_a_batch_is_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a partition key of its own, so that batches go to all shards; and a stream cannot be replayed."""
    with aws.aws_server() as url:
        aws.use(url, monkeypatch)
        client = aws.client("kinesis", url)
        client.create_stream(StreamName="stream", ShardCount=1)
        store = open_store("kinesis://stream")
        exporter = StoreExporter(store, OF)
        assert [exporter.send([b"%d" % number], 20.0) for number in range(2)] == [Outcome("delivered")] * 2
        shard = client.describe_stream(StreamName="stream")["StreamDescription"]["Shards"][0]["ShardId"]
        place = client.get_shard_iterator(StreamName="stream", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        records = client.get_records(ShardIterator=place["ShardIterator"])["Records"]
    assert [events_of(record["Data"])[1] for record in records] == [[b"0"], [b"1"]]
    assert len({record["PartitionKey"] for record in records}) == 2
    with pytest.raises(ConfigurationError, match="kinesis://stream cannot be read back"):
        store.list()


class TestContract(testing.ExporterContract):
    @pytest.fixture(autouse=True)
    def stream(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with aws.aws_server() as url:
            aws.use(url, monkeypatch)
            aws.client("kinesis", url).create_stream(StreamName="stream", ShardCount=1)
            yield

    def make(self) -> StoreExporter:
        return StoreExporter(open_store("kinesis://stream"), OF)
