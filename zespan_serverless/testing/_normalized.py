"""`normalized`: events without values that differ from run to run, for comparison as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._recording import Event

# Names of ids, by what they identify: things of one kind are counted together.
_IDS = {
    "event_id": "event",
    "trace_id": "trace",
    "span_id": "span",
    "parent_span_id": "span",
    "faas.invocation_id": "invocation",
}
_LEFT_OUT = frozenset(("sdk_version", "memory_max_rss_bytes", "init_duration_ms"))
"""Fields that depend on the version of this package, or on the process."""


def normalized(events: Iterable[Mapping[str, Any]], *, unit: float = 1.0) -> list[Event]:
    """Return copies of events that are the same in every run, for comparison as a whole, or with a snapshot.

    Ids become numbers, in the order of their appearance; a parent has the number of its span. A `timestamp` becomes the
    seconds since the first event began. It and all durations (in milliseconds) are rounded to `unit`. The version of
    this package, the memory of the process, and how long it took to start are left out.

    Args:
        events: Events with the field names of the SDK `zespan`.
        unit: Seconds that times are rounded to. Choose far more than the test takes.
    """
    events = [*events]
    began = min((start for event in events if (start := _began(event)) is not None), default=0.0)
    normalizer = _Normalizer(began, unit)
    named = [normalizer.without_noise(event) for event in events]
    return [normalizer.with_numbers(event) for event in named]


class _Normalizer:
    def __init__(self, began: float, unit: float) -> None:
        self._began, self._unit = began, unit
        self._numbers: dict[str, dict[str, int]] = {}  # by kind
        self._known: dict[str, int] = {}

    def without_noise(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields with ids and times replaced."""
        return {name: self._field(name, value) for name, value in fields.items() if name not in _LEFT_OUT}

    def with_numbers(self, value: Any) -> Any:
        """Return the value with numbers for ids under other names, such as in a message."""
        if isinstance(value, dict):
            return {name: self.with_numbers(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.with_numbers(inner) for inner in value]
        return self._known.get(value, value) if isinstance(value, str) else value

    def _field(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return self.without_noise(value)
        if name in _IDS and isinstance(value, str):
            numbers = self._numbers.setdefault(_IDS[name], {})
            self._known[value] = numbers.setdefault(value, len(numbers) + 1)
            return self._known[value]
        if name == "timestamp" and (ended := _seconds(value)) is not None:
            return self._rounded(ended - self._began, self._unit)
        if name.endswith("_ms") and isinstance(value, (int, float)):
            return self._rounded(value, self._unit * 1000)
        return "cold" if name == "start_kind" and value == "proactive" else value  # which depends on the time only

    def _rounded(self, value: float, step: float) -> float:
        result = round(value / step) * step
        return int(result) if result == int(result) else result


def _began(event: Mapping[str, Any]) -> float | None:
    """Return when an event began, whose `timestamp` is its end."""
    ended, took = _seconds(event.get("timestamp")), event.get("latency_ms")
    return None if ended is None else ended - (took / 1000 if isinstance(took, (int, float)) else 0.0)


def _seconds(timestamp: object) -> float | None:
    try:
        return datetime.fromisoformat(str(timestamp)).timestamp()
    except ValueError:
        return None
