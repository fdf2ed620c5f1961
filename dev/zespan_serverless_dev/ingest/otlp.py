"""OTLP over HTTP, in protobuf and in JSON: both become the same plain objects, which `conventions` reads."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from . import conventions
from .body import parsed
from .span import BadBody, Span

Json = dict[str, Any]

_CODES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_KIND_NUMBERS = {f"SPAN_KIND_{name}": number for number, name in enumerate(_KINDS)}
_DEPTH_MAX = 32  # of values in attributes


def read_json(body: bytes) -> list[Span]:
    """Return the spans of a request in OTLP's JSON."""
    document = parsed(body.decode("utf-8", "replace"))
    if not isinstance(document, dict):
        raise BadBody('the body must be {"resourceSpans": [...]}')
    return [conventions.span_of(span, json.dumps(span)) for span in _of_json(document)]


def read_protobuf(body: bytes) -> list[Span]:
    """Return the spans of a request in protobuf."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise BadBody(f"not OTLP in protobuf: {error}") from None
    return [conventions.span_of(span, json.dumps(span)) for span in _of_protobuf(request)]


def checked(found: Any) -> Json:
    """Return a plain span that has come with a file: all that is read of it is there, and of the right type."""
    span = _dict(found)
    return {
        **{name: span.get(name) for name in ("trace_id", "span_id", "parent_span_id", "name", "kind", "scope")},
        **{name: _int(span.get(name)) for name in ("start_ns", "end_ns")},
        **{name: _dict(span.get(name)) for name in ("attributes", "resource")},
        "status": {name: _dict(span.get("status")).get(name) for name in ("code", "message")},
        "events": [
            {"name": one.get("name"), "attributes": _dict(one.get("attributes"))} for one in _dicts(span.get("events"))
        ],
    }


def _of_json(document: Json) -> Iterator[Json]:
    for group in _dicts(document.get("resourceSpans")):
        resource = _attributes(_dict(group.get("resource")).get("attributes"))
        for scope in _dicts(group.get("scopeSpans")):
            name = _dict(scope.get("scope")).get("name")
            for span in _dicts(scope.get("spans")):
                yield _plain_span(span, resource, name)


def _plain_span(span: Json, resource: Json, scope: Any) -> Json:
    status, kind = _dict(span.get("status")), span.get("kind")
    code = status.get("code")
    return {
        "trace_id": str(span.get("traceId") or "").lower(),
        "span_id": str(span.get("spanId") or "").lower(),
        "parent_span_id": str(span.get("parentSpanId") or "").lower(),
        "name": span.get("name"),
        "kind": _KIND_NUMBERS.get(str(kind), kind),
        "start_ns": _int(span.get("startTimeUnixNano")),
        "end_ns": _int(span.get("endTimeUnixNano")),
        "status": {"code": _CODES.get(str(code), code), "message": status.get("message")},
        "attributes": _attributes(span.get("attributes")),
        "events": [
            {"name": one.get("name"), "attributes": _attributes(one.get("attributes"))}
            for one in _dicts(span.get("events"))
        ],
        "resource": resource,
        "scope": scope,
    }


def _attributes(found: Any) -> Json:
    return {str(one["key"]): _value(one.get("value")) for one in _dicts(found) if "key" in one}


def _value(value: Any, depth: int = 0) -> Any:
    if not isinstance(value, dict) or not value or depth > _DEPTH_MAX:
        return None
    kind, held = next(iter(value.items()))
    if kind == "intValue":
        return _int(held)
    if kind == "arrayValue":
        return [_value(one, depth + 1) for one in _dicts(_dict(held).get("values"))]
    if kind == "kvlistValue":
        return {str(one.get("key")): _value(one.get("value"), depth + 1) for one in _dicts(_dict(held).get("values"))}
    return held


def _of_protobuf(request: Any) -> Iterator[Json]:
    for group in request.resource_spans:
        resource = _fields(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield {
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_span_id": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": span.kind,
                    "start_ns": span.start_time_unix_nano,
                    "end_ns": span.end_time_unix_nano,
                    "status": {"code": span.status.code, "message": span.status.message},
                    "attributes": _fields(span.attributes),
                    "events": [{"name": one.name, "attributes": _fields(one.attributes)} for one in span.events],
                    "resource": resource,
                    "scope": scope.scope.name,
                }


def _fields(found: Any, depth: int = 0) -> Json:
    return {one.key: _any(one.value, depth) for one in found}


def _any(value: Any, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind is None or depth > _DEPTH_MAX:
        return None
    if kind == "array_value":
        return [_any(one, depth + 1) for one in value.array_value.values]
    if kind == "kvlist_value":
        return _fields(value.kvlist_value.values, depth + 1)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _int(value: Any) -> int | None:
    """Return a number of 64 bits, which JSON has as text."""
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if -(2**63) <= found < 2**64 else None
