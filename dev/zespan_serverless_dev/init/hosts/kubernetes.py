"""Functions on Kubernetes: those of Knative's `func`, and what to type for OpenFaaS."""

from __future__ import annotations

import ast

from ...doctor.lookup import handler_module
from ...doctor.model import Project
from ...doctor.source import Module
from .. import requirements, tracing
from ..draft import Draft

_KEY = (
    "Put the key into the cluster: kubectl create secret generic zespan --from-literal=api-key=zsp_...",
    "Give the function its key: func config envs add --name ZESPAN_API_KEY --value '{{ secret:zespan:api-key }}'",
)
_WHEEL = "The lines of pyproject.toml that name the wheel are in docs/hosts/kubernetes.md"
_BY_HAND = (
    "wrap handle in ZespanMiddleware, in the constructor of the class that new() returns: docs/hosts/kubernetes.md"
)
_TASK = "{}: put the code of handle below with task_scope(...), and init() above it: docs/hosts/kubernetes.md"


def plan(draft: Draft, project: Project) -> None:
    """Trace each function of Knative. A function of OpenFaaS needs a block around its code, so that is only named."""
    for function in project.functions:
        module = handler_module(project, function) if function.host in ("knative", "openfaas") else None
        if module is None or tracing.uses(module):
            continue
        if function.host == "openfaas":
            if isinstance(tracing.bound(module.tree.body, "handle"), ast.FunctionDef):
                draft.note(_TASK.format(draft.shown(module.path)))
        elif _wrap(draft, module):
            requirements.add(draft, function.place.file.parent, make=True)
            if requirements.is_local(draft.requirement):
                draft.note(_WHEEL)
            for note in _KEY:
                draft.note(note)


def _wrap(draft: Draft, module: Module) -> bool:
    """Wrap the method `handle` at the end of the constructor of the class that `new` returns."""
    name = _class_of(module.tree)
    if name is None or _constructor(module.tree, name) is None:
        draft.note(f"{draft.shown(module.path)}: {_BY_HAND}")
        return False
    full, statement = f"{tracing.PACKAGE}.asgi.ZespanMiddleware", "self.handle = {}(self.handle)"

    def last(tree: ast.Module) -> ast.stmt | None:
        found = _constructor(tree, name)
        return found.body[-1] if found else None

    return tracing.follow(draft, module.path, last, full, statement)


def _class_of(tree: ast.Module) -> str | None:
    """Return the name of the class of which `new` returns an instance."""
    made = tracing.bound(tree.body, "new")
    for node in ast.walk(made) if isinstance(made, ast.FunctionDef) else ():
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
            return node.value.func.id
    return None


def _constructor(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """Return the constructor of a class that has a method `handle`."""
    found = tracing.bound(tree.body, name)
    body = found.body if isinstance(found, ast.ClassDef) else []
    constructor = tracing.bound(body, "__init__")
    has_handle = isinstance(tracing.bound(body, "handle"), ast.AsyncFunctionDef)
    return constructor if has_handle and isinstance(constructor, ast.FunctionDef) else None
