"""Apps of Chalice, whose middleware takes the place of the decorator."""

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path

from ...doctor.model import Project
from .. import code, json, requirements, tracing
from ..draft import Draft
from ..tracing import PARAMETER, SECRET, SOURCE

_MIDDLEWARE = "chalice.ConvertToMiddleware"
_POLICY = (
    f"The policy that Chalice makes cannot read the key: allow ssm:GetParameter on arn:*:ssm:*:*:parameter/{PARAMETER} "
    "in a policy of your own (docs/recipes/chalice.md)"
)


def plan(draft: Draft, project: Project) -> list[Path]:
    """Give each app the middleware, and its functions the key's name; return the folders of the apps."""
    folders = []
    for module in project.modules:
        config = module.path.parent / ".chalice" / "config.json"
        names = [name for name, node in tracing.assigned(module, "chalice.Chalice") if node in module.tree.body]
        if not config.is_file() or len(names) != 1:
            continue
        folders.append(module.path.parent)
        if tracing.uses(module) or not draft.edit(module.path, _with_name, "See docs/recipes/chalice.md"):
            continue
        _, called = code.imported(draft.text(module.path), _MIDDLEWARE)
        statement = f"{names[0]}.register_middleware({called}({{}}))"
        find = partial(_bound, name=names[0])
        if tracing.follow(draft, module.path, find, f"{tracing.PACKAGE}.zespan_lambda", statement):
            draft.edit(config, lambda text: json.put(text, ("environment_variables", SECRET), SOURCE))
            requirements.add(draft, module.path.parent, make=True)
            draft.note(f"Put the key into AWS, once for each account and region: {tracing.PUT_KEY}")
            draft.note(_POLICY)
    return folders


def _with_name(text: str) -> str:
    return code.imported(text, _MIDDLEWARE)[0]


def _bound(tree: ast.Module, name: str) -> ast.stmt | None:
    return tracing.bound(tree.body, name)
