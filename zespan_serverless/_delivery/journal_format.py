"""The format of a journal's file: packs and parses its bytes.

    header   magic, version | offset of the first event that is not settled, its checksum | fingerprint
    record   kind, length, checksum, span id | bytes

The fingerprint identifies destination and key. A torn or corrupt record is counted, and parsing continues at the next
record whose checksum is right.
"""

from __future__ import annotations

import struct
import zlib

DESTINATION, EVENT, OPEN, CLOSED, OVERDUE = b"D", b"E", b"O", b"C", b"T"
"""Kinds of records: the destination of the events; an event; what is known of an open span; the end of a span without
an event; the deadline of an invocation."""

HEADER = struct.Struct("<7sB12s16s")
RECORD = struct.Struct("<cII8s")
OFFSET_AT = 8
"""Where the offset is in the header."""
NO_SPAN = b"\0" * 8

_OFFSET = struct.Struct("<QI")
_MAGIC, _VERSION = b"zespanj", 1
_KINDS = (DESTINATION, EVENT, OPEN, CLOSED, OVERDUE)


class Leftovers:
    """What a dead process has left: its events, and the spans that it never ended.

    `broken`: how many records are torn or corrupt. `at`: when the process last wrote (seconds since the epoch).
    `overdue`: its notes about invocations that had reached their deadline.
    """

    __slots__ = ("at", "broken", "events", "open", "overdue")

    def __init__(self, events: list[bytes], open_: list[bytes], broken: int, at: float, overdue: list[bytes]) -> None:
        self.events, self.open, self.broken, self.at, self.overdue = events, open_, broken, at, overdue


def header(fingerprint: bytes) -> bytes:
    """Return the header of a file in which no event is settled."""
    return HEADER.pack(_MAGIC, _VERSION, packed_offset(0), fingerprint)


def record(kind: bytes, data: bytes, span: bytes) -> bytes:
    """Return a record: its head and `data`."""
    return RECORD.pack(kind, len(data), _checksum(kind, span, data), span) + data


def parse(data: bytes, fingerprint: bytes, at: float, *, cut: bool) -> Leftovers | None:
    """Parse a file; None if it has another fingerprint. `cut`: the file is longer than `data`."""
    if len(data) < HEADER.size:
        return None
    magic, version, packed, owner = HEADER.unpack_from(data)
    if (magic, version, owner) != (_MAGIC, _VERSION, fingerprint):
        return None
    offset = settled_before(packed)
    return parse_records(data, offset, at, cut=cut)


def settled_before(packed: bytes) -> int:
    """Return the offset in a header. If its checksum is wrong, 0: to send events twice is better than to lose them."""
    offset: int = _OFFSET.unpack(packed)[0]
    return offset if packed_offset(offset) == packed else 0


def parse_records(data: bytes, offset: int, at: float, *, cut: bool) -> Leftovers:
    """Parse the whole records of a file. Events before `offset` are settled, and left out."""
    events: list[bytes] = []
    spans: dict[bytes, bytes] = {}
    overdue: list[bytes] = []
    place, broken = HEADER.size, int(cut)
    while place < len(data):
        record_there = _record_at(data, place)
        if record_there is None:
            broken += 1
            place = _next_record(data, place)
            continue
        kind, span, body = record_there
        if kind in (EVENT, CLOSED):
            spans.pop(span, None)
        if kind == EVENT and place >= offset:
            events.append(body)
        elif kind == OPEN:
            spans[span] = body
        elif kind == OVERDUE:
            overdue.append(body)
        place += RECORD.size + len(body)
    return Leftovers(events, list(spans.values()), broken, at, overdue)


def _record_at(data: bytes, place: int) -> tuple[bytes, bytes, bytes] | None:
    """Return (kind, span, body) of the record at this place; None if it is incomplete."""
    begin = place + RECORD.size
    if begin > len(data):
        return None
    kind, length, checksum, span = RECORD.unpack_from(data, place)
    body = data[begin : begin + length]
    if kind not in _KINDS or len(body) < length or _checksum(kind, span, body) != checksum:
        return None
    return kind, span, body


def _next_record(data: bytes, place: int) -> int:
    """Return the place of the next whole record after a broken one; the end of the data if there is none.

    Most candidates are ruled out by the last byte of the length, which is 0 for all records under 16 MiB, and which no
    text contains.
    """
    import re

    # A lookahead, because it consumes nothing: a false candidate may begin just before a true one.
    for candidate in re.compile(b"(?=[" + b"".join(_KINDS) + b"]...\0)", re.DOTALL).finditer(data, place + 1):
        if _record_at(data, candidate.start()) is not None:
            return candidate.start()
    return len(data)


def _checksum(kind: bytes, span: bytes, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(kind + span))


def packed_offset(place: int) -> bytes:
    """Return an offset with its checksum, for the header."""
    return _OFFSET.pack(place, zlib.crc32(place.to_bytes(8, "little")))


def fingerprint_of(destination: str, key: str) -> bytes:
    """Return a hash of destination and key, from which the key cannot be derived."""
    try:
        from _blake2 import blake2s  # hashlib loads OpenSSL, which takes ten times as long
    except ImportError:
        from hashlib import blake2s
    return blake2s(f"{destination}\0{key}".encode(), digest_size=16).digest()


def span_bytes(span: str) -> bytes:
    """Return a span id for a record; NO_SPAN if it is not 8 bytes in hex, because custom events may have any id."""
    try:
        raw = bytes.fromhex(span)
    except (ValueError, TypeError):
        return NO_SPAN
    return raw if len(raw) == len(NO_SPAN) else NO_SPAN
