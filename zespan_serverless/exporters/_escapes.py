"""Escapes characters that would control a terminal, or that a stream cannot write."""

from __future__ import annotations

from typing import Any

# Characters that JSON does not escape and that a terminal obeys, or that reorder text (https://trojansource.codes): C1
# controls, line separators, marks and overrides of direction. A prompt may contain any of them.
_UNSAFE = (*range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))

ESCAPED = {code: f"\\u{code:04x}" for code in (*range(0x20), *_UNSAFE)}
"""For `str.translate`: characters that must not reach a terminal, as JSON escapes them."""


def writes(stream: Any, text: str) -> bool:
    """Whether the stream can write the text in its encoding."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8", getattr(stream, "errors", None) or "strict")
    except (UnicodeError, LookupError):
        return False
    return True


def is_terminal(stream: Any) -> bool:
    """Whether the stream is a terminal."""
    isatty = getattr(stream, "isatty", None)  # standard output may have been replaced by something without a descriptor
    return isatty is not None and bool(isatty())
