"""Parses answers to HTTP/1.1 requests from the bytes that have arrived so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BODY_MAX = 65_536
"""Bytes of a body that are read. A connection with a longer one is not worth keeping."""

MALFORMED = -1
"""The end of a chunked body whose chunks cannot be parsed."""


class NoAnswer(ConnectionError):
    """The connection has ended without an answer, or what arrived is not HTTP."""


class TornAnswer(OSError):
    """An answer has begun, and has ended before the end of its headers."""


class Answer(Value):
    """`headers` have lower-case names. `body` is what has arrived of the body, at most 64 KiB."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __iter__(self) -> Iterator[Any]:
        return iter((self.status, self.headers, self.body))


def find_blank_line(data: bytes) -> tuple[int, int]:
    """Return where the first blank line begins and ends, which is the end of a head; (0, 0) if there is none yet."""
    crlf, lf = data.find(b"\n\r\n"), data.find(b"\n\n")
    if crlf >= 0 and not 0 <= lf < crlf:
        return crlf, crlf + 3
    return (lf, lf + 2) if lf >= 0 else (0, 0)


def parse_head(head: bytes) -> tuple[str, int, dict[str, str]]:
    """Parse a complete head: (version, status, headers by lower-case name). Raises NoAnswer or TornAnswer."""
    first, *lines = head.decode("latin-1").split("\n")
    version, _, status = first.partition(" ")
    if not version.startswith("HTTP/1."):
        raise NoAnswer(f"the answer is not HTTP: {first[:50]!r}")
    digits = status[:3]
    if not (digits.isascii() and digits.isdigit() and len(digits) == 3):
        raise TornAnswer(f"the answer has no valid status: {first[:50]!r}")
    fields = {name.lower(): value.strip() for line in lines for name, colon, value in [line.partition(":")] if colon}
    return version, int(digits), fields


def is_chunked(headers: Mapping[str, str]) -> bool:
    """Whether the body comes in chunks."""
    return "chunked" in headers.get("transfer-encoding", "").lower()


def content_length(headers: Mapping[str, str]) -> int:
    """Length of the body in bytes. If it is unknown, because the body ends with the connection: more than BODY_MAX."""
    try:
        return max(int(headers["content-length"]), 0)
    except (KeyError, ValueError):
        return BODY_MAX + 1


def parse_chunks(data: bytes) -> tuple[bytes, int | None]:
    """Return the chunked body in `data`, and its end: None if `data` is incomplete, MALFORMED if it is not chunked."""
    body, at = b"", 0
    while (line_end := data.find(b"\n", at)) >= 0:
        try:
            size = int(data[at:line_end].partition(b";")[0], 16)
        except ValueError:
            return body, MALFORMED
        if size < 0:
            return body, MALFORMED
        start = line_end + 1
        if size == 0:
            return body, _end_of_trailers(data, start)
        body += data[start : start + size]
        at = data.find(b"\n", start + size) + 1
        if not at:
            break
    return body, None


def _end_of_trailers(data: bytes, start: int) -> int | None:
    """Return where the blank line after the last chunk ends; None if it has not arrived."""
    length = find_blank_line(b"\n" + data[start:])[1] - 1
    return start + length if length >= 0 else None
