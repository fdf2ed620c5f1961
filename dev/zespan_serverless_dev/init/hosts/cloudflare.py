"""Python Workers of Cloudflare: the classes that the platform calls."""

from __future__ import annotations

import ast

from ...doctor.model import Project
from .. import tracing
from ..draft import Draft

_CALLED = tuple(f"workers.{name}" for name in ("WorkerEntrypoint", "DurableObject", "WorkflowEntrypoint"))
NOTES = (
    "Give the Worker its key: npx wrangler secret put ZESPAN_API_KEY",
    "Until the first release, copy the folder zespan_serverless of a checkout beside the Worker's code: "
    "docs/hosts/cloudflare.md",
)


def plan(draft: Draft, project: Project) -> None:
    """Trace each class, unless it only passes requests to an application, which has the middleware."""
    for module in project.modules:
        if tracing.uses(module) or not module.uses("workers"):
            continue
        is_application = module.uses("asgi") or module.uses("wsgi")
        for node in module.tree.body:
            is_class = isinstance(node, ast.ClassDef) and any(module.name(base) in _CALLED for base in node.bases)
            if not is_class or is_application or not isinstance(node, ast.ClassDef):
                continue
            if tracing.decorate(draft, module.path, node.name, "zespan_cloudflare"):
                for note in NOTES:
                    draft.note(note)
