"""Stores keep encoded events until they can be delivered: a directory, a bucket, a queue.

A store holds batches. Each is one named blob with the events as they would have been sent, so that sending them later
produces the same events with the same ids. `zcat` shows its content: a header line, then alternately a line with a size
and a line with an event:

    {"version":1,"exporter":"zespan","content_type":"application/json","events":2}
    81
    {"event_id":...}
    77
    {"event_id":...}
"""

from __future__ import annotations

import binascii
import json
import os
import time
import zlib
from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from ..._base.reports import Outcome
from ...errors import ConfigurationError
from .. import Exporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

STORES = {
    "file": ("directory", "Directory"),
    "s3": ("s3", "Bucket"),
    "sqs": ("sqs", "Queue"),
    "kinesis": ("kinesis", "Stream"),
    "firehose": ("firehose", "DeliveryStream"),
    "pubsub": ("pubsub", "Topic"),
    "azurequeue": ("azure_queue", "StorageQueue"),
}
"""The module and the class for each scheme of URLs. The class is created with the URL."""

BATCH_MAX = 16_777_216
"""Bytes of a batch after decompression that are read at most: four times the maximum of `batch_bytes`."""

GZIP = 31  # zlib's number for gzip's header


class Store(ABC):
    """Where batches are kept. The sender's thread calls `prepare`, `put` and `close`; any thread calls `cancel`.

    Creating one must be cheap, and imports no SDK: that is done by `prepare`, or else by the first `put`. A store that
    is only written to, such as a stream, leaves out `list`, `get` and `delete`.
    """

    url: str = ""
    """The URL or path for the log and `replay`, without secrets."""
    limit: int = 0
    """Bytes of the largest batch that `put` accepts; 0 if there is no limit."""

    @abstractmethod
    def put(self, batch: bytes, name: str, timeout: float) -> Outcome:
        """Store a batch, within `timeout` seconds. The name is unique, and sorts by time.

        `delivered`: the batch will survive this process. `retry`: not now. `refused`: it is too large. An exception
        counts as `retry`.
        """

    def prepare(self, timeout: float) -> None:  # noqa: B027
        """Import what is needed and open connections, within `timeout` seconds. What it raises is ignored."""

    def cancel(self) -> None:  # noqa: B027
        """Make `put` in another thread end now, if it can be interrupted. Must not block."""

    def close(self) -> None:  # noqa: B027
        """Give up connections. `put` may follow (after a fork, a restore) and opens new ones."""

    def list(self) -> Iterator[str]:
        """Return the names of the batches, oldest first as far as the store knows."""
        self._is_write_only()

    def get(self, name: str) -> bytes:
        """Read a batch. Raises KeyError if it is gone, OSError or ValueError if only this one cannot be read."""
        self._is_write_only()

    def delete(self, name: str) -> None:
        """Remove a batch, because its events have been delivered. One that is gone already is no error."""
        self._is_write_only()

    def _is_write_only(self) -> NoReturn:
        raise ConfigurationError(f"{self.url} cannot be read back: have what consumes it forward the batches")


class StoreExporter(Exporter):
    """Puts each batch of events into a store.

    `of`: the exporter that the events have been encoded for. `context`: returns what else of it the events need.
    """

    def __init__(
        self, store: Store, of: Mapping[str, str], context: Callable[[], Mapping[str, Any]] | None = None
    ) -> None:
        self.store: Store = store
        self.of: Mapping[str, str] = of
        self._context = context
        self.needs_time: bool = type(store).prepare is not Store.prepare
        """Whether to prepare it in advance."""

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        deadline = time.monotonic() + timeout  # before compressing, whose time counts
        blob = batch_of(batch, self.of if self._context is None else {**self.of, **self._context()})
        if 0 < self.store.limit < len(blob):
            return Outcome("refused", f"{len(blob)} bytes; {self.store.url} accepts {self.store.limit}")
        return self.store.put(blob, _new_name(), deadline - time.monotonic())

    def prepare(self, timeout: float) -> None:
        self.store.prepare(timeout)

    def cancel(self) -> None:
        self.store.cancel()

    def close(self) -> None:
        self.store.close()

    @property
    def destination(self) -> str:  # type: ignore[override]  # the store's
        """Return the store's URL."""
        return self.store.url


def exporter_to(url: str) -> StoreExporter:
    """Return an exporter that puts Zespan's events into the store of a URL, for later delivery.

    Raises ConfigurationError for an unknown store, or one whose package is not installed.
    """
    from ...settings._stores import store

    store(url, "url")
    return StoreExporter(open_store(url), {"exporter": "zespan", "content_type": "application/json"})


def open_store(url: str) -> Store:
    """Open the store of a URL or a directory's path. Raises ConfigurationError for an unknown one."""
    scheme, separator, _ = url.partition("://")
    module, name = STORES.get(scheme.lower() if separator else "file" if url else "", ("", ""))
    if not module:
        known = ", ".join(f"{scheme}://" for scheme in STORES)
        raise ConfigurationError(f"a store must be a directory's path, or a URL that begins with one of {known}")
    store: Store = getattr(import_module(f"{__name__}.{module}"), name)(url)
    return store


def batch_of(events: Sequence[bytes], of: Mapping[str, Any]) -> bytes:
    """Return one blob of encoded events. `of`: the header's `exporter` and `content_type`."""
    header = json.dumps({"version": 1, **of, "events": len(events)}, separators=(",", ":"))
    framed = b"".join(b"%d\n%b\n" % (len(data), data) for data in events)
    return zlib.compress(header.encode() + b"\n" + framed, level=1, wbits=GZIP)


def from_text(text: str) -> bytes:
    """Return the blob in a queue's text message; a text that is not base64 is returned unchanged."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return text.encode()


def events_of(batch: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Return a blob's header and events. Raises ValueError if it is damaged, or of a later version."""
    header, events, _ = _first_of(batch)
    return header, events


def batches_of(data: bytes) -> list[tuple[dict[str, Any], list[bytes]]]:
    """Do the same for several blobs in a row, or in lines, as Firehose writes them into one object."""
    batches: list[tuple[dict[str, Any], list[bytes]]] = []
    while data or not batches:
        header, events, rest = _first_of(data)
        batches.append((header, events))
        data = rest.lstrip(b"\n")
    return batches


def _first_of(data: bytes) -> tuple[dict[str, Any], list[bytes], bytes]:
    """Return the header and the events of the first blob, and the bytes after it."""
    try:
        unpacker = zlib.decompressobj(GZIP)
        data = unpacker.decompress(data, BATCH_MAX)
        if not unpacker.eof:
            raise ValueError("incomplete, or too large")
        end = data.find(b"\n")
        header: dict[str, Any] = json.loads(data[:end])
        version = header["version"]
        events = _unframed(data, end + 1, header["events"]) if version == 1 else []
    except (ValueError, zlib.error, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is no batch of events: {error}") from None
    if version != 1:
        raise ValueError(f"it has version {version!r}, which only a later release can read")
    return header, events, unpacker.unused_data


def _unframed(data: bytes, at: int, count: int) -> list[bytes]:
    """Return all events, which begin at this index. Leftover bytes are an error, because the batch will be deleted."""
    events = []
    for _ in range(count):
        end = data.find(b"\n", at)
        start, size = end + 1, int(data[at:end]) if end >= 0 else -1
        at = start + size + 1
        if size < 0 or data[at - 1 : at] != b"\n":
            raise ValueError("an event is incomplete")
        events.append(data[start : at - 1])
    if at != len(data):
        raise ValueError("it has more events than it says")
    return events


def _new_name() -> str:
    """Return a name that no other batch has, even from copied processes; it begins with the time (UTC)."""
    now = time.time()
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    return f"{moment}.{int(now * 1e6) % 1_000_000:06}Z-{os.urandom(6).hex()}"
