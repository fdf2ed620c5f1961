"""Rules on the names by which platforms call functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..concerned import concerned, place_of
from ..findings import Finding, rule
from ..lookup import handler_module
from ..model import Project
from ..source import Definition, Module


@rule(
    "ZS310",
    "handler-not-found",
    "error",
    "The platform imports the function by the name in its file: without it every call fails before it is recorded.",
    "Write the name that the code has into the deployment's file, or define the function under that name.",
)
def handler_not_found(project: Project) -> Iterator[Finding]:
    """Find functions whose file names code that is not there, if their folder has any code."""
    for function in concerned(project, "alibaba", "oracle", "digitalocean", "openfaas", "knative", "cog"):
        if not isinstance(function.handler, str) or function.code is None:
            continue
        module, (path, _, name) = handler_module(project, function), function.handler.rpartition(".")
        if module is None and any(each.path.parent == function.code for each in project.modules):
            text = f"{function.name} is called as {function.handler}, and there is no {path.replace('.', '/')}.py"
            yield Finding(text, place_of(function, "handler"), function=function.name)
        elif module is not None and name not in _bound(module) and "*" not in _bound(module):
            text = f"{function.name} is called as {function.handler}, and {module.path.name} has no {name}"
            yield Finding(text, place_of(function, "handler"), function=function.name)


def _bound(module: Module) -> set[str]:
    """Return every name that a module defines, assigns or imports, anywhere in it; `*` for what is not known."""
    names: set[str] = set()
    for node in module.nodes:
        if isinstance(node, Definition):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names
