"""Reads the response to an accepted request, which may report rejected spans."""

from __future__ import annotations

import json
from typing import Any

from ..._base.guard import pass_on

_MESSAGE_MAX = 500  # characters
_NUMBER_MAX = 2**63 - 1  # a larger one is negative


def rejected(body: bytes) -> tuple[int, str]:
    """Return (rejected spans, reason) from an ExportTraceServiceResponse, in JSON or protobuf; (0, "") if none.

    Some backends respond to protobuf with JSON or other formats: an unreadable response rejects nothing.
    """
    try:
        number, message = _of_json(body) if body.lstrip()[:1] == b"{" else _of_protobuf(body)
        return number if 0 < number <= _NUMBER_MAX else 0, message[:_MESSAGE_MAX]
    except Exception as error:
        pass_on(error)
        return 0, ""


def _of_json(body: bytes) -> tuple[int, str]:
    partial: Any = json.loads(body).get("partialSuccess") or {}
    return int(partial.get("rejectedSpans") or 0), str(partial.get("errorMessage") or "")


def _of_protobuf(body: bytes) -> tuple[int, str]:
    partial = _fields(body).get(1, b"")
    fields = _fields(partial) if isinstance(partial, bytes) else {}
    number, message = fields.get(1, 0), fields.get(2, b"")
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else ""
    return number if isinstance(number, int) else 0, text


def _fields(data: bytes) -> dict[int, int | bytes]:
    """Return the fields of a message by number: those of the types varint and length-delimited."""
    fields: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, at = _varint(data, at)
        if tag & 7 == 0:
            fields[tag >> 3] = number
        elif tag & 7 == 2:
            fields[tag >> 3] = data[at : at + number]
            at += number
        else:
            raise ValueError("a field of a type that this message does not have")
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
        if shift >= 70:
            raise ValueError("a number of more than 64 bits")
