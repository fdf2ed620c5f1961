"""What deployment files of several platforms have in common: variables, names of handlers, folders of code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..model import UNKNOWN, Place, Unknown, Variable
from ._documents import line_of, row, table

_EXPRESSION = re.compile(r"\$[({]|\{\{")


def text(value: Any) -> str | Unknown:
    """Return a value as the platform passes it on; UNKNOWN for an expression, which only the deployment resolves."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return value if isinstance(value, str) and not _EXPRESSION.search(value) else UNKNOWN


def variables(file: Path, written: Any) -> dict[str, Variable]:
    """Return the variables of a mapping of names to values."""
    named = table(written)
    return {name: Variable(name, text(value), Place(file, line_of(named, name))) for name, value in named.items()}


def listed(file: Path, written: Any) -> dict[str, Variable]:
    """Return the variables of a sequence of `{name: NAME, value: VALUE}`, as in Kubernetes."""
    found = {}
    for each in map(table, row(written)):
        if isinstance(name := each.get("name"), str):
            found[name] = Variable(name, text(each.get("value", UNKNOWN)), Place(file, line_of(each, "name")))
    return found


def number(value: Any) -> float | Unknown | None:
    """Return a number; UNKNOWN for what is written otherwise, and None if there is nothing."""
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    return UNKNOWN


def folder(base: Path, written: Any) -> Path | None:
    """Return a folder that a file in `base` names; None if there is none."""
    if not isinstance(written, str) or "\0" in written or "://" in written:
        return None
    try:
        found = base / written
        return found if found.is_dir() else None
    except (OSError, RuntimeError):  # a name that is too long, or a loop of links
        return None
