"""Functions in apps of AWS CDK in Python."""

from __future__ import annotations

import ast
from pathlib import Path

from ...doctor.lookup import is_ours
from ...doctor.model import Project
from ...doctor.source import Module, handler
from .. import code, requirements, tracing
from ..draft import Draft
from ..text import NotEditable
from ..tracing import PARAMETER, SECRET, SOURCE

_FUNCTION, _ASSET = "aws_cdk.aws_lambda.Function", "aws_cdk.aws_lambda.Code.from_asset"


def plan(draft: Draft, project: Project) -> list[Path]:
    """Trace the handler of each function whose code is a folder; return these folders."""
    folders: list[Path] = []
    app = draft.root / "cdk.json"
    if not app.is_file():
        return folders
    for module in project.modules:
        for node in [each for each in module.nodes if isinstance(each, ast.Assign)]:
            found = _function(module, node)
            if found is None:
                continue
            folder, path = app.parent / found[0], found[1]
            folders.append(folder)
            if _traced(draft, project, folder, path):
                _configure(draft, module, node)
    return folders


def _function(module: Module, node: ast.Assign) -> tuple[str, str] | None:
    """Return the folder and the handler of a function that an assignment makes; None for anything else."""
    call = node.value
    if not isinstance(call, ast.Call) or module.name(call) != _FUNCTION:
        return None
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    path, asset = given.get("handler"), given.get("code")
    if not isinstance(asset, ast.Call) or module.name(asset) != _ASSET or not asset.args:
        return None
    if isinstance(path, ast.Constant) and isinstance(asset.args[0], ast.Constant):
        return str(asset.args[0].value), str(path.value)
    return None


def _traced(draft: Draft, project: Project, folder: Path, path: str) -> bool:
    """Put the decorator at a handler; tell whether it is new."""
    name, _, function = path.rpartition(".")
    file = folder.joinpath(*name.split(".")).with_suffix(".py").resolve()
    module = next((each for each in project.modules if each.file == file), None)
    found = handler(module, function) if module else None
    if module is None or found is None or any(map(is_ours, found.wrappers)):
        return False
    if not requirements.has_list(folder, folder):
        draft.note(f"{draft.shown(folder)}: nothing installs packages for it: see docs/recipes/cdk.md")
        return False
    is_new = tracing.decorate(draft, module.path, function, "zespan_lambda")
    if is_new:
        requirements.add(draft, folder)
    return is_new


def _configure(draft: Draft, module: Module, node: ast.Assign) -> None:
    """Name the key to a function, and let it read that."""
    target = ast.unparse(node.targets[0])
    draft.edit(module.path, lambda text: _with_key(text, target), "See docs/recipes/cdk.md")
    draft.note(f"Put the key into AWS, once for each account and region: {tracing.PUT_KEY}")
    call = node.value
    if isinstance(call, ast.Call) and not any(keyword.arg == "timeout" for keyword in call.keywords):
        draft.note(f"{draft.shown(module.path)}: give {target} timeout=Duration.seconds(30); the default is 3")
    draft.note("See that the code is packed with its packages: docs/recipes/cdk.md")


def _with_key(text: str, target: str) -> str:
    """Return the code with two statements more after the one that makes the function."""
    key = f'    {target}, "ZespanKey", parameter_name="/{PARAMETER}"'
    read = f"{{}}.StringParameter.from_secure_string_parameter_attributes(\n{key}\n).grant_read({target})"
    text = code.followed(text, _made(text, target), "aws_cdk.aws_ssm", read)
    return code.followed(text, _made(text, target), "", f'{target}.add_environment("{SECRET}", "{SOURCE}")')


def _made(text: str, target: str) -> ast.stmt:
    """Return the last assignment to a target."""
    nodes = [each for each in ast.walk(code.parsed(text)) if isinstance(each, ast.Assign)]
    found = [each for each in nodes if ast.unparse(each.targets[0]) == target]
    if not found:
        raise NotEditable(f"it has no {target}")
    return found[-1]
