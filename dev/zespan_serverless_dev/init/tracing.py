"""What the hosts share: how a function, a class or an application is given its decorator or middleware."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

from ..doctor.model import Project
from ..doctor.source import Definition, Module
from . import code
from .draft import Draft
from .text import NotEditable

PACKAGE = "zespan_serverless"
SECRET, PARAMETER = "ZESPAN_API_KEY_SECRET", "zespan/api-key"
SOURCE = f"ssm:/{PARAMETER}"
PUT_KEY = f"aws ssm put-parameter --name /{PARAMETER} --type SecureString --value zsp_..."


def decorate(draft: Draft, file: Path, name: str, decorator: str, *, on_top: bool = True, arguments: str = "") -> bool:
    """Give what a module calls `name` a decorator of the package, or wrap it; tell whether it is traced now.

    A name with a dot is that of a method.
    """
    if f"{draft.shown(file)}: {name}" in draft.traced:
        return True
    full = f"{PACKAGE}.{decorator}"
    typed = f"Put @{decorator}{arguments} above {name}"
    is_traced = draft.edit(file, lambda text: _decorated(text, name, full, "{}" + arguments, on_top=on_top), typed)
    if is_traced:
        draft.traced.append(f"{draft.shown(file)}: {name}")
    return is_traced


def _decorated(text: str, name: str, full: str, decorator: str, *, on_top: bool) -> str:
    outer, _, method = name.partition(".")
    node = bound(code.parsed(text).body, outer)
    if method and isinstance(node, ast.ClassDef):
        node = bound(node.body, method)
    if isinstance(node, Definition):
        names = {_last(each) for each in node.decorator_list}
        is_outside = isinstance(node, ast.AsyncFunctionDef) and "inject_lambda_context" in names
        on_top = on_top and not is_outside and "datadog_lambda_wrapper" not in names
        return code.decorated(text, node, full, decorator, on_top=on_top)
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom)):
        return code.followed(text, node, full, f"{name} = {decorator}({name})")
    raise NotEditable(f"it has no {name} at its top level")


def bound(body: list[ast.stmt], name: str) -> ast.stmt | None:
    """Return the last statement of a block that binds a name."""
    return next((node for node in reversed(body) if name in _names(node)), None)


def _names(node: ast.stmt) -> set[str]:
    """Return the names that a statement itself binds."""
    if isinstance(node, Definition):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {each.id for each in targets if isinstance(each, ast.Name)}


def _last(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def follow(draft: Draft, file: Path, find: Callable[[ast.Module], ast.stmt | None], full: str, statement: str) -> bool:
    """Put a statement after the one that `find` returns; tell whether it is there now."""

    def change(text: str) -> str:
        node = find(code.parsed(text))
        if node is None:
            raise NotEditable("what is to be traced was not found")
        return code.followed(text, node, full, statement)

    shown = full.rpartition(".")[2]
    is_traced = draft.edit(file, change, f"Add: {statement.format(shown)}")
    if is_traced:
        draft.traced.append(f"{draft.shown(file)}: {statement.format(shown)}")
    return is_traced


def assigned(module: Module, *names: str) -> Iterator[tuple[str, ast.Assign]]:
    """Yield each name that is assigned a call of something with one of these full names, anywhere in a module."""
    for node in module.nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name) and module.name(node.value) in names:
                yield target.id, node


def uses(module: Module) -> bool:
    """Whether a module has the package already: then its owner decides."""
    return module.uses(PACKAGE)


def modules_in(project: Project, folder: Path) -> list[Module]:
    """Return the modules of a project below a folder."""
    root = folder.resolve()
    return [module for module in project.modules if module.file.is_relative_to(root)]
