"""Reads Python code for rules: the names that it imports, its calls, and the wrappers around its handler."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_DEEPEST = 300
"""Levels of a syntax tree. Deeper recursion would exceed Python's limit."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass
class Module:
    """One file of Python code."""

    path: Path
    tree: ast.Module
    nodes: list[ast.AST]  # all of the tree, the outer ones first

    @cached_property
    def file(self) -> Path:
        """Its path without links, to compare it with others."""
        return self.path.resolve()

    @cached_property
    def decorated(self) -> list[Handler]:
        """Every function and class that has a decorator."""
        return [_defined(self, node) for node in self.nodes if isinstance(node, Definition) and node.decorator_list]

    @cached_property
    def imports(self) -> dict[str, str]:
        """The full name of each imported one: {"zl": "zespan_serverless.zespan_lambda"}."""
        names: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    names[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                names |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
        return names

    def imported_files(self, root: Path) -> set[Path]:
        """Return the files that it may import, if `root` is where absolute imports begin."""
        plain = [alias.name for node in self.nodes if isinstance(node, ast.Import) for alias in node.names]
        files: set[Path] = set()
        for name in (*plain, *self.imports.values()):
            stem = name.lstrip(".")
            up = len(name) - len(stem)
            files |= files_of(self.path.parents[up - 1] if 0 < up <= len(self.path.parents) else root, stem)
        return files

    @cached_property
    def calls(self) -> list[tuple[str, ast.Call]]:
        """Every call, with the full name of what is called."""
        return [(self.name(node.func), node) for node in self.nodes if isinstance(node, ast.Call)]

    def uses(self, package: str) -> bool:
        """Whether it imports the package, or something of it."""
        return any(name == package or name.startswith(f"{package}.") for name in self.imports.values())

    def name(self, node: ast.AST) -> str:
        """Return the full name of `a.b.c`, with what `a` was imported as; for a call, of what is called; else empty."""
        if isinstance(node, ast.Call):
            return self.name(node.func)
        if isinstance(node, ast.Attribute):
            left = self.name(node.value)
            return f"{left}.{node.attr}" if left else ""
        return self.imports.get(node.id, node.id) if isinstance(node, ast.Name) else ""


@dataclass(frozen=True)
class Wrapper:
    """One decorator of a function, or a call around it."""

    name: str  # "zespan_serverless.zespan_lambda"
    node: ast.expr

    @property
    def arguments(self) -> dict[str, ast.expr]:
        """Its arguments by keyword."""
        given = self.node.keywords if isinstance(self.node, ast.Call) else []
        return {keyword.arg: keyword.value for keyword in given if keyword.arg}


@dataclass(frozen=True)
class Handler:
    """A function with what is around it, the outermost first. `definition` is None for what another module defines."""

    module: Module
    line: int
    wrappers: tuple[Wrapper, ...]
    definition: Definition | None


def files_of(folder: Path, name: str) -> set[Path]:
    """Return the files that an import of `a.b.c` may load: the module's, and those of its packages."""
    parts = name.split(".")
    stems = [folder.joinpath(*parts[:length]) for length in range(len(parts) + 1)]
    files = {stem / "__init__.py" for stem in stems} | {stem.with_name(f"{stem.name}.py") for stem in stems[1:]}
    return {file.resolve() for file in files}


def parse(path: Path, text: str) -> Module:
    """Read code. Raises ValueError for what Python cannot read, and for what is nested deeper than people write."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from None
    except (RecursionError, MemoryError):
        raise ValueError("it is nested too deeply") from None
    nodes: list[ast.AST] = [tree]
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        nodes += level
        if not level:
            return Module(path, tree, nodes)
    raise ValueError("it is nested too deeply")


def handler(module: Module, name: str) -> Handler | None:
    """Return the handler `name` of a module, with its wrappers; None if it does not exist, or is unknown."""
    try:
        return _resolved(module, name, len(module.tree.body))
    except RecursionError:  # hundreds of assignments of one another
        return None


def constants(call: ast.Call) -> dict[str, object]:
    """Return those arguments by keyword of a call whose values the code tells."""
    found: dict[str, object] = {}
    for keyword in call.keywords:
        if keyword.arg:
            try:
                found[keyword.arg] = ast.literal_eval(keyword.value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
    return found


def _resolved(module: Module, name: str, before: int) -> Handler | None:
    """Return what `name` is after the first `before` statements of a module: its last definition."""
    for index in reversed(range(before)):
        node = module.tree.body[index]
        if isinstance(node, Definition) and node.name == name:
            return _defined(module, node)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        is_assigned = any(isinstance(to, ast.Name) and to.id == name for to in targets)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None and is_assigned:
            return _wrapped(module, node.value, node.lineno, index)
    return None


def _wrapped(module: Module, value: ast.expr, line: int, before: int) -> Handler | None:
    """Return what a value is: a chain of calls around a function, `outer(inner(function), option=1)`."""
    if isinstance(value, ast.Name):
        return _resolved(module, value.id, before) or Handler(module, line, (), None)
    if not isinstance(value, ast.Call):
        return Handler(module, line, (), None)
    inner = _wrapped(module, value.args[0], line, before) if value.args else Handler(module, line, (), None)
    node = value.func if isinstance(value.func, ast.Call) else value
    outer = Wrapper(module.name(value), node)
    if inner is None:
        return None
    return Handler(module, line, (outer, *inner.wrappers), inner.definition)


def _defined(module: Module, node: Definition) -> Handler:
    wrappers = tuple(Wrapper(module.name(decorator), decorator) for decorator in node.decorator_list)
    return Handler(module, node.lineno, wrappers, node)
