"""Event handlers of Alibaba Cloud's Function Compute, in the files of Serverless Devs."""

from __future__ import annotations

from pathlib import Path

from ...doctor.lookup import handler_module, modules_of
from ...doctor.model import Function, Project
from ...doctor.readers._documents import parse_yaml, row, table
from ...doctor.source import Definition
from .. import requirements, tracing, yaml
from ..draft import Draft
from ..text import NotEditable

_KEY, _VALUE = "ZESPAN_API_KEY", "${env('ZESPAN_API_KEY')}"
_WEB = ("django", "fastapi", "flask", "starlette")
_SET = "Set ZESPAN_API_KEY in the shell before s deploy: s.yaml reads it from there"


def plan(draft: Draft, project: Project) -> None:
    """Trace the handler of each Python function. A web application in the custom runtime gets only its key here."""
    for function in project.functions:
        if function.host != "alibaba":
            continue
        is_web = function.handler is None and any(any(map(each.uses, _WEB)) for each in modules_of(project, function))
        if (is_web or _decorate(draft, project, function)) and _KEY not in function.environment:
            _give_key(draft, function)


def _decorate(draft: Draft, project: Project, function: Function) -> bool:
    module = handler_module(project, function)
    if module is None or not isinstance(function.handler, str) or tracing.uses(module):
        return False
    name = function.handler.rpartition(".")[2]
    if not isinstance(tracing.bound(module.tree.body, name), Definition):
        return False
    is_traced = tracing.decorate(draft, module.path, name, "zespan_alibaba")
    if is_traced:
        requirements.add(draft, module.path.parent, make=True)
    return is_traced


def _give_key(draft: Draft, function: Function) -> None:
    file, otherwise = function.place.file, f"Add to environmentVariables {_KEY}: {_VALUE}"
    if draft.edit(file, lambda text: yaml.put(text, _path(file, function.place.line), _VALUE), otherwise):
        draft.note(_SET)


def _path(file: Path, line: int | None) -> tuple[str, ...]:
    """Return where the variable of the function goes whose name is in a line of the file."""
    document = table(row(parse_yaml(file.read_text(encoding="utf-8-sig")))[0])
    for section in ("resources", "services"):
        resources = table(document.get(section))
        for name, number in resources.lines.items():
            if number == line:
                properties = table(table(resources[name]).get("props"))
                inside = ("function",) if "function" in properties else ()
                return (section, name, "props", *inside, "environmentVariables", _KEY)
    raise NotEditable(f"{_KEY} cannot be added")
