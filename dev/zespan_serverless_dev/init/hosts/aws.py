"""Lambda functions of SAM, CloudFormation, the Serverless Framework and Terraform."""

from __future__ import annotations

import ast

from ...doctor.concerned import flush_needs
from ...doctor.lookup import environ_of, handler_of, is_ours, is_wrapped, value_of
from ...doctor.model import UNKNOWN, Function, Project
from ...doctor.rules.permissions import allows
from .. import hcl, requirements, tracing
from ..draft import Draft
from ..tracing import PARAMETER, SECRET, SOURCE
from . import _cloudformation, _serverless

TIMEOUT, _FIRST_CALL = 30, 5.0
_DESTINATIONS = ("ZESPAN_API_KEY", SECRET, "ZESPAN_BASE_URL", "ZESPAN_EXPORTER")
_ARN = f"arn:aws:ssm:*:*:parameter/{PARAMETER}"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LAYER = (
    "nothing here installs packages for it, so its code stays as it is. Add a requirements.txt and run this again, or "
    "use the layer, which needs no change of code: docs/init.md"
)


def plan(draft: Draft, project: Project, only: list[str]) -> None:
    """Trace each function, or those with a name in `only`. Without a template nothing is a function of Lambda if the
    project has functions of another platform."""
    for function in project.functions:
        is_python = function.runtime in (None, UNKNOWN) or str(function.runtime).startswith("python")
        is_source = function.place.file.suffix != ".json" and "cdk.out" not in function.place.file.parts
        if function.host == "aws_lambda" and is_python and is_source and (not only or function.name in only):
            _trace(draft, project, function)
    if not project.functions and not (draft.root / "cdk.json").is_file():
        _without_template(draft, project)


def _without_template(draft: Draft, project: Project) -> None:
    """Trace what must be handlers, although no file tells of them: `def handler(event, context)`, or Mangum's."""
    for module in project.modules:
        names = [node.name for node in module.tree.body if isinstance(node, _FUNCTIONS) and _is_handler(node)]
        names += [name for name, node in tracing.assigned(module, "mangum.Mangum") if node in module.tree.body]
        if tracing.uses(module) or len(names) != 1:
            continue
        if not tracing.decorate(draft, module.path, names[0], "zespan_lambda"):
            continue
        requirements.add(draft, module.path.parent, make=True)
        draft.note(f"{draft.shown(module.path)}: set {SECRET}={SOURCE}, and allow ssm:GetParameter on {_ARN}")
        draft.note(f"Put the key into AWS, once for each account and region: {tracing.PUT_KEY}")


def _is_handler(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    parameters = [each.arg for each in node.args.args]
    return node.name in ("handler", "lambda_handler") and parameters in (["event", "context"], ["event", "_context"])


def _trace(draft: Draft, project: Project, function: Function) -> None:
    before = draft.edits
    if not is_wrapped(function) and not _code(draft, project, function):
        return
    has_destination = not environ_of(function).keys().isdisjoint(_DESTINATIONS)
    if not has_destination and not function.environment_is_partial:
        _set(draft, function, "variable")
    reads_it = not has_destination or value_of(function, SECRET) == SOURCE
    if reads_it and allows(function, "ssm:getparameter") is False:
        _set(draft, function, "permission")
    needs = flush_needs(project, function)
    if needs is not None and isinstance(function.timeout_s, (int, float)) and function.timeout_s < needs + _FIRST_CALL:
        _set(draft, function, "timeout")
    if draft.edits > before:
        _note(draft, function)


def _note(draft: Draft, function: Function) -> None:
    """Say what only the user can do for a function that has been changed."""
    draft.note(f"Put the key into AWS, once for each account and region: {tracing.PUT_KEY}")
    if function.environment_is_partial:
        draft.note(f"{function.name}: its variables come from an expression. Add {SECRET}={SOURCE} to them")
    if not isinstance(function.actions, set):
        draft.note(f"{function.name}: allow its role ssm:GetParameter on {_ARN}, if it does not yet")
    if _serverless.is_one(function):
        _serverless.note_plugin(draft, function)
    elif function.code is not None and not _cloudformation.is_sam(draft, function):
        draft.note(f"{function.name}: see that what packs {draft.shown(function.code)} installs its packages")


def _code(draft: Draft, project: Project, function: Function) -> bool:
    """Put the decorator at the handler, and the package into the list of packages; tell whether both are there."""
    found, name = handler_of(project, function), str(function.handler).rpartition(".")[2]
    if found is None or function.code is None:
        draft.note(f"{function.name}: its handler {function.handler!r} was not found. Put @zespan_lambda above it")
        return False
    file, folder = found.module.path, function.code
    is_sam = _cloudformation.is_sam(draft, function)
    if not (is_sam or requirements.has_list(folder, draft.root)):
        draft.note(f"{function.name}: {LAYER}")
        return False
    if not any(map(is_ours, found.wrappers)) and not tracing.decorate(draft, file, name, "zespan_lambda"):
        return False
    requirements.add(draft, folder, make=is_sam)
    return True


def _set(draft: Draft, function: Function, what: str) -> None:
    """Change the deployment's file, or say what to write there."""
    typed = {
        "variable": f"set {SECRET}={SOURCE}",
        "permission": f"allow its role ssm:GetParameter on {_ARN}",
        "timeout": f"raise its timeout to {TIMEOUT} seconds",
    }[what]
    file = function.place.file
    if file.suffix == ".tf":
        draft.edit(file, lambda text: _terraform(text, function.name, what), f"For {function.name}: {typed}")
    elif _serverless.is_one(function):
        _serverless.change(draft, function, what, f"For {function.name}: {typed}")
    elif file.suffix in (".yaml", ".yml", ".template"):
        _cloudformation.change(draft, function, what, f"For {function.name}: {typed}")
    else:
        draft.note(f"For {function.name}, where it is deployed: {typed}")


def _terraform(text: str, name: str, what: str) -> str:
    if what == "variable":
        return hcl.with_variable(text, name, SECRET, SOURCE)
    if what == "timeout":
        return hcl.with_timeout(text, name, TIMEOUT)
    return hcl.with_permission(text, name, _ARN)
