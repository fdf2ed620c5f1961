"""What the delivery needs of a destination, for type checkers; `exporters.Exporter` is the base class for users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .reports import Outcome


class CustomExporter(Protocol):
    """The least that the setting `exporter` takes: an object with these two methods, of whatever class."""

    def encode(self, record: Any) -> bytes:
        """One record as the bytes that will be sent. May raise: the event is then dropped and counted."""
        ...

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        """Send encoded events, taking about `timeout` seconds at most. May raise OSError: that is a `retry`."""
        ...


class Exporter(CustomExporter, Protocol):
    """What the delivery calls; the container adds what a user's exporter leaves out.

    `encode` is called by any thread, the others by one at a time, and none while a lock of ours is held. `prepare` and
    `destination` (see `exporters.Exporter`) are used where there are such.
    """

    def cancel(self) -> None:
        """Make a `send` or `prepare` in another thread end now, and forget its connection. Must not block."""
        ...

    def close(self) -> None:
        """Give up connections; nobody uses them. `send` may follow (after a fork, a restore) and opens new ones."""
        ...
