"""OTLP in binary protobuf: https://github.com/open-telemetry/opentelemetry-proto, `trace.proto` and what it imports.

Implements only what traces need, and only encoding. A message is the bytes of its fields in the order of their numbers,
each after a tag, which is the number of the field and the type of its value. A field with its default value is left
out.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._span import Span

CONTENT_TYPE = "application/x-protobuf"

_SHORT = [bytes((number,)) for number in range(128)]
_fixed64, _fixed32, _double = struct.Struct("<Q").pack, struct.Struct("<I").pack, struct.Struct("<d").pack
_UINT64 = 2**64


def encode(span: Span) -> bytes:
    """Encode a span as an element of the field `spans` of a ScopeSpans, so that a batch is a concatenation."""
    body = b"\x0a\x10" + bytes.fromhex(span.trace_id) + b"\x12\x08" + bytes.fromhex(span.span_id)
    if span.state:
        body += _bytes(b"\x1a", span.state.encode())
    if span.parent:
        body += b"\x22\x08" + bytes.fromhex(span.parent)
    if span.name:
        body += _bytes(b"\x2a", _text(span.name))
    body += b"\x30" + _SHORT[span.kind]
    body += b"\x39" + _fixed64(span.start) + b"\x41" + _fixed64(span.end)
    body += _attributes(b"\x4a", span.attributes)
    for name, at, attributes in span.events:
        event = b"\x09" + _fixed64(at) + _bytes(b"\x12", _text(name)) + _attributes(b"\x1a", attributes)
        body += _bytes(b"\x5a", event)
    for trace_id, span_id, attributes, flags in span.links:
        link = b"\x0a\x10" + bytes.fromhex(trace_id) + b"\x12\x08" + bytes.fromhex(span_id)
        link += _attributes(b"\x22", attributes) + (b"\x35" + _fixed32(flags) if flags else b"")
        body += _bytes(b"\x6a", link)
    body += _bytes(b"\x7a", _status(span.code, span.message))
    if span.flags:
        body += b"\x85\x01" + _fixed32(span.flags)
    return _bytes(b"\x12", body)


def wrap(spans: Iterable[bytes], resource: Mapping[str, Any], scope: tuple[str, str]) -> bytes:
    """Return the request with these encoded spans, all of one resource and of one scope (name and version)."""
    named = _bytes(b"\x0a", _text(scope[0])) + _bytes(b"\x12", _text(scope[1]))
    of_scope = _bytes(b"\x0a", named) + b"".join(spans)
    of_resource = _bytes(b"\x0a", _attributes(b"\x0a", resource)) + _bytes(b"\x12", of_scope)
    return _bytes(b"\x0a", of_resource)


def _status(code: int, message: str) -> bytes:
    description = _bytes(b"\x12", _text(message)) if message else b""
    return description + (b"\x18" + _SHORT[code] if code else b"")


def _attributes(tag: bytes, attributes: Mapping[str, Any]) -> bytes:
    """Encode each attribute as a KeyValue in a field with this tag."""
    pieces = []
    for key, value in attributes.items():
        name = _key(key)
        if type(value) is str:
            data = value.encode("utf-8", "replace")
            length = len(data)
            whole = len(name) + length + 4
            if whole < 128:  # the common case: each length is one byte, which saves the calls
                pieces.append(
                    b"".join((tag, _SHORT[whole], name, b"\x12", _SHORT[length + 2], b"\x0a", _SHORT[length], data))
                )
                continue
        pieces.append(_bytes(tag, name + _bytes(b"\x12", _value(value))))
    return b"".join(pieces)


@functools.lru_cache(maxsize=256)
def _key(key: str) -> bytes:
    return _bytes(b"\x0a", _text(key))


def _value(value: Any) -> bytes:
    """Encode an AnyValue. Its fields are alternatives, so that a default value is written as well."""
    kind = type(value)
    if kind is str:
        return _bytes(b"\x0a", _text(value))
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int:
        return b"\x18" + _varint(value)
    if kind is float:
        return b"\x21" + _double(value)
    return _bytes(b"\x2a", b"".join(_bytes(b"\x0a", _value(one)) for one in value))


def _bytes(tag: bytes, data: bytes) -> bytes:
    """Encode a field with a length before its bytes."""
    length = len(data)
    return tag + (_SHORT[length] if length < 128 else _varint(length)) + data


def _varint(number: int) -> bytes:
    """Encode an integer of 64 bits, seven at a time, the lowest first. A negative one as its two's complement."""
    if number < 0:
        number += _UINT64
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # half a surrogate pair is invalid, and parsers refuse the whole request
