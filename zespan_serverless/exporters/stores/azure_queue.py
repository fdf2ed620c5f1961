"""A queue of Azure Storage: one message for each batch, in base64, because messages are text."""

from __future__ import annotations

import base64
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..._base.forks import importing
from ..._base.guard import pass_on
from ..._base.reports import Outcome
from ...errors import ConfigurationError
from . import Store, from_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_HIDDEN = 300  # seconds during which listed messages are hidden from other receivers
_VARIABLES = ("AZURE_STORAGE_CONNECTION_STRING", "AzureWebJobsStorage")


class StorageQueue(Store):
    """`azurequeue://queue` in the account of a connection string in the environment, or `azurequeue://account/queue`.

    With an account azure-identity provides the credentials, such as those of a managed identity. The SDK cannot be
    interrupted, so `put` ends by its timeouts.
    """

    limit = 49_152  # 64 KiB in base64

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        account, slash, queue = f"{parts.netloc}{parts.path}".strip("/").rpartition("/")
        if not queue or "/" in account or "@" in parts.netloc or parts.query:
            raise ConfigurationError("a queue of Azure must be like azurequeue://queue or azurequeue://account/queue")
        self._account, self._queue = account, queue
        self.url: str = f"azurequeue://{account}{slash}{queue}"
        # The SDK starts threads, and cannot while the interpreter shuts down.
        import_module("concurrent.futures.thread")
        self._client: Any = None
        self._received: dict[str, Any] = {}  # messages by their ids

    def put(self, batch: bytes, name: str, timeout: float) -> Outcome:
        text = base64.b64encode(batch).decode()
        half = max(timeout / 2, 0.001)  # it may need both
        self._ready().send_message(text, time_to_live=-1, connection_timeout=half, read_timeout=half)
        return Outcome("delivered")

    def prepare(self, timeout: float) -> None:
        self._ready()

    def close(self) -> None:
        received, self._received = self._received, {}
        client, self._client = self._client, None
        if client is not None:
            for message in received.values():
                try:
                    client.update_message(message, visibility_timeout=0)
                except Exception as error:  # it is visible to others again, or the next delete may succeed
                    pass_on(error)
            client.close()

    def list(self) -> Iterator[str]:
        """Receive messages until the queue is empty. Those that are not deleted become visible again after `close`."""
        for message in self._ready().receive_messages(messages_per_page=32, visibility_timeout=_HIDDEN):
            if message.id in self._received:
                return
            self._received[message.id] = message
            yield message.id

    def get(self, name: str) -> bytes:
        return from_text(self._received[name].content)

    def delete(self, name: str) -> None:
        self._ready().delete_message(self._received.pop(name))

    def _ready(self) -> Any:
        if self._client is None:
            with importing():
                import_module("encodings.idna")  # resolving the name would
                self._client = self._new_client()
        return self._client

    def _new_client(self) -> Any:
        from azure.storage.queue import QueueClient

        if self._account:
            credential = import_module("azure.identity").DefaultAzureCredential()
            host = self._account if "." in self._account else f"{self._account}.queue.core.windows.net"
            return QueueClient(f"https://{host}", self._queue, credential, retry_total=0)
        text = next(filter(None, map(os.environ.get, _VARIABLES)), None)
        if text is None:
            raise LookupError(f"{self.url} needs {' or '.join(_VARIABLES)}")
        return QueueClient.from_connection_string(text, self._queue, retry_total=0)
