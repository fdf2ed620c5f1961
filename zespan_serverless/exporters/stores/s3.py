"""A bucket of S3: one object for each batch, whose key begins with the time, so that a lifecycle can remove the old."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from ._aws import AwsStore

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bucket(AwsStore):
    """`s3://bucket/prefix`, of which only objects are listed whose keys end in `suffix`."""

    service: str = "s3"
    form: str = "s3://bucket/prefix"

    def __init__(self, url: str, suffix: str = ".gz") -> None:
        super().__init__(url)
        self._suffix = suffix
        self._bucket, _, prefix = self.place.partition("/")
        self._prefix = f"{prefix}/" if prefix else ""

    def write(self, client: Any, batch: bytes, name: str) -> object:
        checksum = base64.b64encode(hashlib.sha256(batch).digest()).decode()  # without one botocore sends chunks
        return client.put_object(
            **self._where(name), Body=batch, ContentType="application/gzip", ChecksumSHA256=checksum
        )

    def list(self) -> Iterator[str]:
        """Return the names, oldest first."""
        pages = self.client_to_read().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
            for found in page.get("Contents", []):
                if found["Key"].endswith(self._suffix):
                    yield found["Key"].removeprefix(self._prefix).removesuffix(self._suffix)

    def get(self, name: str) -> bytes:
        client = self.client_to_read()
        try:
            data: bytes = client.get_object(**self._where(name))["Body"].read()
        except client.exceptions.NoSuchKey:
            raise KeyError(name) from None
        except client.exceptions.ClientError as error:  # forbidden, or in an archive; the next one may be neither
            raise ValueError(str(error)) from error
        return data

    def delete(self, name: str) -> None:
        self.client_to_read().delete_object(**self._where(name))

    def _where(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{name}{self._suffix}"}
