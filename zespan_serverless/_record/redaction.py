"""Replaces secrets in texts: the values of certain keys in JSON and similar formats.

The text may be complete, cut off, or inside other text, the ``repr()`` of a dict, or JSON nested in JSON. It is not
parsed: a quoted name followed by a colon is a key, and its value extends to where values end. So a text without secrets
stays unchanged, and none is too deep or too broken to be searched.
"""

from __future__ import annotations

import functools
import re

from .secret_keys import REDACTED, escape, may_change, may_have, normal

_KEY_MAX = 4096  # characters of a key in a text, including those that comparison ignores
_LONG = 2000  # characters of a text whose keys are all looked up first


def without(text: str, keys: frozenset[str]) -> str:
    """Replace the values of `keys` in JSON, or in something similar. `may_change` says whether that is worth it."""
    patterns = _patterns()
    found = patterns.unicode_quote.sub(lambda m: "\\" * (2 * len(m[1]) - 1) + '"', text) if "\\u" in text else text
    pattern, wanted = patterns.colon, None
    # If few of many keys are sought, C finds them all in the time that Python takes for one in ten.
    if len(found) > _LONG:
        count = len(patterns.colon.findall(found))
        simple = patterns.simple.findall(found) if count else []
        if len(simple) == count:
            pattern = patterns.simple
            wanted = {key for key in {names[0] for names in simple} if _is_key(key, keys)}
            if not wanted:
                return text
    parts: list[str] = []
    done = at = 0
    while (colon := pattern.search(found, at)) is not None:
        at, quote = colon.end(), colon.start(pattern.groups)
        if wanted is not None and colon[1] not in wanted:
            continue
        opened = _opening(found, quote, keys)
        if opened is None:
            continue
        end, mark = _end_of_value(found, at, opened, found[quote], words=False)
        parts += (found[done:at], mark, REDACTED, mark)
        done = at = end
    return "".join((*parts, found[done:])) if parts else text


def loosely_without(text: str, keys: frozenset[str]) -> str:
    """Replace them also after `key=`, `key:` or `Bearer`; for texts of errors and of objects."""
    if may_change(text, keys):
        text = without(text, keys)
    patterns = _patterns()
    if "earer" in text or "EARER" in text:
        text = patterns.bearer.sub(rf"\1 {REDACTED}", text)
    if not may_have(text, keys):
        return text
    parts: list[str] = []
    done = at = 0
    while (named := patterns.named.search(text, at)) is not None:
        at = named.end()
        words = named[1].split()
        if not any(normal("".join(words[n:])) in keys for n in range(len(words))):
            continue
        end, mark = _end_of_value(text, at, 0, "", words=named[2] == "=")
        parts += (text[done:at], mark, REDACTED, mark)
        done = at = end
    return "".join((*parts, text[done:])) if parts else text


def _opening(text: str, quote: int, keys: frozenset[str]) -> int | None:
    """Return the backslashes before the opening quote if the key that closes at `quote` is in `keys`; else None.

    JSON nested in JSON has a backslash before each quote; one level deeper there are three.
    """
    mark, run = text[quote], _backslashes(text, quote)
    at = quote - run
    for _ in range(16):
        opening = text.rfind(mark, max(0, at - _KEY_MAX), at)
        if opening < 0:
            return None
        before = _backslashes(text, opening)
        if _closes(run, before):
            return before if _is_key(text[opening + 1 : quote - before], keys) else None
        at = opening - before
    return None


def _is_key(key: str, keys: frozenset[str]) -> bool:
    if "\\" not in key:
        return normal(key) in keys
    patterns = _patterns()
    key = patterns.unicode.sub(lambda m: chr(int(m[1], 16)), key)
    return normal(key) in keys or normal(escape().sub("", key)) in keys


def _closes(run: int, opened: int) -> bool:
    """Whether a quote after `run` backslashes closes one after `opened` of them.

    Each layer of quoting is undone: before a quote, JSON makes 2n + 1 backslashes of n, and `repr()` 2n. Backslashes
    that belong to the text are then left before the closing quote, in an even number.
    """
    while opened and run % 2 == opened % 2:
        run, opened = run // 2, opened // 2
    return not opened and not run % 2


def _backslashes(text: str, at: int) -> int:
    """Return the number of backslashes before `at`."""
    begin = at
    while begin and text[begin - 1] == "\\":
        begin -= 1
    return at - begin


def _end_of_value(text: str, at: int, outer: int, quote: str, *, words: bool) -> tuple[int, str]:
    """Return where the value at `at` ends, and what to put before and after its replacement.

    The value is a quoted text, or the content of brackets; otherwise all up to the next comma, closing bracket or line
    end, or with `words` the next space. It is inside a text whose quotes have fewer than `outer` backslashes. Without
    an end it is the rest.
    """
    patterns, begin = _patterns(), at
    brackets: list[str] = []  # those that are open
    mark = "\\" * outer + quote
    while (piece := patterns.piece.search(text, at)) is not None:
        at, what = piece.end(), piece[2]
        if what in "\"'":
            run = len(piece[1])
            if run < outer and what == quote:
                return piece.start(), mark
            before = max(0, begin, piece.start() - 16)
            is_key = brackets[-1:] == ["{"] and patterns.value.search(text, before, piece.start()) is None
            at = _end_of_text(text, at, run, what, is_key=is_key)
            if not brackets:
                return at, mark if quote or piece.start() != begin else what
        elif what in "[{(<":
            brackets.append(what)
        elif what in "]})" and not brackets:
            return piece.start(), mark
        elif what in "]})>" and brackets:
            brackets.pop()
            if not brackets:
                return at, mark
        elif not brackets and (what in ",;" or (piece.start() > begin and (words or what not in "& \t"))):
            return piece.start(), mark
    return len(text), mark


def _end_of_text(text: str, at: int, opened: int, mark: str, *, is_key: bool) -> int:
    r"""Return the index after the quote that closes one after `opened` backslashes.

    If Python has quoted JSON, `\\"` may be a quote in the text, or the closing quote after a backslash of the text.
    What follows the first one decides, for the whole text.
    """
    exactly = False
    while (at := text.find(mark, at) + 1) > 0:
        run = _backslashes(text, at - 1)
        if run == opened:
            return at
        if not exactly and _closes(run, opened):
            if (_patterns().behind_key if is_key else _patterns().behind).match(text, at):
                return at
            exactly = True
        if run < opened:
            return at - 1 - run  # closes the enclosing text
    return len(text)


class _Patterns:
    """Compiled when the first text may contain a secret, which most processes never meet."""

    def __init__(self) -> None:
        blank = r"(?:\s|\\+[nrt])*"
        self.colon = re.compile(rf"""(["']){blank}(?::|=>?){blank}""")
        self.simple = re.compile(rf"""["']([^"'\\]{{0,80}})\\*(["']){blank}(?::|=>?){blank}""")
        self.named = re.compile(r"(?<![\w.\-])((?:[\w.\-]+ ){0,2}[\w.\-]+)[\"']?\s*([:=])>?[^\S\n]*")
        self.bearer = re.compile(r"\b([Bb]earer|BEARER)\s+[\w.~+/=\-]*\d[\w.~+/=\-]*")
        self.piece = re.compile(r"""(?<!\\)(\\*)(["']|[\[{(<>\])},;&\s])""")
        self.value = re.compile(rf":{blank}\Z")
        self.behind = re.compile(rf"{blank}(?:[,}}\])]|\Z)")
        self.behind_key = re.compile(rf"{blank}(?:[,}}\]):]|\Z)")
        self.unicode = re.compile(r"(?<!\\)\\+u([0-9a-fA-F]{4})")
        self.unicode_quote = re.compile(r"(?<!\\)(\\+)u0022")


@functools.cache
def _patterns() -> _Patterns:
    return _Patterns()
