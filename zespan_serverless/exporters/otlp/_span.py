"""A span with OTLP's fields, before it is encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERNAL, SERVER, CLIENT, CONSUMER = 1, 2, 3, 5
"""Kinds of spans. There is no producer, because sent messages have no spans."""
ERROR = 2
"""The code of a status. Success stays unset, because `Ok` is reserved for users who override a library."""
HAS_IS_REMOTE, IS_REMOTE = 0x100, 0x200
"""Flags of a span or link in addition to W3C's: whether its parent, or its target, is in another process."""

_HEX = frozenset("0123456789abcdef")
_LAST_NS = 2**63 - 1


class Span:
    """OTLP's fields of a span. Ids are hexadecimal digits, `parent` may be empty; times are in ns since the epoch.

    `attributes` are texts, numbers, booleans and lists of these. `events` are (name, time, attributes), `links` (trace
    id, span id, attributes, flags). `message` describes the failure.
    """

    __slots__ = (
        *("attributes", "code", "end", "events", "flags", "kind", "links", "message", "name", "parent", "span_id"),
        *("start", "state", "trace_id"),
    )

    def __init__(self, trace_id: str, span_id: str, name: str, kind: int, start: int, end: int) -> None:
        self.trace_id, self.span_id = trace_id, span_id
        self.name, self.kind, self.start, self.end = name, kind, start, end
        self.parent = self.state = self.message = ""
        self.code = self.flags = 0
        self.attributes: dict[str, Any] = {}
        self.events: list[tuple[str, int, Mapping[str, Any]]] = []
        self.links: list[tuple[str, str, Mapping[str, Any], int]] = []


def nanoseconds(seconds: float) -> int:
    """Convert seconds since the epoch to nanoseconds, whatever the clock returns."""
    return min(max(0, int(seconds * 1e6)) * 1000, _LAST_NS)  # a float is not exact beyond microseconds


def fail(span: Span, message: str, status: str) -> None:
    """Mark a span as failed, with the time."""
    kind = span.attributes.setdefault("error.type", "_OTHER" if status == "error" else status)
    exception = {"exception.type": kind, "exception.message": message}
    if status == "timeout" and "stack" in span.attributes:  # the function's stack
        exception["exception.stacktrace"] = span.attributes.pop("stack")
    span.code, span.message = ERROR, message
    span.events = [("exception", span.end, exception)]


def as_id(given: object, digits: int) -> str:
    """Return an id of so many hexadecimal digits: the value, if it is one, a UUID's digits, or made from its hash.

    A backend may refuse a whole request for one invalid id.
    """
    plain = str(given).replace("-", "").lower()
    if is_id(plain, digits):
        return plain
    from hashlib import sha256

    return sha256(str(given).encode("utf-8", "replace")).hexdigest()[:digits]


def is_id(text: str, digits: int) -> bool:
    """Whether this is an id of so many hexadecimal digits."""
    return len(text) == digits and _HEX.issuperset(text) and text.strip("0") != ""
