"""Edits YAML by lines: a key or an item more. Comments, order and quotes stay.

Each edit is proved: the new document is the old one with the new value.
"""

from __future__ import annotations

import copy
import json
import re
from contextlib import suppress
from typing import Any

from ..doctor.readers._documents import Row, Table, Unreadable, line_of, parse_yaml
from .text import NotEditable, indent_of, inserted, lines_of, replaced

Path = tuple[str, ...]
_BREAKS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_PLAIN = re.compile(r"[A-Za-z/][\w./:-]*[\w/]|\d+")


def put(text: str, path: Path, value: Any) -> str:
    """`text` with `value` at `path`, whose last parts may be missing. A plain value that is there is replaced."""
    document = _document(text)
    expected = copy.deepcopy(document)
    if not isinstance(expected, Table):
        raise NotEditable("it is no mapping")
    _set(expected, path, value)
    known, depth = document, 0
    while (
        depth < len(path) - 1 and isinstance(known, Table) and path[depth] in known and known[path[depth]] is not None
    ):
        known, depth = known[path[depth]], depth + 1
    missing = path[depth + 1 :]
    for key in reversed(missing):
        value = {key: value}
    key = path[depth]
    if not isinstance(known, Table):
        raise NotEditable(f"{'.'.join(path[:depth])} is no mapping")
    if key in known:
        return _proved(_with_value(text, known, key, value), expected)
    last = max(known.lines, key=lambda name: known.lines[name], default="")
    if not last:
        raise NotEditable(f"{key} is written in a way that is not edited here")
    edited = _with_key(text, known.lines[last], last, key, value)
    return (
        _proved(edited, expected) if edited else _in_flow(text, known.lines[last], f"{key}: {_flow(value)}", expected)
    )


def append(text: str, path: Path, value: Any) -> str:
    """`text` with one more item at the end of a sequence. A missing one is made; a plain value becomes one."""
    document = _document(text)
    found = _at(document, path)
    if found is None:
        return put(text, path, [value])
    expected = copy.deepcopy(document)
    items = [*found, value] if isinstance(found, list) else [found, value]
    _set(expected, path, items)
    number = line_of(_parent(document, path), path[-1])
    if number is None:
        raise NotEditable(f"{path[-1]} is written in a way that is not edited here")
    line = lines_of(text)[number - 1]
    if isinstance(found, Row) and found and found.lines[-1] > number and not _is_flow(line):
        first = lines_of(text)[found.lines[0] - 1]
        indent = re.match(r"[ ]*", first)
        lines = _rendered([value], indent[0] if indent else "")
        return _proved(inserted(text, _end(text, number), lines), expected)
    bare, comment = _split(line)
    if isinstance(found, Row) and bare.endswith("]"):
        comma = ", " if found else ""
        return _proved(replaced(text, number, f"{bare[:-1]}{comma}{_flow(value)}]{comment}"), expected)
    if isinstance(found, (str, dict)) and not isinstance(found, Row):
        return _proved(_as_sequence(text, number, value), expected)
    raise NotEditable(f"{path[-1]} is written in a way that is not edited here")


def _as_sequence(text: str, number: int, value: Any) -> str:
    """Make a plain value on the line of its key the first item of a sequence."""
    line = lines_of(text)[number - 1]
    bare, comment = _split(line)
    found = re.fullmatch(r"([ ]*[^:]+:)[ ]+(\S.*)", bare)
    if found is None:
        raise NotEditable("it is written in a way that is not edited here")
    indent = indent_of(line) + "  "
    edited = replaced(text, number, f"{found[1]}{comment}")
    return inserted(edited, number, [f"{indent}- {found[2]}", *_rendered([value], indent)])


def _with_value(text: str, known: Table, key: str, value: Any) -> str:
    """Replace the plain value of a key, or add a missing one."""
    number = known.lines[key]
    bare, comment = _split(lines_of(text)[number - 1])
    found = re.fullmatch(rf"([ ]*(?:- )*[\"']?{re.escape(key)}[\"']?:)[ ]*([^\s{{\[&*!|>][^{{\[]*)?", bare)
    if found is None:
        raise NotEditable(f"{key} is written in a way that is not edited here")
    if isinstance(value, (dict, list)):
        if found[2]:
            raise NotEditable(f"{key} has a plain value")
        return inserted(text, number, _rendered(value, indent_of(bare) + "  "))
    return replaced(text, number, f"{found[1]} {_flow(value)}{comment}")


def _with_key(text: str, number: int, last: str, key: str, value: Any) -> str | None:
    """Add a key after the last one of a mapping, in the line `number`; None if that does not begin the line."""
    found = re.match(rf"([ ]*(?:- +)*)[\"']?{re.escape(last)}[\"']?[ ]*:", lines_of(text)[number - 1])
    if found is None:
        return None
    indent = " " * len(found[1])
    return inserted(text, _end(text, number, len(indent)), _rendered({key: value}, indent))


def _in_flow(text: str, number: int, added: str, expected: Any) -> str:
    """Add a key to a mapping in braces, which end in the line `number`, if that makes what is expected."""
    bare, comment = _split(lines_of(text)[number - 1])
    end = len(bare)
    while end and bare[end - 1] in "}] ":
        end -= 1
        with suppress(NotEditable):
            return _proved(
                replaced(text, number, f"{bare[:end].rstrip()}, {added}{bare[end:].lstrip()}{comment}"), expected
            )
    raise NotEditable("it is written in a way that is not edited here")


def _end(text: str, number: int, indent: int | None = None) -> int:
    """Return the last line of what the line `number` begins: those that are indented more, and items below a key."""
    lines = lines_of(text)
    own = len(indent_of(lines[number - 1])) if indent is None else indent
    last = number
    for index in range(number, len(lines)):
        line = lines[index]
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        deep = len(indent_of(line))
        if deep < own or (deep == own and not bare.startswith("- ")):
            break
        last = index + 1
    return last


def _rendered(value: Any, indent: str) -> list[str]:
    """Return a value as lines of YAML."""
    if isinstance(value, list):
        lines = []
        for item in value:
            first, *rest = _rendered(item, indent + "  ") if isinstance(item, dict) else [f"{indent}  {_flow(item)}"]
            lines += [f"{indent}- {first.lstrip()}", *rest]
        return lines
    lines = []
    for key, each in value.items():
        if isinstance(each, (dict, list)):
            lines += [f"{indent}{key}:", *_rendered(each, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {_flow(each)}")
    return lines


def _flow(value: Any) -> str:
    """Return a value in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _split(line: str) -> tuple[str, str]:
    """Return a line without the comment at its end, and that comment with the space before it."""
    found = re.fullmatch(r"(.*?)([ \t]+#[^'\"]*|[ \t]*)", line)
    return (found[1], found[2]) if found else (line, "")


def _is_flow(line: str) -> bool:
    bare, _ = _split(line)
    return bare.endswith(("[", "{", "]", "}"))


def _document(text: str) -> Any:
    if _BREAKS.search(text):
        raise NotEditable("it has line breaks that tools count differently")
    try:
        documents = parse_yaml(text)
    except Unreadable as error:
        raise NotEditable(str(error)) from None
    if len(documents) != 1:
        raise NotEditable("it has several documents")
    return documents[0]


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _parent(document: Any, path: Path) -> Any:
    return _at(document, path[:-1])


def _set(document: Any, path: Path, value: Any) -> None:
    for key in path[:-1]:
        if document.get(key) is None:
            document[key] = Table()
        document = document[key]
        if not isinstance(document, dict):
            raise NotEditable(f"{key} is no mapping")
    document[path[-1]] = value


def _proved(text: str, expected: Any) -> str:
    if _document(text) != expected:
        raise NotEditable("its layout is unusual")
    return text
