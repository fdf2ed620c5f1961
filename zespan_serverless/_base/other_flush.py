"""The outcome of another SDK's flush. Not in `reports`, which every cold start imports."""

from __future__ import annotations

from typing import Literal

from . import Value


class OtherFlush(Value):
    """The result of another SDK's flush, by the setting `flush`; one of `FlushReport.others`.

    Attributes:
        name: The name, function or class that the setting has.
        outcome: `done`: it returned in time.
            `failed`: it raised, or returned False. `detail` says what.
            `timeout`: it had not returned when the time was over, and goes on in its own thread; or it has given up
            at its end, without an error.
            `absent`: no SDK of this name has been imported, or it has nothing to flush.
            `skipped`: it was not waited for, because an earlier flush of it took too long; `detail` says which.
        seconds: How long it took; with `timeout` how long it was waited for.
        detail: Says what happened, if it is not `done`.
    """

    __slots__ = ("detail", "name", "outcome", "seconds")

    def __init__(
        self,
        name: str,
        outcome: Literal["done", "failed", "timeout", "absent", "skipped"],
        seconds: float = 0.0,
        detail: str = "",
    ) -> None:
        self.name: str = name
        self.outcome = outcome
        self.seconds: float = seconds
        self.detail: str = detail
