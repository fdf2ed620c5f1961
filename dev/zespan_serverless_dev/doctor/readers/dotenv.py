"""Reads `.env` files: NAME=value, one a line, perhaps with `export`, quotes and a comment."""

from __future__ import annotations

import re
from pathlib import Path

from ..model import UNKNOWN, Place, Project, Unknown, Variable
from .files import text_of, walk

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")


def read(root: Path, project: Project) -> None:
    """Add the variables of each file called `.env`, `.env.NAME` or `NAME.env`, but for those that are only examples."""
    for path in walk(root):
        if not (path.name.startswith(".env.") or path.name.endswith(".env")) or "example" in path.name:
            continue
        try:
            lines = text_of(path).splitlines()
        except (OSError, ValueError) as error:
            project.skipped.append((path, str(error)))
            continue
        project.read.append(path)
        for number, line in enumerate(lines, 1):
            if found := _LINE.match(line):
                project.variables.append(Variable(found[1], _value(found[2]), Place(path, number)))


def _value(text: str) -> str | Unknown:
    """Return a value without quotes, or without the comment after it; unknown if it contains another variable."""
    quote = text[:1] if text[:1] in ("'", '"') and text.find(text[0], 1) > 0 else ""
    value = text[1 : text.find(quote, 1)] if quote else re.split(r"\s#", f" {text}")[0].strip()
    return UNKNOWN if "$" in value and quote != "'" else value
