"""The exporter interface for type checkers. `exporters.Exporter` is the base class that users derive from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .reports import Outcome


class Fallback(Protocol):
    """The minimum that the setting `fallback` accepts: an object of any class with this method."""

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        """Keep events, as the exporter has encoded them, within `timeout` seconds. An exception counts as `retry`."""
        ...


class CustomExporter(Protocol):
    """The minimum that the setting `exporter` accepts: an object of any class with these two methods."""

    def encode(self, record: Any) -> bytes:
        """Encode one record as the bytes to be sent. If it raises, the event is dropped and counted."""
        ...

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        """Send encoded events within `timeout` seconds. An exception counts as the outcome `retry`."""
        ...


class Exporter(CustomExporter, Protocol):
    """What the delivery calls. The container adds the methods that a user's exporter does not have.

    `encode` is called by any thread, the other methods by one thread at a time, and all without our lock. `prepare` and
    `destination` (see `exporters.Exporter`) are optional.
    """

    def cancel(self) -> None:
        """Make a `send` or `prepare` in another thread end now, and give up its connection. Must not block."""
        ...

    def close(self) -> None:
        """Close connections while no other method runs. A later `send` (after a fork or a restore) opens new ones."""
        ...
