"""Apps of Azure Functions."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from ...doctor.model import Project
from ...doctor.source import Definition, Module
from .. import requirements, tracing
from ..draft import Draft

_APPS = ("FunctionApp", "Blueprint", "DFApp")
_REPLAYED = ("orchestration_trigger", "entity_trigger")
_SETTINGS = (
    "Set ZESPAN_API_KEY in the app's settings, best as a reference to Key Vault: deploy/azure_functions/README.md"
)


def plan(draft: Draft, project: Project) -> None:
    """Trace each function of each app: those with decorators, and those with a function.json."""
    for app in project.functions:
        if app.host != "azure_functions" or app.code is None:
            continue
        before = len(draft.traced)
        for module in tracing.modules_in(project, app.code):
            for name in _undecorated(module):
                tracing.decorate(draft, module.path, name, "zespan_azure", on_top=False)
        for file, name in _with_json(project, app.code):
            tracing.decorate(draft, file, name, "zespan_azure", on_top=False)
        if len(draft.traced) > before:
            requirements.add(draft, app.code, make=True)
            if "ZESPAN_API_KEY" not in app.environment:
                draft.note(_SETTINGS)


def _undecorated(module: Module) -> list[str]:
    """Return the functions of a module that Azure calls and that are untraced. Orchestrators are replayed, not
    traced."""
    apps = {name for name, _ in _apps(module)}
    found = []
    for one in module.decorated:
        marks = [each.name.rpartition(".") for each in one.wrappers]
        is_function = any(left in apps and (last == "route" or last.endswith("_trigger")) for left, _, last in marks)
        is_replayed = any(last in _REPLAYED for _, _, last in marks)
        is_traced = any(each.name.endswith(".zespan_azure") for each in one.wrappers)
        if is_function and not is_replayed and not is_traced and one.definition is not None:
            found.append(one.definition.name)
    return found


def _apps(module: Module) -> list[tuple[str, ast.Assign]]:
    prefixes = ("azure.functions", "azure.durable_functions")
    return list(tracing.assigned(module, *(f"{prefix}.{name}" for prefix in prefixes for name in _APPS)))


def _with_json(project: Project, folder: Path) -> list[tuple[Path, str]]:
    """Return the functions that a function.json describes, as before the decorators: a module, and the name in it."""
    found = []
    for file in sorted(folder.glob("*/function.json")):
        try:
            described = json.loads(file.read_text(encoding="utf-8-sig"))
            script, name = described["scriptFile"], described.get("entryPoint", "main")
            kinds = [each["type"] for each in described["bindings"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        path = (file.parent / str(script)).resolve()
        module = next((each for each in project.modules if each.file == path), None)
        is_replayed = any(kind.lower() in ("orchestrationtrigger", "entitytrigger") for kind in kinds)
        if module is not None and not is_replayed and not tracing.uses(module):
            node = tracing.bound(module.tree.body, str(name))
            found += [(module.path, str(name))] if isinstance(node, Definition) else []
    return found
