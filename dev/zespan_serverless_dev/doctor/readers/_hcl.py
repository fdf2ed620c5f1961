"""A Terraform module: its resources, and the values of expressions as far as its own files determine them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model import UNKNOWN, Place, Unknown
from ._documents import LONGEST, MOST_LEVELS, Row, Table, Unreadable, line_of, row, table

_EXPRESSION = re.compile(r"\$\{((?:[^{}]|\{[^{}]*\})*)\}")
_WHOLE = re.compile(r"\$\{(.*)\}", re.DOTALL)
_KNOWN = re.compile(r"(var|local)\.([\w-]+)")
_RESOURCE = re.compile(r"\b(data\.)?((?:aws|google|archive)_\w+)\.([\w-]+)")
_CALL = re.compile(r"(jsonencode|merge|concat|tolist|toset|tomap)\((.*)\)", re.DOTALL)
_MOST_VALUES = 10_000
"""Maximum number of values in one expression, because locals that repeat each other multiply."""
HOLE = "<unknown>"
"""Placeholder for unknown parts in the text of a policy."""
_OPTIONS = {"preserve_heredocs": False, "with_comments": False, "explicit_blocks": False}


@dataclass
class Resource:
    """One resource, or a `data` block."""

    name: str
    body: Table
    place: Place

    def at(self, *keys: str) -> Place:
        """Return where an attribute is, inside blocks whose names precede it; the resource if that is not known."""
        container: Any = self.body
        for key in keys[:-1]:
            container = block(container, key)
        line = line_of(container, keys[-1])
        return Place(self.place.file, line) if line else self.place


@dataclass
class Module:
    """The files of one folder."""

    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)  # their defaults
    given: dict[str, Any] = field(default_factory=dict)  # what terraform.tfvars sets
    locals: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, dict[str, Resource]] = field(
        default_factory=dict
    )  # by type and name; also "data.TYPE", "module"
    calls: list[Any] = field(default_factory=list)  # what other modules are given
    _left: int = 0  # values that may still be made for one expression

    def of_type(self, type: str) -> dict[str, Resource]:
        return self.resources.get(type, {})

    def add(self, document: Any, file: Path) -> None:
        """Add the blocks of one file."""
        for kind, prefix in (("resource", ""), ("data", "data.")):
            for types in map(table, row(document.get(kind))):
                for type, named in types.items():
                    for bodies in map(table, row(named)):
                        found = {name: _resource(name, bodies, file) for name in bodies}
                        self.resources.setdefault(prefix + type, {}).update(found)
        for named in map(table, row(document.get("variable"))):
            self.variables |= {
                name: table(_first(body))["default"] for name, body in named.items() if "default" in table(_first(body))
            }
        for values in map(table, row(document.get("locals"))):
            self.locals |= values
        for called in map(table, row(document.get("module"))):
            self.calls.append(called)
            self.resources.setdefault("module", {}).update({name: _resource(name, called, file) for name in called})

    # ------------------------------------------------------------------ expressions

    def value(self, node: Any, depth: int = 0) -> Any:
        """Return the value of an expression; UNKNOWN if other modules, resources or the caller decide."""
        self._left = self._left - 1 if depth else _MOST_VALUES
        if depth > MOST_LEVELS or self._left < 0:
            return UNKNOWN  # a local that refers to itself, or often to one that refers often to one, and so on
        if isinstance(node, list):
            return Row(self.value(each, depth + 1) for each in node)
        if isinstance(node, dict):
            found = Table({key: self.value(each, depth + 1) for key, each in node.items()})
            found.lines = getattr(node, "lines", {})
            return found
        if not isinstance(node, str) or "${" not in node:
            return node
        whole = _WHOLE.fullmatch(node)
        if whole and ("${" not in whole[1] or _CALL.fullmatch(whole[1].strip())):
            return self._expression(whole[1].strip(), depth)
        parts = {each: self._expression(each.strip(), depth) for each in _EXPRESSION.findall(node)}
        if not parts or any(
            isinstance(part, bool) or not isinstance(part, (str, int, float)) for part in parts.values()
        ):
            return UNKNOWN
        if sum(len(str(parts[each])) for each in _EXPRESSION.findall(node)) > LONGEST:
            return UNKNOWN
        return _EXPRESSION.sub(lambda match: str(parts[match[1]]), node)

    def _expression(self, text: str, depth: int) -> Any:
        if named := _KNOWN.fullmatch(text):
            values = self.variables | self.given if named[1] == "var" else self.locals
            return self.value(values[named[2]], depth + 1) if named[2] in values else UNKNOWN
        if text == "path.module":
            return str(self.folder)
        if called := _CALL.fullmatch(text):
            arguments = [self.value(each, depth + 1) for each in _arguments(called[2])]
            return _called(called[1], arguments)
        return UNKNOWN

    def policy(self, node: Any) -> Any:
        """Return a policy as a value, also if it is a text of JSON, in which what is not known is HOLE."""
        found = self.value(node)
        if isinstance(node, str) and node.lstrip().startswith("{"):
            found = _EXPRESSION.sub(lambda match: self._text(match[0]), node)
        if not isinstance(found, str):
            return found
        try:
            return json.loads(found)
        except (ValueError, RecursionError):
            return UNKNOWN

    def _text(self, node: str) -> str:
        found = self.value(node)
        return found if isinstance(found, str) else HOLE

    def number(self, node: Any) -> Any:
        found = self.value(node)
        if isinstance(found, str) and re.fullmatch(r"\d{1,9}", found):
            return int(found)
        return found if isinstance(found, (int, float)) and not isinstance(found, bool) else UNKNOWN

    def texts(self, node: Any) -> list[str | Unknown]:
        found = self.value(node)
        return [each if isinstance(each, str) else UNKNOWN for each in row(found)]

    def target(self, node: Any, *types: str) -> Resource | None:
        """Return the resource of one of these types that an expression mentions."""
        for is_data, type, name in _RESOURCE.findall(node) if isinstance(node, str) else ():
            found = self.of_type(f"data.{type}" if is_data else type).get(name)
            if found is not None and (f"data.{type}" if is_data else type) in types:
                return found
        return None

    def is_given_away(self, type: str, name: str) -> bool:
        """Whether another module is given a resource, to which it may add what is not seen here."""
        return f"{type}.{name}" in str(self.calls)


def block(container: Any, name: str) -> Table:
    """Return the first block with this name; an empty one if there is none."""
    return table(_first(table(container).get(name)))


def parse(text: str) -> Table:
    """Return the blocks and attributes of a file in HCL, with their lines. Raises Unreadable."""
    import hcl2  # the parser's tables take a tenth of a second
    from lark.exceptions import LarkError

    try:
        return _body(hcl2.parses(text).body, hcl2.SerializationOptions(strip_string_quotes=True, **_OPTIONS))
    except LarkError as error:
        line = getattr(error, "line", None)
        raise Unreadable("it is no HCL", line if isinstance(line, int) and line > 0 else None) from None
    except RecursionError:
        raise
    except Exception as error:  # the parser's own, such as KeyError
        raise Unreadable(f"it is no HCL ({type(error).__name__})") from None


def _body(rule: Any, options: Any) -> Table:
    """Return the body of a file or block; blocks of one name are a sequence."""
    found = Table()
    for child in rule.children:
        kind = child.lark_name()
        if kind == "attribute":
            name = child.identifier.serialize(options)
            found[name] = _expression(child.expression, options)
            found.lines[name] = _line(child)
        elif kind == "block":
            name, *labels = (label.serialize(options) for label in child.labels)
            inner = _body(child.body, options)
            for label in reversed(labels):
                outer = Table({label: inner})
                outer.lines[label] = _line(child)
                inner = outer
            found.setdefault(name, Row()).append(inner)
            found.lines.setdefault(name, _line(child))
    return found


def _expression(rule: Any, options: Any) -> Any:
    """Return the value of an expression; an object has the lines of its keys."""
    value = rule.serialize(options)
    while rule.lark_name() == "expr_term":
        rule = next((child for child in rule.children if hasattr(child, "children")), None)
        if rule is None:
            return value
    if not isinstance(value, dict) or rule.lark_name() != "object":
        return value
    found = Table()
    for element in rule.elements:
        name = element.key.serialize(options)
        found[name] = _expression(element.expression, options)
        found.lines[name] = _line(element)
    return found


def _line(rule: Any) -> int:
    return int(getattr(getattr(rule, "_meta", None), "line", 1))


def _arguments(text: str) -> list[Any]:
    """Return the arguments of a function's call."""
    try:
        return row(parse(f"arguments = [{text}]").get("arguments"))
    except Unreadable:
        return [UNKNOWN]


def _called(name: str, arguments: list[Any]) -> Any:
    if name == "jsonencode":
        return arguments[0] if arguments else UNKNOWN  # as a value: policies are read, not sent
    if name == "merge":
        both = Table()
        for each in arguments:
            both.update(each if isinstance(each, dict) else {"": UNKNOWN})
        return both
    if name == "concat":
        return Row(value for each in arguments for value in row(each))
    return arguments[0] if len(arguments) == 1 else UNKNOWN


def _resource(name: str, bodies: Table, file: Path) -> Resource:
    return Resource(name, table(_first(bodies[name])), Place(file, line_of(bodies, name)))


def _first(value: Any) -> Any:
    return (value[0] if value else None) if isinstance(value, list) else value
