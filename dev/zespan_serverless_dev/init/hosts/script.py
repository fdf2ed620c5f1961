"""Scripts: modules that call their `main` when they are run."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from ...doctor.concerned import CALL_MODELS
from ...doctor.model import Project
from ...doctor.source import Definition, Module
from .. import requirements, tracing
from ..draft import Draft

_SERVERS = (
    *("uvicorn", "hypercorn", "gunicorn", "waitress", "fastapi", "starlette", "flask", "django", "mcp"),
    *("celery", "rq.Worker", "rq.SimpleWorker", "rq.worker", "temporalio.worker", "runpod"),
    *("bedrock_agentcore", "azure.ai.agentserver", "fdk"),
)
"""A run has one event: all requests of a server, or all jobs of a worker, would be parts of it."""


def plan(draft: Draft, project: Project, others: list[Path]) -> None:
    """Trace the `main` of each script that uses a model. Modules below the folders `others` belong to functions."""
    for module in project.modules:
        is_other = any(module.file.is_relative_to(folder.resolve()) for folder in others)
        calls_models = any(map(CALL_MODELS.match, module.imports.values()))
        if is_other or tracing.uses(module) or not calls_models or not _is_script(module):
            continue
        if tracing.decorate(draft, module.path, "main", "run", arguments=f"({json.dumps(module.path.stem)})"):
            requirements.add(draft, module.path.parent)
            draft.note("Set ZESPAN_API_KEY where the script runs")


def _is_script(module: Module) -> bool:
    """Whether a module is no server, has a function `main`, and a block for `__name__ == "__main__"` that calls it."""
    if any(map(module.uses, _SERVERS)):
        return False
    if not isinstance(tracing.bound(module.tree.body, "main"), Definition):
        return False
    guards = [node for node in module.tree.body if isinstance(node, ast.If) and "__main__" in ast.dump(node.test)]
    return any(isinstance(node, ast.Call) and module.name(node) == "main" for each in guards for node in ast.walk(each))
