"""Reads YAML and JSON into values with line numbers, within fixed limits."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

MOST_LEVELS = 100
"""Levels of nesting; CDK's templates have about 20."""
MOST_NODES = 300_000
"""Maximum number of values in a file, including repetitions by aliases, of which a few can produce billions."""

LONGEST = 100_000
"""Maximum characters of a text from expressions, of which a few nested ones can exceed any memory."""
_HALF = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
"""A lone surrogate from JSON, which no file or terminal can encode."""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml takes a tenth of the time
_KEY = object()


class Unreadable(ValueError):
    """A file that cannot be read. The message has the reason and the line."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem if line is None else f"line {line}: {problem}")


class Table(dict[str, Any]):
    """A mapping that knows the line of each of its keys."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lines: dict[str, int] = {}


class Row(list[Any]):
    """A sequence that knows the line of each of its values."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lines: list[int] = []


def line_of(container: Any, key: str | int) -> int | None:
    """Return the line, counted from 1, of a key or of a value in a sequence; None if it is not known."""
    lines = getattr(container, "lines", None)
    if isinstance(lines, dict):
        return lines.get(key)
    return lines[key] if isinstance(lines, list) and isinstance(key, int) and key < len(lines) else None


def table(value: Any) -> Table:
    """`value` if it is a mapping, else an empty one: because files may contain anything."""
    if isinstance(value, Table):
        return value
    return Table(value) if isinstance(value, dict) else Table()


def row(value: Any) -> list[Any]:
    """`value` if it is a sequence; a single value becomes a sequence of it, and nothing an empty one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def parse_json(text: str) -> Any:
    """Return a JSON document with its lines. Raises Unreadable."""
    text = _HALF.sub(r"\\ufffd", text)
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise Unreadable(error.msg, error.lineno) from None
    except (RecursionError, ValueError):  # the latter for a number of thousands of digits
        raise Unreadable(f"it has more than {MOST_LEVELS} levels, or a number that is too long") from None
    try:
        (located,) = parse_yaml(text.replace("\t", " "))  # a string has no tabs in JSON, and YAML no other ones
    except Unreadable as error:
        if "more than" in str(error) or "nesting" in str(error):
            raise
        return plain  # YAML does not understand all of JSON, such as keys of more than 1,024 characters
    return located if located == plain else plain


def parse_yaml(text: str) -> list[Any]:
    """Parse a YAML file's documents with their lines. CloudFormation's tags get long forms. Raises Unreadable."""
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(error.problem or "it is no YAML", mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"it is no YAML: {str(error).splitlines()[0]}") from None
    return builder.documents


@dataclass
class _Open:
    """A collection whose end has not come yet."""

    value: Table | Row
    tag: str | None
    anchor: str | None
    line: int
    key: Any = _KEY  # the key whose value comes next
    nodes: int = 1
    merged: list[Any] = field(default_factory=list)  # what `<<` adds


class _Builder:
    """Makes values of YAML's events, without recursion."""

    def __init__(self) -> None:
        self.documents: list[Any] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors = {}
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise Unreadable(f"nothing is called {event.anchor!r}", line)
            value, nodes = self._anchors[event.anchor]
            self._add(value, line, nodes)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._open) >= MOST_LEVELS:
                raise Unreadable(f"it has more than {MOST_LEVELS} levels", line)
            value = Table() if isinstance(event, yaml.MappingStartEvent) else Row()
            self._open.append(_Open(value, event.tag, event.anchor, line))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()

    def _scalar(self, event: Any, line: int) -> None:
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, Table) and parent.key is _KEY:
            parent.key = event.value  # as it is written: `on` and `200` are names here
            parent.value.lines[event.value] = line
            return
        event.value = event.value.encode("utf-8", "replace").decode()  # half of a character would be in no report
        value = _tagged(event.tag, event.value if event.tag else _plain(event))
        if event.anchor:
            self._anchors[event.anchor] = value, 1
        self._add(value, line, 1)

    def _close(self) -> None:
        done = self._open.pop()
        for added in done.merged:
            for key in added.keys() - done.value if isinstance(added, Table) else ():
                table(done.value)[key] = added[key]
                table(done.value).lines[key] = added.lines.get(key, done.line)
        value = _tagged(done.tag, done.value)
        if done.anchor:
            self._anchors[done.anchor] = value, done.nodes
        self._add(value, done.line, done.nodes)

    def _add(self, value: Any, line: int, nodes: int) -> None:
        if not self._open:
            self.documents.append(value)
            return
        parent = self._open[-1]
        parent.nodes += nodes
        if parent.nodes > MOST_NODES:
            raise Unreadable(f"it has more than {MOST_NODES} values", line)
        if isinstance(parent.value, Row):
            parent.value.append(value)
            parent.value.lines.append(line)
        elif parent.key is _KEY:
            raise Unreadable("a key is no string", line)
        else:
            if parent.key == "<<":
                parent.merged.extend(row(value))
            else:
                parent.value[parent.key] = value
            parent.key = _KEY


_RESOLVER, _CONSTRUCTOR = Resolver(), SafeConstructor()
_KINDS = {f"tag:yaml.org,2002:{kind}": kind for kind in ("null", "bool", "int", "float")}


def _plain(event: Any) -> Any:
    """Return the value of a scalar without a tag; a date stays the string that it is in AWSTemplateFormatVersion."""
    tag = _RESOLVER.resolve(ScalarNode, event.value, event.implicit)
    if tag not in _KINDS:
        return event.value
    try:
        return getattr(_CONSTRUCTOR, f"construct_yaml_{_KINDS[tag]}")(ScalarNode(tag, event.value))
    except ValueError:  # 0b, or a number of thousands of digits
        return event.value


def _tagged(tag: str | None, value: Any) -> Any:
    """CloudFormation's short form as its long one: !Ref A is {"Ref": "A"}."""
    if tag is None or not tag.startswith("!") or len(tag) == 1:
        return value
    if tag == "!GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return Table({tag[1:] if tag in ("!Ref", "!Condition") else f"Fn::{tag[1:]}": value})
