"""Edits JSON by lines: the first key of an object. The layout of the others stays, and the edit is proved."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from ..doctor.readers._documents import Unreadable, line_of, parse_json
from .text import NotEditable, indent_of, lines_of


def put(text: str, path: tuple[str, ...], value: Any) -> str:
    """`text` with a value at a path whose last parts may be missing. Raises NotEditable."""
    try:
        document = parse_json(text)
    except Unreadable as error:
        raise NotEditable(str(error)) from None
    expected = copy.deepcopy(document)
    known, depth, number = document, 0, 1
    while depth < len(path) - 1 and isinstance(known, dict) and path[depth] in known:
        number = line_of(known, path[depth]) or 0
        known, depth = known[path[depth]], depth + 1
    for key in reversed(path[depth + 1 :]):
        value = {key: value}
    target = expected
    for key in path[:depth]:
        target = target[key]
    if not isinstance(target, dict) or path[depth] in target:
        raise NotEditable(f"{path[depth]} is written in a way that is not edited here")
    edited = _inserted(text, number, path[depth], value, is_empty=not target)
    target[path[depth]] = value
    try:
        if json.loads(edited) != expected:
            raise ValueError
    except ValueError:
        raise NotEditable("its layout is unusual") from None
    return edited


def _inserted(text: str, number: int, key: str, value: Any, *, is_empty: bool) -> str:
    """Insert the key as the first one of the object that begins at the end of a line, or in an empty object."""
    lines = lines_of(text)
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    step = next((indent_of(each) for each in lines if indent_of(each)), "  ")
    indent = indent_of(line) + step
    body = json.dumps(value, indent=step).replace("\n", "\n" + indent)
    if is_empty and (found := re.fullmatch(r"(.*\{)\s*(\}.*)", line)):
        lines[number - 1] = f'{found[1]}\n{indent}"{key}": {body}\n{indent_of(line)}{found[2]}'
    elif line.rstrip().endswith("{") and not is_empty:
        lines.insert(number, f'{indent}"{key}": {body},')
    else:
        raise NotEditable(f"{key} is written in a way that is not edited here")
    return "\n".join(lines)
