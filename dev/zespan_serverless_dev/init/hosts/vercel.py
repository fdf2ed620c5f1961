"""Vercel Functions: the modules in `api/`."""

from __future__ import annotations

import ast

from ...doctor.model import Project
from ...doctor.source import Module
from .. import requirements, tracing
from ..draft import Draft

_APPLICATIONS = (
    *("fastapi.FastAPI", "starlette.applications.Starlette", "flask.Flask", "quart.Quart"),
    *("django.core.wsgi.get_wsgi_application", "django.core.asgi.get_asgi_application"),
)


def plan(draft: Draft, project: Project) -> None:
    """Trace each class `handler` and each application in `api/`, if there is a vercel.json or such a function."""
    is_vercel = (draft.root / "vercel.json").is_file()
    for module in tracing.modules_in(project, draft.root / "api"):
        if tracing.uses(module) or not _entry(module) or not (is_vercel or _entry(module) == "handler"):
            continue
        name = _entry(module)
        if name == "handler":
            is_traced = tracing.decorate(draft, module.path, name, "zespan_vercel")
        else:
            statement = f"{name} = {{}}({name})  # last, around all other middleware"
            full = f"{tracing.PACKAGE}.zespan_vercel"
            is_traced = tracing.follow(draft, module.path, lambda tree: tree.body[-1], full, statement)
        if is_traced:
            requirements.add(draft, module.path.parent, make=True)
            draft.note("Give the project its key: vercel env add ZESPAN_API_KEY production")


def _entry(module: Module) -> str:
    """Return what Vercel looks for in a module: the class `handler`, or an application called `app`."""
    node = tracing.bound(module.tree.body, "handler")
    if isinstance(node, ast.ClassDef):
        return "handler"
    found = [name for name, _ in tracing.assigned(module, *_APPLICATIONS) if name in ("app", "application")]
    return found[0] if found else ""
