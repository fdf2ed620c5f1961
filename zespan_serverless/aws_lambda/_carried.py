"""Finds the trace contexts that producers have put into the records of a batch."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any

from ._reading import QUOTED, dig, embedded, json_or_none, nothing

if TYPE_CHECKING:
    from .._trace.context import Carrier
    from ._batches import Batch

_PARSED_MAX = 262_144  # characters of nested JSON that are parsed per event to find trace contexts; takes 1.5 ms
_HEADERS_READ = 512  # headers of a Kafka record
_LIST_MAX = 16_384  # bytes of a header that are read


class ContextFinder:
    """Finds the trace contexts in the records of one event: in attributes, or in messages that are JSON.

    A message without the word is not parsed, and _PARSED_MAX limits what is parsed in total.
    """

    def __init__(self) -> None:
        self._characters_left = _PARSED_MAX

    def of(self, records: Batch, record: object) -> Carrier:
        """Return the trace context that the record's producer has set."""
        # A later change of an item leaves the attribute as it was inserted.
        if records.kind.source == "dynamodb" and dig(record, "eventName") != "INSERT":
            return nothing

        def attribute(name: str) -> object:
            value = dig(record, records.kind.trace.format(name))
            if isinstance(value, list):  # Kafka's headers: [{name: [byte, ...]}, ...]
                headers = value[:_HEADERS_READ]
                value = next((h[name] for h in headers if isinstance(h, dict) and name in h), None)
            elif isinstance(value, dict):  # RabbitMQ's: {name: {"bytes": [byte, ...]}}
                value = value.get("bytes")
            return _ascii(value) if isinstance(value, list) else value

        if isinstance(traceparent := attribute("traceparent"), str) and traceparent:
            return attribute
        return self._in_message(records.message(record), encoded=records.kind.source == "kinesis")

    def _in_message(self, message: object, *, encoded: bool = False) -> Carrier:
        """Return the trace context in a message. `encoded`: the message is in base64."""
        marks = _ENCODED if encoded else QUOTED
        if not isinstance(message, str) or len(message) > self._characters_left:
            return nothing
        if not any(mark in message for mark in marks):
            return nothing
        self._characters_left -= len(message)
        try:
            return embedded(json_or_none(binascii.a2b_base64(message).decode() if encoded else message))
        except ValueError:
            return nothing


def _ascii(codes: list[Any]) -> str | None:
    """Decode a list of ASCII codes; None if it is not one."""
    try:
        return bytes(codes[:_LIST_MAX]).decode("ascii")
    except (ValueError, TypeError):
        return None


def _base64_mark(offset: int) -> str:
    """Return the characters that `"traceparent"` becomes in base64 if it begins `offset` bytes after a multiple of 3.

    Characters that also depend on the bytes before and after it are left out.
    """
    word = b'"traceparent"'
    encoded = binascii.b2a_base64(b"?" * offset + word).decode()
    first, last = -(-offset * 8 // 6), (offset + len(word)) * 8 // 6
    return encoded[first:last]


_ENCODED = (_base64_mark(0), _base64_mark(1), _base64_mark(2))
