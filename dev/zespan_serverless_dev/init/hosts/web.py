"""Applications of FastAPI, Starlette, Flask and Django, wherever they run."""

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path

from ...doctor.model import Project
from ...doctor.source import Module
from .. import requirements, tracing
from ..draft import Draft
from .cloudflare import NOTES

_ASGI = ("fastapi.FastAPI", "starlette.applications.Starlette")
_WSGI = ("flask.Flask",)
_DJANGO = {
    "django.core.wsgi.get_wsgi_application": "wsgi",
    "django.core.asgi.get_asgi_application": "asgi",
}
_KEY = "Set ZESPAN_API_KEY in the application's environment. Without it telemetry is off, and says so in the log"


def plan(draft: Draft, project: Project, others: list[Path], *, has_key: bool) -> None:
    """Give each application the middleware. Modules below the folders `others` belong to functions.

    `has_key` tells whether the deployment's files have the key, so that nothing needs to be said about it.
    """
    taken = [folder.resolve() for folder in others]
    keyed = [one.code.resolve() for one in project.functions if one.host == "alibaba" and one.code]
    workers = [one.place.file.parent.resolve() for one in project.functions if one.host == "cloudflare"]
    for module in project.modules:
        is_taken = any(module.file.is_relative_to(folder) for folder in taken) or module.uses("mangum")
        if tracing.uses(module) or is_taken:
            continue
        if any([_asgi(draft, module), _wsgi(draft, module), _django(draft, module)]):
            if any(module.file.is_relative_to(folder) for folder in workers):
                for note in NOTES:
                    draft.note(note)
                continue
            requirements.add(draft, module.path.parent)
            if not has_key and not any(module.file.is_relative_to(folder) for folder in keyed):
                draft.note(_KEY)


def _asgi(draft: Draft, module: Module) -> bool:
    full = f"{tracing.PACKAGE}.asgi.ZespanMiddleware"
    done = [
        tracing.follow(draft, module.path, partial(_last_of, name=name), full, f"{name}.add_middleware({{}})")
        for name in sorted({name for name, _ in tracing.assigned(module, *_ASGI)})
    ]
    return any(done)


def _wsgi(draft: Draft, module: Module) -> bool:
    full = f"{tracing.PACKAGE}.wsgi.ZespanMiddleware"
    statement = "{0}.wsgi_app = {{}}({0}.wsgi_app)"
    done = [
        tracing.follow(draft, module.path, partial(creation, name=name), full, statement.format(name))
        for name in sorted({name for name, _ in tracing.assigned(module, *_WSGI)})
    ]
    return any(done)


def _django(draft: Draft, module: Module) -> bool:
    found = False
    for made, kind in _DJANGO.items():
        for name, node in tracing.assigned(module, made):
            if name == "application" and node in module.tree.body:
                full = f"{tracing.PACKAGE}.{kind}.ZespanMiddleware"
                statement = f"{name} = {{}}({name})"
                found |= tracing.follow(draft, module.path, partial(creation, name="application"), full, statement)
    return found


def creation(tree: ast.Module, name: str) -> ast.stmt | None:
    """Return the statement that makes the application: the last assignment of a call to its name."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _assigns(node, name)]
    return nodes[-1] if nodes else None


def _last_of(tree: ast.Module, name: str) -> ast.stmt | None:
    """Return the statement after which a middleware is outermost: the one that adds the last, or makes the app."""
    made = creation(tree, name)
    for parent in ast.walk(tree):
        body = getattr(parent, "body", None)
        if isinstance(body, list) and made in body:
            added = [node for node in body[body.index(made) :] if _adds(node, name)]
            return added[-1] if added else made
    return made


def _assigns(node: ast.AST, name: str) -> bool:
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    )


def _adds(node: ast.stmt, name: str) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "add_middleware"
        and isinstance(function.value, ast.Name)
        and function.value.id == name
    )
