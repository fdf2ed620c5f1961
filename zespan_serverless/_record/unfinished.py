"""Spans that never ended: their records.

A function that times out, runs out of memory, or is killed leaves an unfinished invocation, and often a model call in
it. The thread that receives SIGTERM, or the next process in the sandbox, then reports them. It reuses the event id, so
the backend deduplicates if the original did arrive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .record import Record, Status

_TIMED_OUT = "the function was still running at its timeout"


def timed_out(begun: Record, noted: Mapping[str, Any]) -> Record:
    """Return the record of a span that the function's timeout has ended. `noted`: the time and the stack, if known."""
    record = ended(begun, noted["deadline"], "timeout", _TIMED_OUT)
    if record.kind == "invocation":
        record.attributes = {**record.attributes, "stack": noted.get("stack")}
    return record


def ended(begun: Record, until: float, status: Status, text: str) -> Record:
    """Return the record of a span that has ended without its function."""
    record = begun.copy()
    record.ended = max(begun.ended, until)
    record.duration_ms = (record.ended - begun.ended) * 1000
    record.status, record.error = status, text
    known = begun.attributes if isinstance(begun.attributes, dict) else {}  # they may be redacted as a whole
    record.attributes = {**known, "error.type": status}
    return record
