"""Style of the output to one stream: its width, colours and characters; and text that cannot control a terminal."""

from __future__ import annotations

import os
from typing import Any
from unicodedata import category, east_asian_width

from .._escapes import ESCAPED, is_terminal, writes

_WIDTH = 100  # columns if the width is unknown, as in a pipe
_END = 400  # where lines are cut in that case
_WIDTH_MIN = 40
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_ASCII = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-", "━": "=", "→": ">", "…": "~", "✗": "x", "·": "-"})


class Style:
    """Style of one stream's output. `width`: columns for the table; `end`: where lines are cut, further in a pipe."""

    __slots__ = ("end", "has_colours", "has_unicode", "width")

    def __init__(self, *, has_colours: bool = False, has_unicode: bool = True, width: int | None = None) -> None:
        self.has_colours, self.has_unicode, self.width = has_colours, has_unicode, max(width or _WIDTH, _WIDTH_MIN)
        self.end = self.width if width else _END

    def paint(self, text: str, *looks: str) -> str:
        """Return the text in these colours, if the stream has any."""
        codes = ";".join(_CODES[look] for look in looks if look)
        return f"\x1b[{codes}m{text}\x1b[0m" if codes and self.has_colours and text else text

    def plain(self, text: str) -> str:
        """Replace drawing characters with ASCII, if the stream has no others."""
        return text if self.has_unicode else text.translate(_ASCII)


def style_of(stream: Any) -> Style:
    """Return the style of a stream, which `NO_COLOR` (https://no-color.org) and `TERM` decide, too."""
    has_colours = is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    if os.name == "nt" and "WT_SESSION" not in os.environ and "TERM" not in os.environ:
        has_colours = False  # the old console of Windows prints the codes
    return Style(has_colours=has_colours, has_unicode=writes(stream, "├─━→…✗·"), width=_width(stream))


def writable(stream: Any, text: str) -> str:
    """Escape characters that the encoding of the stream lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text if writes(stream, text) else text.encode(encoding, "backslashreplace").decode(encoding)


def safe(value: object) -> str:
    """Convert any value to one line of text that cannot control a terminal."""
    return " ".join(str(value).split()).translate(ESCAPED)


def cells(text: str) -> int:
    """Return the columns of a text: two for a Chinese character, none for an accent."""
    if text.isascii():
        return len(text)
    wide = sum(east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(category(character) in ("Mn", "Me", "Cf") for character in text)


def fit(text: str, columns: int) -> str:
    """Cut a text to this many columns."""
    if cells(text) <= columns:
        return text
    text = text[: max(columns, 0)]
    while text and cells(text) >= columns:
        text = text[:-1]
    return f"{text}…" if columns > 0 else ""


def _width(stream: Any) -> int | None:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):  # a pipe, or an object without a descriptor
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if columns.isdecimal() and len(columns) < 5 else None
