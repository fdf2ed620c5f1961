"""A queue of SQS: one message for each batch, in base64, because messages are text."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from ..._base.guard import pass_on
from . import from_text
from ._aws import AwsStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HIDDEN = 300  # seconds during which listed messages are hidden from other receivers


class Queue(AwsStore):
    """`sqs://name` in the account of the credentials, or a queue's URL with `sqs` in place of `https`."""

    service: str = "sqs"
    form: str = "sqs://queue"
    limit = 786_432  # 1 MiB in base64
    accepted = 768  # a queue's MaximumMessageSize is 1 KiB at least

    def __init__(self, url: str) -> None:
        super().__init__(url)
        host, slash, _ = self.place.partition("/")
        self._queue_url = f"https://{self.place}" if slash else ""
        if slash and self.region is None and host.startswith("sqs."):
            self.region: str | None = host.split(".")[1]
        self._received: dict[str, tuple[str, bytes]] = {}  # by message id: receipt handle, batch

    def write(self, client: Any, batch: bytes, name: str) -> object:
        body = base64.b64encode(batch).decode()
        ordered = {"MessageGroupId": name, "MessageDeduplicationId": name} if self.place.endswith(".fifo") else {}
        return client.send_message(QueueUrl=self._url(client), MessageBody=body, **ordered)

    def list(self) -> Iterator[str]:
        """Receive messages until the queue is empty. Those that are not deleted become visible again after `close`."""
        client = self.client_to_read()
        known = set[str]()
        while messages := self._receive(client):
            new = [message["MessageId"] for message in messages if message["MessageId"] not in known]
            if not new:
                return
            known.update(new)
            self._received |= {m["MessageId"]: (m["ReceiptHandle"], from_text(m["Body"])) for m in messages}
            yield from new

    def get(self, name: str) -> bytes:
        return self._received[name][1]

    def delete(self, name: str) -> None:
        handle, _ = self._received.pop(name)
        client = self.client_to_read()
        client.delete_message(QueueUrl=self._url(client), ReceiptHandle=handle)

    def close(self) -> None:
        received, self._received = self._received, {}
        for handle, _ in received.values():
            client = self.client_to_read()
            try:
                client.change_message_visibility(QueueUrl=self._url(client), ReceiptHandle=handle, VisibilityTimeout=0)
            # It is visible to others again, or the next delete may succeed.
            except client.exceptions.ClientError as error:
                pass_on(error)
        super().close()

    def _receive(self, client: Any) -> Sequence[dict[str, Any]]:
        found: dict[str, Sequence[dict[str, Any]]] = client.receive_message(
            QueueUrl=self._url(client), MaxNumberOfMessages=10, VisibilityTimeout=_HIDDEN, WaitTimeSeconds=1
        )
        return found.get("Messages", [])

    def _url(self, client: Any) -> str:
        if not self._queue_url:
            self._queue_url = client.get_queue_url(QueueName=self.place)["QueueUrl"]
        return self._queue_url
