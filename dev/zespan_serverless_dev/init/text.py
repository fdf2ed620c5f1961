"""The text of a file, whose marks of Windows are kept: byte order mark and ends of lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..doctor.readers.files import text_of

BOM = "\ufeff"


class NotEditable(ValueError):
    """A change that is left to the user. Says why."""


@dataclass(frozen=True)
class Form:
    """How a text is written in its file."""

    has_bom: bool = False
    end: str = "\n"

    def encoded(self, text: str) -> bytes:
        """Return the bytes of a file with this text, whose lines end in plain newlines."""
        return ((BOM if self.has_bom else "") + text.replace("\n", self.end)).encode()


def load(file: Path) -> tuple[str, Form, bytes]:
    """Return a file's text with plain newlines, its form, and its bytes. Raises NotEditable."""
    try:
        text_of(file)  # checks that it is a regular file of a reasonable size
        content = file.read_bytes()
        text = content.decode()
    except (OSError, ValueError) as error:
        raise NotEditable(f"it cannot be read: {error}") from None
    form = Form(text.startswith(BOM), "\r\n" if "\r\n" in text else "\n")
    plain = text.removeprefix(BOM).replace("\r\n", "\n")
    if form.encoded(plain) != content or "\r" in plain:
        raise NotEditable("its lines end in different ways")
    return plain, form, content


def lines_of(text: str) -> list[str]:
    """Split a text into lines. The last one is empty if the text ends in a newline."""
    return text.split("\n")


def inserted(text: str, after: int, new: list[str]) -> str:
    """Return a text with more lines after the line `after`, counted from 1; 0 is the beginning."""
    lines = lines_of(text)
    if after == len(lines):
        lines.append("")  # the last line had no newline: what follows it ends in one
    return "\n".join([*lines[:after], *new, *lines[after:]])


def replaced(text: str, number: int, new: str) -> str:
    """Return a text with another line in place of the line `number`, counted from 1."""
    lines = lines_of(text)
    lines[number - 1] = new
    return "\n".join(lines)


def indent_of(line: str) -> str:
    """Return the white space that a line begins with."""
    found = re.match(r"[ \t]*", line)
    return found[0] if found else ""
