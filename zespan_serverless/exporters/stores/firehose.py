"""A stream of Firehose: one record for each batch. It writes several into one object of S3, which `replay` can read."""

from __future__ import annotations

from typing import Any

from ._aws import AwsStore


class DeliveryStream(AwsStore):
    """`firehose://stream`."""

    service: str = "firehose"
    form: str = "firehose://stream"
    limit = 1_024_000  # 1,000 KiB before base64

    def write(self, client: Any, batch: bytes, name: str) -> object:
        return client.put_record(DeliveryStreamName=self.place, Record={"Data": batch})
