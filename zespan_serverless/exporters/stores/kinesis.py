"""A stream of Kinesis: one record for each batch. Its reader forwards them, see `aws_lambda.forwarder`."""

from __future__ import annotations

from typing import Any

from ._aws import AwsStore


class Stream(AwsStore):
    """`kinesis://stream`."""

    service: str = "kinesis"
    form: str = "kinesis://stream"
    limit = 10_485_760 - 64  # 10 MiB with the partition key
    accepted = 1_048_576 - 64  # 1 MiB, unless the stream's MaxRecordSizeInKiB is higher

    def write(self, client: Any, batch: bytes, name: str) -> object:
        return client.put_record(StreamName=self.place, Data=batch, PartitionKey=name)
