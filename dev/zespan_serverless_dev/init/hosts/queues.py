"""Workers of task queues, and agents' hosts: Celery's application, and what to type for the others."""

from __future__ import annotations

import ast
from functools import partial

from ...doctor.model import Project
from ...doctor.source import Module
from .. import requirements, tracing
from ..draft import Draft
from .web import creation

_KEY = "Set ZESPAN_API_KEY in the environment of the workers, and of what publishes tasks"
_TYPED = {
    "rq": "Start RQ's workers by: rq worker -w zespan_serverless.rq.ZespanWorker (docs/hosts/rq.md)",
    "dramatiq": "Pass Dramatiq's broker to zespan_dramatiq: docs/hosts/dramatiq.md",
    "temporalio": "Give Temporal's client a ZespanInterceptor: docs/hosts/temporal.md",
    "bedrock_agentcore": "Put @zespan_agentcore below @app.entrypoint: docs/hosts/agentcore.md",
    "azure.ai.agentserver": "Give the agent's host the ASGI middleware: docs/hosts/foundry.md",
    "google.adk": "Add ZespanPlugin to the plugins of ADK's application: docs/hosts/agent-engine.md",
}


def plan(draft: Draft, project: Project) -> None:
    """Trace each application of Celery; say what to type for the other queues, which a statement alone cannot do."""
    for module in project.modules:
        if tracing.uses(module):
            continue
        names = {name for name, node in tracing.assigned(module, "celery.Celery") if node in module.tree.body}
        for name in sorted(names):
            statement, full = f"{name} = {{}}({name})", f"{tracing.PACKAGE}.zespan_celery"
            if tracing.follow(draft, module.path, partial(creation, name=name), full, statement):
                requirements.add(draft, module.path.parent)
                draft.note(_KEY)
    if not any(map(tracing.uses, project.modules)):
        for package, typed in _TYPED.items():
            if any(_uses(module, package) for module in project.modules):
                draft.note(typed)


def _uses(module: Module, package: str) -> bool:
    """Whether a module imports a package, also by `import package.part`, which binds only the first name."""
    plain = [alias.name for node in module.nodes if isinstance(node, ast.Import) for alias in node.names]
    return module.uses(package) or any(name == package or name.startswith(f"{package}.") for name in plain)
