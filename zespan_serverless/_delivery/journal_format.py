"""What a journal's file looks like: its bytes, written and read.

    header   magic, version | offset of the first event that is not settled, its checksum | fingerprint
    record   kind, length, checksum, span id | bytes

The fingerprint is of destination and key. A torn or corrupt record is counted, and reading goes on at the next one
whose checksum is right.
"""

from __future__ import annotations

import struct
import zlib

DESTINATION, EVENT, OPEN, CLOSED, OVERDUE = b"D", b"E", b"O", b"C", b"T"
"""Kinds of records: where events go; an event; an open span, as far as it is known; that a span has ended without an
event; that the deadline was reached."""

HEADER = struct.Struct("<7sB12s16s")
RECORD = struct.Struct("<cII8s")
OFFSET_AT = 8
"""Where in the header the offset stands."""
NO_SPAN = b"\0" * 8

_OFFSET = struct.Struct("<QI")
_MAGIC, _VERSION = b"zespanj", 1
_KINDS = (DESTINATION, EVENT, OPEN, CLOSED, OVERDUE)


class Left:
    """What a dead process has left: its events, and the spans that it never ended.

    `broken` is how many records were torn or corrupt, `at` when it last wrote (seconds since the epoch), `overdue` what
    it noted when an invocation had reached its deadline.
    """

    __slots__ = ("at", "broken", "events", "open", "overdue")

    def __init__(self, events: list[bytes], open_: list[bytes], broken: int, at: float, overdue: list[bytes]) -> None:
        self.events, self.open, self.broken, self.at, self.overdue = events, open_, broken, at, overdue


def header(fingerprint: bytes) -> bytes:
    """The header of a file in which no event is settled."""
    return HEADER.pack(_MAGIC, _VERSION, packed_offset(0), fingerprint)


def record(kind: bytes, data: bytes, span: bytes) -> bytes:
    """A record with its bytes."""
    return RECORD.pack(kind, len(data), _checksum(kind, span, data), span) + data


def read(data: bytes, fingerprint: bytes, at: float, *, cut: bool) -> Left | None:
    """What is in a file; None if it is not for this fingerprint. `cut`: the file is longer than `data`."""
    if len(data) < HEADER.size:
        return None
    magic, version, packed, found = HEADER.unpack_from(data)
    if (magic, version, found) != (_MAGIC, _VERSION, fingerprint):
        return None
    offset = settled_before(packed)
    return parsed(data, offset, at, cut=cut)


def settled_before(packed: bytes) -> int:
    """The offset as the header has it; 0 if its checksum is wrong, because twice is better than never."""
    offset: int = _OFFSET.unpack(packed)[0]
    return offset if packed_offset(offset) == packed else 0


def parsed(data: bytes, offset: int, at: float, *, cut: bool) -> Left:
    """The whole records of a file. Events that stand before `offset` are settled."""
    events: list[bytes] = []
    spans: dict[bytes, bytes] = {}
    overdue: list[bytes] = []
    place, broken = HEADER.size, int(cut)
    while place < len(data):
        found = _record_at(data, place)
        if found is None:
            broken += 1
            place = _next_record(data, place)
            continue
        kind, span, body = found
        if kind in (EVENT, CLOSED):
            spans.pop(span, None)
        if kind == EVENT and place >= offset:
            events.append(body)
        elif kind == OPEN:
            spans[span] = body
        elif kind == OVERDUE:
            overdue.append(body)
        place += RECORD.size + len(body)
    return Left(events, list(spans.values()), broken, at, overdue)


def _record_at(data: bytes, place: int) -> tuple[bytes, bytes, bytes] | None:
    """Kind, span and bytes of the record that stands there; None if there is no whole one."""
    begin = place + RECORD.size
    if begin > len(data):
        return None
    kind, length, checksum, span = RECORD.unpack_from(data, place)
    body = data[begin : begin + length]
    if kind not in _KINDS or len(body) < length or _checksum(kind, span, body) != checksum:
        return None
    return kind, span, body


def _next_record(data: bytes, place: int) -> int:
    """Where the next whole record after a broken one stands; the end of the data if there is none.

    Most candidates are ruled out by the last byte of the length, which is 0 for all records under 16 MiB, and which no
    text contains.
    """
    import re

    # A lookahead consumes nothing: a false candidate may begin just before a true one.
    for candidate in re.compile(b"(?=[" + b"".join(_KINDS) + b"]...\0)", re.DOTALL).finditer(data, place + 1):
        if _record_at(data, candidate.start()) is not None:
            return candidate.start()
    return len(data)


def _checksum(kind: bytes, span: bytes, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(kind + span))


def packed_offset(place: int) -> bytes:
    """An offset as the header has it, with its checksum."""
    return _OFFSET.pack(place, zlib.crc32(place.to_bytes(8, "little")))


def fingerprint_of(destination: str, key: str) -> bytes:
    """Equal for equal destinations and keys. The key cannot be derived from it."""
    try:
        from _blake2 import blake2s  # hashlib loads OpenSSL, which takes ten times as long
    except ImportError:
        from hashlib import blake2s
    return blake2s(f"{destination}\0{key}".encode(), digest_size=16).digest()


def span_bytes(span: str) -> bytes:
    """A span's id as a record has it. The user's own events may have any id."""
    try:
        raw = bytes.fromhex(span)
    except (ValueError, TypeError):
        return NO_SPAN
    return raw if len(raw) == len(NO_SPAN) else NO_SPAN
