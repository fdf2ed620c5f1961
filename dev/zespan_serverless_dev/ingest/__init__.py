"""Reads what functions send: Zespan's events, Carbon's, and OTLP; rejects anything else with a reason."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import Any

from . import carbon, conventions, lifecycle, zespan
from .body import BODY_MAX, parsed, showable, unpacked
from .span import BadBody, Span

__all__ = [
    "BODY_MAX",
    "PATHS",
    "BadBody",
    "Span",
    "details",
    "event_of",
    "lifecycle",
    "span_of",
    "spans_in",
    "unpacked",
]

LARGE = 4 << 20
"""Bytes above which bodies are read one at a time, because parsing may take 30 times as much memory."""

_one_large = threading.Lock()

PATHS = ("/v1/ingest", "/v1/ingest-events", "/v1/traces")
"""Where telemetry is sent."""


def spans_in(path: str, content_type: str, body: bytes, encoding: str = "") -> list[Span]:
    """Return the spans of a request to one of PATHS. Raises BadBody, whose text says why it cannot be read."""
    plain = unpacked(body, encoding)
    with _one_large if len(plain) > LARGE else nullcontext():
        return _spans_in(path, content_type, plain)


def _spans_in(path: str, content_type: str, plain: bytes) -> list[Span]:
    try:
        if path == "/v1/ingest":
            return zespan.read(plain)
        if path == "/v1/ingest-events":
            return carbon.read(plain)
        from . import otlp

        is_json = "json" in content_type or plain.lstrip()[:1] == b"{"
        return otlp.read_json(plain) if is_json else otlp.read_protobuf(plain)
    except RecursionError:
        raise BadBody("the body has too many objects within each other") from None


def event_of(raw: str) -> Any:
    """Return an event as it arrived."""
    return parsed(raw)


def span_of(format: str, raw: str) -> Span:
    """Return the span of an event as it arrived, which is kept in the format `format`. Raises BadBody."""
    event = parsed(raw)
    if format == "otlp":
        from . import otlp

        return conventions.span_of(otlp.checked(event), raw)
    if format == "carbon":
        return zespan.span_of(carbon.event_of(event), raw, format)
    return zespan.span_of(event, raw, "zespan")


def details(format: str, raw: str) -> dict[str, Any]:
    """Return a span's contents besides its fields: `input`, `output`, `tools` and `attributes`."""
    event = parsed(raw)
    if format == "otlp":
        from . import otlp

        found = conventions.details(otlp.checked(event))
    else:
        found = zespan.details(carbon.event_of(event) if format == "carbon" else event)
    return {name: showable(value) for name, value in found.items()}
