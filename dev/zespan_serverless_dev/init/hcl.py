"""Edits Terraform's files by lines: attributes and variables of a Lambda function. Each edit is proved."""

from __future__ import annotations

import copy
import re
from typing import Any

from ..doctor.readers._documents import Table, Unreadable
from ..doctor.readers._hcl import parse
from .text import NotEditable, indent_of, inserted, lines_of, replaced

FUNCTION = "aws_lambda_function"


def with_variable(text: str, name: str, variable: str, value: str) -> str:
    """Return a function with an environment variable more. Raises NotEditable."""
    expected = _document(text)
    body = _body(expected, name)
    environment = body.get("environment")
    if environment is None:
        block = ["environment {", "  variables = {", f'    {variable} = "{value}"', "  }", "}"]
        edited = _before_end(text, name, ["", *block])
        body["environment"] = [{"variables": {variable: value}}]
        return _proved(edited, expected)
    try:
        environment[0]["variables"][variable] = value
    except (KeyError, IndexError, TypeError):
        raise NotEditable("its environment is written in a way that is not edited here") from None
    start, end = _range(text, name)
    lines = lines_of(text)
    for number in range(start, end):
        line = lines[number - 1]
        if re.fullmatch(r"\s*variables\s*=\s*\{\s*(#.*)?", line):
            new = _aligned(lines[number], variable, f'"{value}"', indent_of(line) + "  ")
            return _proved(inserted(text, number, new), expected)
        if found := re.fullmatch(r"(.*\bvariables\s*=\s*\{)\s*(.*\S)\s*\}(.*)", line):
            added = f'{found[1]} {found[2].rstrip(",")}, {variable} = "{value}" }}{found[3]}'
            return _proved(replaced(text, number, added), expected)
    raise NotEditable("its environment is written in a way that is not edited here")


def with_timeout(text: str, name: str, seconds: int) -> str:
    """Return a function with another timeout, which must be a number or missing. Raises NotEditable."""
    expected = _document(text)
    body = _body(expected, name)
    before = body.get("timeout")
    body["timeout"] = seconds
    start, end = _range(text, name)
    lines = lines_of(text)
    for number in range(start, end):
        line = lines[number - 1]
        if found := re.fullmatch(r"(\s*timeout\s*=\s*)\d+(\s*(?:#.*)?)", line):
            return _proved(replaced(text, number, f"{found[1]}{seconds}{found[2]}"), expected)
    if before is not None:
        raise NotEditable(f"its timeout is an expression: {before}")
    after = next((n for n in range(start, end) if re.match(r"\s*handler\s*=", lines[n - 1])), None)
    if after is None:
        raise NotEditable("it has no handler")
    new = _aligned(lines[after - 1], "timeout", str(seconds), indent_of(lines[after - 1]))
    return _proved(inserted(text, after, [line for line in new if line]), expected)


def with_permission(text: str, name: str, parameter: str) -> str:
    """Return the file with a policy that lets a function's role read a parameter. Raises NotEditable."""
    found = re.search(r"\baws_iam_role\.([\w-]+)\.", str(_body(_document(text), name).get("role")))
    if found is None:
        raise NotEditable("its role is not in this project")
    label = f"zespan_read_key_{found[1]}"
    if f'"{label}"' in text:
        return text
    lines = [
        "",
        f'resource "aws_iam_role_policy" "{label}" {{',
        f"  role = aws_iam_role.{found[1]}.id",
        "  policy = jsonencode({",
        '    Version   = "2012-10-17"',
        f'    Statement = [{{ Effect = "Allow", Action = "ssm:GetParameter", Resource = "{parameter}" }}]',
        "  })",
        "}",
    ]
    edited = text.rstrip("\n") + "\n" + "\n".join(lines) + "\n"
    _document(edited)
    return edited


def _aligned(neighbour: str, key: str, value: str, indent: str) -> list[str]:
    """Align a line's equals sign with that of a neighbour; an empty line separates it from a shorter one."""
    found = re.match(r"\s*[\w\"-]+\s*(?==)", neighbour)
    if found is None:
        return [f"{indent}{key} = {value}"]
    width = len(found[0]) - len(indent) - 1
    line = f"{indent}{key:<{max(width, 0)}} = {value}"
    return [line] if len(key) <= width else [line, ""]


def _before_end(text: str, name: str, lines: list[str]) -> str:
    start, end = _range(text, name)
    indent = indent_of(lines_of(text)[start - 1]) + "  "
    return inserted(text, end - 1, [indent + line if line else line for line in lines])


def _range(text: str, name: str) -> tuple[int, int]:
    """Return the first and the last line of a function's block."""
    lines = lines_of(text)
    header = re.compile(rf'\s*resource\s+"{FUNCTION}"\s+"{re.escape(name)}"\s*\{{\s*(#.*)?')
    start = next((number for number, line in enumerate(lines, 1) if header.fullmatch(line)), None)
    if start is not None:
        closing = indent_of(lines[start - 1]) + "}"
        end = next((n for n in range(start + 1, len(lines) + 1) if lines[n - 1].rstrip() == closing), None)
        if end is not None:
            return start, end
    raise NotEditable(f"the block of {name} is written in a way that is not edited here")


def _body(document: Any, name: str) -> Any:
    for each in document.get("resource", []):
        found = each.get(FUNCTION, {}).get(name)
        if found is not None:
            return found
    raise NotEditable(f"it has no {FUNCTION} {name}")


def _document(text: str) -> Table:
    try:
        return copy.deepcopy(parse(text))
    except Unreadable as error:
        raise NotEditable(str(error)) from None


def _proved(text: str, expected: Any) -> str:
    if _document(text) != expected:
        raise NotEditable("its layout is unusual")
    return text
