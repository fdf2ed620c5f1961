"""The one form in which spans of all formats are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TEXT_MAX = 500  # characters of a name or an id; the event itself is kept whole
_NUMBER_MAX = 2**53  # beyond it a page's numbers are not exact
_COUNT_MAX = 10**12  # the sum over all events of a run is to be a number of SQLite, which has 63 bits
_LAST_MS = 253_402_300_799_000.0  # of the year 9999


class BadBody(ValueError):
    """A request's body that cannot be read; the text says why."""


@dataclass(slots=True)
class Span:
    """What lists, lanes and sums need of a span. Times are milliseconds since the epoch.

    `raw` is the event as it arrived, as JSON in the format `format`: `details` reads the rest of it when a page asks.
    `function` and `instance` say who has sent it, where the event tells.
    """

    event_id: str
    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    start: float
    end: float
    status: str  # ok, error, timeout, crashed
    error: str | None
    format: str
    raw: str
    provider: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    first_token_ms: float | None = None
    user_id: str | None = None
    session_id: str | None = None
    function: str | None = None
    instance: str | None = None
    request_id: str | None = None
    start_kind: str | None = None
    memory_mb: int | None = None
    is_root: bool = False


def text(value: Any, longest: int = TEXT_MAX) -> str | None:
    """Return a value as a short text that can be stored; None for nothing, and for what is neither text nor number."""
    if type(value) is not str:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return None
        value = str(value)
    if not value:
        return None
    cut: str = value[:longest]
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()


def number(value: Any) -> float | None:
    """Return a number that can be added to as many others as a run has; None for anything else, as for infinity."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) <= _NUMBER_MAX else None  # which NaN is not, either


def count(value: Any) -> int | None:
    """Return a number of tokens or bytes, not negative; None for anything else."""
    found = number(value)
    return int(found) if found is not None and 0 <= found <= _COUNT_MAX else None


def moment(value: float | None) -> float:
    """Return milliseconds since the epoch within what calendars have."""
    return round(min(max(0.0, value or 0.0), _LAST_MS), 3)
