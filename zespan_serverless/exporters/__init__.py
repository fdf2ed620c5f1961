"""Where events go. An exporter encodes one event and sends one batch; the delivery decides when, how often, how long.

class Mine(Exporter):
    @abstractmethod
    def send(self, batch, timeout):
        post(b"\n".join(batch), timeout=timeout)
        return Outcome("delivered")

@zespan_lambda(exporter=Mine())
def handler(event, context): ...
"""

from __future__ import annotations

from abc import ABC, ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Any

from .._base.reports import Dropped, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._base.exporter import CustomExporter
    from .._base.exporter import Exporter as CompleteExporter
    from ..settings import Settings

__all__ = ["Dropped", "Exporter", "Outcome", "build"]


class Exporter(ABC):
    """Base class of exporters. Yours needs `send` alone; the other methods have defaults.

    `encode` is called by any thread, the others by one at a time, and none while a lock of this package is held. An
    exporter that does not react to `cancel` is given up after a while: another `send` takes its batch again, and what
    the first one returns is ignored. In a forked child `close` is called by the thread that sends first, before
    anything else.
    """

    destination: str = ""
    """Where events go, as lines of the log name it, such as a URL; without secrets."""

    def encode(self, event: Mapping[str, Any]) -> bytes:
        """Encode one event as it will be sent; by default as JSON. What cannot be encoded is dropped and counted."""
        from .._record.event import encode

        return encode(event)

    @abstractmethod
    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        """Send encoded events, and say what became of them, within about `timeout` seconds.

        An exception counts as the outcome `retry`.
        """

    def prepare(self, timeout: float) -> None:  # noqa: B027
        """Open connections, within `timeout` seconds: called early, while there is nothing to send yet.

        What it raises is ignored.
        """

    def cancel(self) -> None:  # noqa: B027
        """Make a `send` or `prepare` in another thread end now, and give up its connection. Must not block."""

    def close(self) -> None:  # noqa: B027
        """Give up connections that nobody is using. `send` may follow (after a fork, a restore) and opens new ones."""


def build(settings: Settings) -> CompleteExporter:
    """The exporter that the settings name."""
    if not isinstance(settings.exporter, str):
        return _completed(settings.exporter)
    if settings.exporter == "console":
        from .console import ConsoleExporter

        return ConsoleExporter()
    if settings.exporter == "memory":
        from .memory import MemoryExporter

        return MemoryExporter()
    from .zespan import ZespanExporter

    return ZespanExporter(settings.base_url, settings.api_key, settings.api_key_secret)


def _completed(theirs: CustomExporter) -> CompleteExporter:
    """A user's exporter as it is, or, if it lacks methods that the delivery calls, one that has them."""
    if callable(getattr(theirs, "cancel", None)) and callable(getattr(theirs, "close", None)):
        return theirs  # type: ignore[return-value]  # it has all four methods
    kind = type(theirs)
    attributes: dict[str, object] = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,  # a journal belongs to a class of exporters
        "destination": property(lambda _: getattr(theirs, "destination", "")),
    }
    for name in ("encode", "send", "prepare", "cancel", "close"):
        if hasattr(theirs, name):
            attributes[name] = staticmethod(getattr(theirs, name))
    return ABCMeta(kind.__name__, (Exporter,), attributes)()  # type: ignore[no-any-return]
