"""Lifecycle records, which only the tools send; dev/PROTOCOL.md lists them."""

from __future__ import annotations

import time
from typing import Any

from .body import lines, parsed
from .span import BadBody, moment, number, text

Record = dict[str, Any]

_TEXTS = {
    *("request_id", "trace_id", "span_id", "parent_span_id", "event_id", "name", "kind", "host", "function", "handler"),
    *("status", "outcome", "reason", "detail"),
}
_NUMBERS = {
    *("memory_mb", "timeout_ms", "duration_ms", "deadline", "reserve_ms", "flush_timeout_ms", "delivered", "pending"),
    *("parked", "events", "init_ms", "handler_ms", "after_ms", "billed_ms", "max_memory_mb"),
}


def read(body: bytes) -> list[Record]:
    """Return the records of a request, each with `type`, `sandbox` and `at`."""
    return [checked(parsed(line)) for line in lines(body)]


def checked(record: Any) -> Record:
    """Return a record with a type, a sandbox and a time, whose known fields have the right types or are left out.
    Raises BadBody if that is impossible.
    """
    if not isinstance(record, dict):
        raise BadBody("a lifecycle record must be a JSON object")
    kind, sandbox = text(record.get("type"), 40), text(record.get("sandbox"))
    if kind is None or sandbox is None:
        raise BadBody("a lifecycle record has no type or no sandbox")
    at = number(record.get("at"))
    made = dict(record)
    for names, read in ((_TEXTS, text), (_NUMBERS, number)):
        for name in names & record.keys():
            value = read(record[name])
            if value is None:
                del made[name]
            else:
                made[name] = value
    return {**made, "type": kind, "sandbox": sandbox, "at": moment(time.time() * 1000 if at is None else at)}
