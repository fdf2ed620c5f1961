r"""Where events go. An exporter encodes one event and sends one batch; the delivery decides when, how often, how long.

This is a custom exporter for `@zespan_lambda(exporter=Mine())`::

    class Mine(Exporter):
        def send(self, batch, timeout):
            post(b"\n".join(batch), timeout=timeout)
            return Outcome("delivered")
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .._base.reports import Dropped, Outcome
from ._event import Event, encoded, event_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._record.record import Record


__all__ = ["Dropped", "Event", "Exporter", "Outcome", "event_of"]


class Exporter(ABC):
    """Base class of exporters. A subclass needs only `send`; the other methods have defaults.

    `encode` is called by any thread, the others by one at a time, and none while a lock of this package is held. An
    exporter that does not react to `cancel` is abandoned after a while: its batch is sent again, and the result of the
    first `send` is ignored. In a forked child `close` is called by the thread that sends first, before anything else.
    """

    destination: str = ""
    """The destination for log lines, such as a URL; without secrets."""

    def encode(self, record: Record) -> bytes:
        """Encode one record as it will be sent. A record that cannot be encoded is dropped and counted.

        By default it becomes the JSON of an event with the field names of the SDK `zespan`. The record has been
        sampled, redacted and limited already.
        """
        return encoded(record)

    @abstractmethod
    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        """Send encoded events within about `timeout` seconds, and return the outcome.

        An exception counts as the outcome `retry`.
        """

    def prepare(self, timeout: float) -> None:  # noqa: B027
        """Open connections, within `timeout` seconds: called early, before there is anything to send.

        Exceptions are ignored.
        """

    def cancel(self) -> None:  # noqa: B027
        """Make a `send` or `prepare` in another thread end now, and give up its connection. Must not block."""

    def close(self) -> None:  # noqa: B027
        """Close unused connections. `send` may follow (after a fork, a restore) and opens new ones."""
