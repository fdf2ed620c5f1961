"""OTLP in JSON: protobuf's mapping to JSON, in which OTLP writes ids as hexadecimal digits and enums as numbers.

https://github.com/open-telemetry/opentelemetry-proto/blob/main/docs/specification.md#json-protobuf-encoding
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._record import values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._span import Span

CONTENT_TYPE = "application/json"


def encode(span: Span) -> bytes:
    """Encode a span as a JSON object, an element of a batch."""
    status = {"code": span.code, "message": span.message}
    document: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "traceState": span.state,
        "parentSpanId": span.parent,
        "flags": span.flags,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span.attributes),
        "events": [
            {"timeUnixNano": str(at), "name": name, "attributes": _attributes(attributes)}
            for name, at, attributes in span.events
        ],
        "links": [
            {"traceId": trace_id, "spanId": span_id, "attributes": _attributes(attributes), "flags": flags}
            for trace_id, span_id, attributes, flags in span.links
        ],
        "status": {name: value for name, value in status.items() if value},
    }
    return values.encode({name: value for name, value in document.items() if value or name == "status"})


def wrap(spans: Iterable[bytes], resource: Mapping[str, Any], scope: tuple[str, str]) -> bytes:
    """Return the request with these encoded spans, all of one resource and of one scope (name and version)."""
    of_resource = values.encode({"attributes": _attributes(resource)})
    of_scope = values.encode({"name": scope[0], "version": scope[1]})
    head = b'{"resourceSpans":[{"resource":%b,"scopeSpans":[{"scope":%b,"spans":[' % (of_resource, of_scope)
    return head + b",".join(spans) + b"]}]}]}"


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    kind = type(value)
    if kind is str:
        return {"stringValue": value}
    if kind is bool:
        return {"boolValue": value}
    if kind is int:
        return {"intValue": str(value)}  # JSON's numbers are not exact beyond 53 bits
    if kind is float:
        return {"doubleValue": value}
    return {"arrayValue": {"values": [_value(one) for one in value]}}
