"""Bodies of requests, unpacked and parsed within bounds."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from .span import BadBody

BODY_MAX = 16 << 20  # bytes of a request, as sent
UNPACKED_MAX = 64 << 20  # bytes of it without gzip
_MEMBERS_MAX = 1000  # each is another copy of what follows it
DEPTH_MAX = 100  # objects and lists within each other
OBJECTS_MAX = 1_000_000  # of a document; a kilobyte of hostile gzip could become as many as take all memory

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]')


def unpacked(body: bytes, encoding: str = "") -> bytes:
    """Return a body without gzip, which its first bytes tell, or without the encoding that a header tells."""
    is_gzip = body.startswith(b"\x1f\x8b")
    if not is_gzip and encoding in ("", "identity", "gzip"):
        return body
    if not is_gzip and encoding != "deflate":
        raise BadBody(f"content-encoding {encoding} is not known here: send gzip, deflate, or neither")
    try:
        return _inflated(body, wbits=31 if is_gzip else 15)
    except zlib.error as error:
        raise BadBody(f"the body is not {'gzip' if is_gzip else encoding}, which it should be: {error}") from None


def _inflated(body: bytes, wbits: int) -> bytes:
    """Return all members of a body, one after the other, as gzip allows it."""
    parts: list[bytes] = []
    left, members = UNPACKED_MAX, 0
    while body:
        if members >= _MEMBERS_MAX:
            raise BadBody(f"the body has more than {_MEMBERS_MAX:,} members of gzip: send one")
        reader = zlib.decompressobj(wbits)
        parts.append(reader.decompress(body, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise BadBody(f"the body has more than {UNPACKED_MAX >> 20} MB unpacked: send smaller batches")
        if not reader.eof:
            raise BadBody("the body ends too early to be unpacked")
        body, members = reader.unused_data.lstrip(b"\0"), members + 1  # zeros may follow
    return b"".join(parts)


def parsed(document: str) -> Any:
    """Parse a JSON document. Numbers that JSON cannot represent are None: NaN, infinity, and 1e999."""
    objects = document.count("{") + document.count("[")
    if objects > OBJECTS_MAX:
        raise BadBody(f"the document has more than {OBJECTS_MAX:,} objects and lists: send smaller batches")
    if objects > DEPTH_MAX and _depth(document) > DEPTH_MAX:
        raise BadBody(f"the document has more than {DEPTH_MAX} objects or lists within each other")
    try:
        return json.loads(document, parse_constant=lambda _: None, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"not JSON: {error}") from None


def _finite(number: str) -> float | None:
    found = float(number)
    return found if math.isfinite(found) else None


def showable(value: Any, depth: int = 0) -> Any:
    """Return a value that any JSON parser accepts: texts in events may be JSON themselves, of any depth, with any
    number."""
    if isinstance(value, dict):
        return {key: showable(one, depth + 1) for key, one in value.items()} if depth < DEPTH_MAX else "..."
    if isinstance(value, list):
        return [showable(one, depth + 1) for one in value] if depth < DEPTH_MAX else "..."
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _depth(document: str) -> int:
    deepest = depth = 0
    for token in _TOKENS.finditer(document):
        character = document[token.start()]
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character != '"':
            depth -= 1
    return deepest


def lines(body: bytes) -> Iterator[str]:
    """Yield the lines of NDJSON that are not empty, one by one: there may be millions."""
    for line in BytesIO(body):
        if line := line.strip():
            yield line.decode("utf-8", "replace")
