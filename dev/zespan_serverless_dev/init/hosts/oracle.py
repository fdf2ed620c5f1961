"""Oracle Functions, and functions of the Fn project."""

from __future__ import annotations

import ast

from ...doctor.model import Project
from ...doctor.source import Module
from .. import requirements, tracing
from ..draft import Draft

_NOTES = (
    "Give the function its key: fn config app APP ZESPAN_API_KEY zsp_...",
    "For a wheel in a folder, the function needs a Dockerfile that copies it: docs/hosts/oracle.md",
)


def plan(draft: Draft, project: Project) -> None:
    """Trace the function `handler` of each module beside a func.yaml of Fn, or that uses `fdk`."""
    folders = {each.code.resolve() for each in project.functions if each.host == "oracle" and each.code}
    for module in project.modules:
        if tracing.uses(module) or not _is_handler(module) or not (module.uses("fdk") or module.file.parent in folders):
            continue
        if tracing.decorate(draft, module.path, "handler", "zespan_oracle"):
            requirements.add(draft, module.path.parent, make=True)
            for note in _NOTES:
                draft.note(note)


def _is_handler(module: Module) -> bool:
    node = tracing.bound(module.tree.body, "handler")
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and len(node.args.args) > 0
