"""Decides quickly whether a text may contain a secret. Most do not, and are never searched (see `redaction`)."""

from __future__ import annotations

import functools
import re

REDACTED = "[REDACTED]"
_SIGNS_MAX = 8  # colons of a text, and equals signs, whose left side is looked at before all of the text is


def normal(key: str) -> str:
    """Normalize a key for comparison: lower case, letters and digits only."""
    return key.lower().encode("ascii", "ignore").translate(None, _OTHERS).decode()


def may_change(text: str, keys: frozenset[str]) -> bool:
    """Whether `redaction.without` may change a text, or a part of it; a fast check without false negatives."""
    return ('"' in text or "'" in text) and bool(keys) and _may_have_keys(text) and may_have(text, keys)


def may_change_loosely(text: str, keys: frozenset[str]) -> bool:
    """Whether `redaction.loosely_without` may change a text; without false negatives."""
    return bool(keys) and ("earer" in text or "EARER" in text or may_have(text, keys))


def _may_have_keys(text: str) -> bool:
    """Whether a quoted text may be a key, because a sign follows it; without false negatives.

    Prose has apostrophes, but few colons, and hardly one that does not follow a word.
    """
    if "\\" in text:  # there may be escaped blanks between the two
        return True
    for sign in ":=":
        if sign in text:
            before = text.split(sign, _SIGNS_MAX)[:-1]
            if len(before) == _SIGNS_MAX or not all(part[-1:].isalnum() for part in before):
                return True
    return False


def may_have(text: str, keys: frozenset[str]) -> bool:
    """Whether any of `keys` may occur in a text, in any spelling; a fast check without false negatives."""
    data = text.encode("utf-8", "surrogatepass")
    bare = data.translate(_LOWER, _OTHERS)
    if any(map(bare.__contains__, _encoded(keys))):
        return True
    if b"\\" in data and escape().search(text) is not None:
        return True
    return len(data) != len(text) and any(odd in text for odd in _ODD)


@functools.lru_cache(maxsize=8)
def _encoded(keys: frozenset[str]) -> tuple[bytes, ...]:
    return tuple(key.encode() for key in keys)


@functools.cache
def escape() -> re.Pattern[str]:
    """Return the pattern of an escaped blank. Compiled when the first text has a backslash."""
    return re.compile(r"(?<!\\)\\+[nrtbfu]")


_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789"
_LOWER = bytes(range(256)).lower()
_OTHERS = bytes(set(range(256)) - set(_LETTERS + _LETTERS.upper()))
_ODD = ("\u212a", "\u0130")  # not ASCII, but their lower case is
