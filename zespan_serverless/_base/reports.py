"""What exporters and the delivery report: types that every floor uses."""

from __future__ import annotations

from typing import Literal

from . import Value

Verdict = Literal["delivered", "retry", "refused", "unauthorized"]


class Outcome(Value):
    """What became of one batch.

    `delivered`: acknowledged. `retry`: may well succeed later, with `retry_after` not before so many seconds (60 at
    most are honoured). `refused`: something in this batch will never be taken; it is cut in halves until that stands
    alone, and dropped. `unauthorized`: nothing will be taken with this key. `detail` says what happened, for a person.
    """

    __slots__ = ("detail", "retry_after", "verdict")

    def __init__(
        self,
        verdict: Verdict,
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.verdict = verdict
        self.detail = detail
        self.retry_after = retry_after


class Dropped(Value):
    """Events that will not be delivered; what `on_error` is called with.

    `reason`: `buffer_full`, `too_large`, `unencodable`, `refused`, `unauthorized`, `closed` or `torn` (half a record
    that a killed process has left). `too_large` are also events that single-handedly used up the time of a flush three
    times, while others got through. `payloads`: the events as they would have been sent (without those that could not
    be encoded, and of more than 1,000, or of more than `max_bytes`, only the last).
    """

    __slots__ = ("detail", "events", "payloads", "reason")

    def __init__(
        self,
        events: int,
        reason: str,
        detail: str = "",
        payloads: tuple[bytes, ...] = (),
    ) -> None:
        self.events = events
        self.reason = reason
        self.detail = detail
        self.payloads = payloads


class FlushReport(Value):
    """What one flush came to, in events captured before it began: each was delivered, dropped, or is still pending.

    `elapsed` in seconds. `reason` says why some are pending: `deadline`, `no_time` (there was none to begin with),
    `breaker_open` (the backend is known to be away), `retry_after` (it asked for silence), `stuck` (senders hang where
    nothing can cut them off, or on_error called flush), `failed` (telemetry itself has, and the log says how).
    """

    __slots__ = ("delivered", "dropped", "elapsed", "pending", "reason")

    def __init__(
        self,
        delivered: int = 0,
        dropped: int = 0,
        pending: int = 0,
        elapsed: float = 0.0,
        reason: str = "",
    ) -> None:
        self.delivered = delivered
        self.dropped = dropped
        self.pending = pending
        self.elapsed = elapsed
        self.reason = reason
