"""Reports of exporters and the delivery: the outcome of a batch, dropped events, and the result of a flush."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import Value

if TYPE_CHECKING:
    from typing import Literal

    from .other_flush import OtherFlush

    Verdict = Literal["delivered", "retry", "refused", "unauthorized"]


class Outcome(Value):
    """The result of `Exporter.send` for one batch.

    Attributes:
        verdict: `delivered`: the destination has acknowledged the batch.
            `retry`: it may accept the batch later.
            `refused`: it will never accept an event of this batch. The batch is split in halves until that event is
            alone, and dropped.
            `unauthorized`: it does not accept the key. The batch is dropped.
        detail: Says what happened, for log messages.
        retry_after: With `retry`: seconds to wait before the next request, at most 60. None: as the breaker decides.
        rejected: With `delivered`: how many events of the batch it has rejected for ever. They are dropped as
            `refused`. Where it does not say which, they count as the last ones.
        suspect: With `retry`: an event of the batch may be to blame, as with HTTP 500. Batches become smaller; an event
            that fails alone ten times, and for ten minutes, while others are delivered, is dropped as `refused`.
    """

    __slots__ = ("detail", "rejected", "retry_after", "suspect", "verdict")
    _rare = ("suspect",)

    def __init__(
        self,
        verdict: Verdict,
        detail: str = "",
        retry_after: float | None = None,
        rejected: int = 0,
        suspect: bool = False,
    ) -> None:
        self.verdict = verdict
        self.detail: str = detail
        self.retry_after: float | None = retry_after
        self.rejected: int = rejected
        self.suspect: bool = suspect


class Dropped(Value):
    """A group of dropped events: the argument of `on_error`.

    Attributes:
        events: How many events were dropped.
        reason: `buffer_full`: the buffer exceeded `max_events` or `max_bytes`; the oldest events are dropped.
            `too_large`: larger than a batch may be, or too slow to send: sent alone, it used up the time of a flush
            three times, while other events were delivered.
            `unencodable`: the event could not be built or encoded.
            `refused`: the destination does not accept the event.
            `unauthorized`: the destination does not accept the key.
            `closed`: still pending at the end of `shutdown()` or of the process, or captured after that.
            `torn`: an incomplete record in the journal of a killed process.
        detail: Says what happened, for log messages.
        payloads: The events as they would have been sent, without those that could not be encoded. Of more than 1,000
            events, or of more than `max_bytes` bytes, only the last ones.
        destination: Of several destinations, the one that does not get them; else empty.
    """

    __slots__ = ("destination", "detail", "events", "payloads", "reason")
    _rare = ("destination",)

    def __init__(
        self, events: int, reason: str, detail: str = "", payloads: tuple[bytes, ...] = (), destination: str = ""
    ) -> None:
        self.events: int = events
        self.reason: str = reason
        self.detail: str = detail
        self.payloads: tuple[bytes, ...] = payloads
        self.destination: str = destination


class FlushReport(Value):
    """The result of one flush: counts of the events that were pending when it began, per destination.

    Attributes:
        delivered: Events that the destination has acknowledged.
        dropped: Events that will not be delivered; `on_error` and the log say why.
        pending: Events that are kept, and sent by a later flush.
        parked: Events that the setting `fallback` has taken, because the destination could not have them.
        elapsed: Seconds that the flush took.
        reason: Why events are pending; empty if none are.
            `deadline`: the time for the flush was over.
            `no_time`: the invocation had no time left for a flush.
            `breaker_open`: recent attempts to reach the backend failed, and the next one is not due yet.
            `retry_after`: the backend has asked to wait.
            `stuck`: the sender hangs where it cannot be interrupted, or an exporter or `on_error` called flush.
            `failed`: telemetry itself failed, and the log says how.
        others: The results of other SDKs' flushes (setting `flush`), each a `types.OtherFlush`.
        destination: Of several destinations, the one that this is the report of; else empty.
        destinations: The report of each destination, if there are several and this is the report of all.
    """

    __slots__ = (
        *("delivered", "destination", "destinations", "dropped", "elapsed", "others", "parked", "pending", "reason"),
    )
    _rare = ("destination", "destinations", "others", "parked")

    def __init__(
        self,
        delivered: int = 0,
        dropped: int = 0,
        pending: int = 0,
        elapsed: float = 0.0,
        reason: str = "",
        others: tuple[OtherFlush, ...] = (),
        destination: str = "",
        destinations: tuple[FlushReport, ...] = (),
        parked: int = 0,
    ) -> None:
        self.delivered = delivered
        self.dropped = dropped
        self.pending = pending
        self.elapsed = elapsed
        self.reason = reason
        self.others = others
        self.destination = destination
        self.destinations = destinations
        self.parked = parked
