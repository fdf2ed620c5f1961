"""Edits Python code: an import, a decorator, a statement more. Comments and layout stay.

Each edit is made in the text, and then proved: without the new lines, the new syntax tree is the old one.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass

from ..doctor.source import Definition
from .text import NotEditable, indent_of, inserted, lines_of, replaced

_HEAD = (ast.Import, ast.ImportFrom)


def decorated(text: str, node: Definition, name: str, decorator: str, *, on_top: bool = True) -> str:
    """`text` with a decorator at a function or class: above its other decorators, or below them.

    `node` is where the text has the definition, and `name` the full name of what to import for the decorator, such as
    "zespan_serverless.zespan_lambda". `{}` in `decorator` is what the module calls that.
    """
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)]) if on_top else node.lineno
    wanted = _import(text, name)
    line = f"{indent_of(lines_of(text)[first - 1])}@{decorator.format(wanted.called)}"
    return _with_import(text, inserted(text, first - 1, [line]), wanted, first)


def followed(text: str, node: ast.stmt, name: str, statement: str) -> str:
    """`text` with a statement after another one, in the same block. `{}` in it is what the module calls `name`.

    Without a `name` nothing is imported.
    """
    indent = indent_of(lines_of(text)[node.lineno - 1])
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    if len(indent) != node.col_offset or len(indent_of(lines_of(text)[first - 1])) != len(indent):
        raise NotEditable("its layout is unusual")
    wanted = _import(text, name) if name else _Import("", "")
    last = node.end_lineno or node.lineno
    space = ["", ""] if isinstance(node, Definition) and not indent else []
    lines = [indent + line for line in statement.format(wanted.called).split("\n")]
    edited = inserted(text, last, [*space, *lines])
    return _with_import(text, edited, wanted, last + len(space) + 1)


def imported(text: str, name: str) -> tuple[str, str]:
    """`text` with an import of `name`, and what the module calls that."""
    wanted = _import(text, name)
    return (_with_import(text, text, wanted, 0) if wanted.lines else text), wanted.called


def parsed(text: str) -> ast.Module:
    """Return the syntax tree of a text. Raises NotEditable."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotEditable(f"Python cannot read it: {error}") from None


@dataclass(frozen=True)
class _Import:
    """How a module gets a name: by these lines after the line `after`, or by another text of the line `instead_of`."""

    package: str
    called: str
    lines: tuple[str, ...] = ()
    after: int = 0
    instead_of: int = 0


def _import(text: str, name: str) -> _Import:
    """Return how a module gets a name; without lines if it has it. Raises NotEditable."""
    package, _, last = name.rpartition(".")
    tree, lines = parsed(text), lines_of(text)
    ours = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == package]
    for alias in (alias for node in ours for alias in node.names):
        if alias.name == last:
            return _Import(package, alias.asname or last)
    if any(last in _bound(node) for node in ast.walk(tree)):
        raise NotEditable(f"it has something else called {last}")
    for node in ours:
        if found := re.fullmatch(rf"from {re.escape(package)} import (\w+(?:, \w+)*)", lines[node.lineno - 1]):
            names = ", ".join(sorted([*found[1].split(", "), last]))
            return _Import(package, last, (f"from {package} import {names}",), instead_of=node.lineno)
    new, after = _place_of_import(text, tree, f"from {package} import {last}")
    return _Import(package, last, tuple(new), after)


def _bound(node: ast.AST) -> set[str]:
    """Return the names that a node binds."""
    if isinstance(node, _HEAD):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, Definition):
        return {node.name}
    if isinstance(node, ast.arg):
        return {node.arg}
    return {node.id} if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else set()


def _place_of_import(text: str, tree: ast.Module, line: str) -> tuple[list[str], int]:
    """Return the lines of an import, and the line after which they go: the last import at the module's head."""
    body = tree.body[1:] if ast.get_docstring(tree, clean=False) is not None else tree.body
    head: list[ast.stmt] = []
    for node in body:
        if not isinstance(node, _HEAD):
            break
        head.append(node)
    outside = [node for node in head if not (isinstance(node, ast.ImportFrom) and (node.level or _is_future(node)))]
    future = [node for node in head if _is_future(node)]
    if outside:
        is_standard = _package(outside[-1]) in sys.stdlib_module_names
        return ["", line] if is_standard else [line], outside[-1].end_lineno or outside[-1].lineno
    if future:
        return ["", line], future[-1].end_lineno or future[-1].lineno
    return _first_import(text, tree, line, body)


def _first_import(text: str, tree: ast.Module, line: str, body: list[ast.stmt]) -> tuple[list[str], int]:
    """Return the same for a module without imports: above its first statement and the comments that belong to that."""
    lines = lines_of(text)
    above = (tree.body[0].end_lineno or 0) if body is not tree.body and tree.body else 0
    if not body:
        return ["", line] if above else [line], above
    first = body[0]
    number = min([first.lineno, *(each.lineno for each in getattr(first, "decorator_list", []))])
    while number - 1 > above and lines[number - 2].startswith("#") and not _is_header(lines, number - 1):
        number -= 1
    space = [""] if isinstance(first, _HEAD) else ["", ""]
    lead = [""] if number > 1 and lines[number - 2].strip() else []
    return [*lead, line, *space], number - 1


def _is_header(lines: list[str], number: int) -> bool:
    """Whether a comment is for the system or for Python: `#!` or the coding of the file."""
    return number <= 2 and (lines[number - 1].startswith("#!") or "coding" in lines[number - 1])


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _package(node: ast.stmt) -> str:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0]
    return node.names[0].name.partition(".")[0] if isinstance(node, ast.Import) else ""


def _with_import(before: str, edited: str, wanted: _Import, number: int) -> str:
    """`edited`, which has a new line `number` below the imports, or 0, with the import. Raises NotEditable."""
    if wanted.instead_of:
        after = replaced(edited, wanted.instead_of, wanted.lines[0])
    else:
        after = inserted(edited, wanted.after, list(wanted.lines))
        number += len(wanted.lines) if number else 0
    old, new = (_Without(wanted.package, line) for line in (0, number))
    trees = parsed(before), parsed(after)
    old.visit(trees[0])
    new.visit(trees[1])
    is_same = ast.dump(trees[0]) == ast.dump(trees[1]) and old.imported <= new.imported
    if not is_same or new.found != bool(number):
        raise NotEditable("its layout is unusual")
    return after


class _Without(ast.NodeTransformer):
    """Leaves out the statement or decorator in a line, and the imports from a package, whose names it collects."""

    def __init__(self, package: str, line: int) -> None:
        self._package, self._line = package, line
        self.imported: set[str] = set()
        self.found = False

    def visit(self, node: ast.AST) -> ast.AST | None:
        if isinstance(node, ast.ImportFrom) and node.module == self._package and not node.level:
            self.imported |= {f"{alias.name} {alias.asname}" for alias in node.names}
            return None
        if isinstance(node, ast.stmt) and not isinstance(node, Definition) and node.lineno == self._line:
            self.found = True
            return None
        if isinstance(node, Definition):
            kept = [each for each in node.decorator_list if each.lineno != self._line]
            self.found |= len(kept) < len(node.decorator_list)
            node.decorator_list = kept
        return super().generic_visit(node)
