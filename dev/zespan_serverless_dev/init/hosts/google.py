"""Functions for Google Cloud's functions-framework."""

from __future__ import annotations

from ...doctor.model import Project
from .. import requirements, tracing
from ..draft import Draft

_DECORATORS = {
    "functions_framework.http": "zespan_gcf",
    "functions_framework.cloud_event": "zespan_cloud_event",
}
_SECRET = (
    "Give the service its key when you deploy it: --set-secrets=ZESPAN_API_KEY=zespan-api-key:latest "
    "(deploy/google_cloud/README.md), and its timeout: --set-env-vars=CLOUD_RUN_TIMEOUT_SECONDS=60"
)


def plan(draft: Draft, project: Project) -> None:
    """Trace each function that the framework is told of by a decorator."""
    for module in project.modules:
        before = len(draft.traced)
        for one in module.decorated:
            names = {each.name for each in one.wrappers}
            wanted = next((ours for theirs, ours in _DECORATORS.items() if theirs in names), None)
            is_traced = any(name.startswith(f"{tracing.PACKAGE}.") for name in names)
            if wanted and not is_traced and one.definition is not None:
                tracing.decorate(draft, module.path, one.definition.name, wanted, on_top=False)
        if len(draft.traced) > before:
            requirements.add(draft, module.path.parent, make=True)
            draft.note(_SECRET)
