"""DigitalOcean Functions: `packages/PACKAGE/FUNCTION/__main__.py`, `packages/PACKAGE/FUNCTION.py`, or a file alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from ...doctor.model import Project
from ...doctor.source import Module
from .. import requirements, tracing, yaml
from ..draft import Draft

_KEY, _VALUE = "ZESPAN_API_KEY", "${ZESPAN_API_KEY}"
_SET = "Put the key into the file .env, as ZESPAN_API_KEY=zsp_..., from which project.yml reads it"


def plan(draft: Draft, project: Project) -> None:
    """Trace what each function of a project of `doctl` is called by: `main`, unless the file names another."""
    if not _is_project(draft.root / "project.yml"):
        return
    packages, is_new = draft.root / "packages", not any(map(tracing.uses, project.modules))
    for module in tracing.modules_in(project, packages):
        name = _main_of(project, module)
        if tracing.uses(module) or not _is_function(module, packages.resolve(), name):
            continue
        if module.path.name != "__main__.py":
            is_inside = len(module.file.relative_to(packages.resolve()).parts) == 3
            typed = "name it" if is_inside else f"move it to a folder {module.path.stem}, as"
            if is_new:
                typed = f"{typed} __main__.py, and run this again"
                draft.note(f"{draft.shown(module.path)}: a single file has no packages: {typed}")
        elif tracing.decorate(draft, module.path, name, "zespan_openwhisk"):
            folder = draft.shown(module.path.parent)
            requirements.add(draft, module.path.parent, make=True, is_alone=True)
            _give_key(draft, project)
            if requirements.is_local(draft.requirement):
                draft.note(f"{folder}: it is built alone, so the wheel must be below it: --wheel-dir {folder}/dist")
            if not (module.path.parent / "build.sh").is_file():
                draft.note(f"{folder}: add a build.sh, which installs the packages: docs/hosts/digitalocean.md")


def _give_key(draft: Draft, project: Project) -> None:
    """Give all functions their key, unless one of them has it in the file already."""
    if any(_KEY in function.environment for function in project.functions if function.host == "digitalocean"):
        return
    file, otherwise = draft.root / "project.yml", f'Put {_KEY}: "{_VALUE}" below environment'
    if draft.edit(file, lambda text: yaml.put(text, ("environment", _KEY), _VALUE), otherwise):
        draft.note(_SET)


def _is_project(file: Path) -> bool:
    """Whether a project.yml describes functions: other tools have files of that name."""
    try:
        return re.search(r"^ *-? *(functions|actions):", file.read_text(encoding="utf-8-sig"), re.MULTILINE) is not None
    except (OSError, ValueError):
        return False


def _main_of(project: Project, module: Module) -> str:
    """Return the name that the project's file has for what a module is called by."""
    for function in project.functions:
        if function.host == "digitalocean" and function.code and isinstance(function.handler, str):
            stem, _, name = function.handler.rpartition(".")
            if (function.code / f"{stem}.py").resolve() == module.file:
                return name
    return "main"


def _is_function(module: Module, packages: Path, name: str) -> bool:
    parts = module.file.relative_to(packages).parts
    is_alone = len(parts) == 3 and len([*module.file.parent.glob("*.py")]) == 1
    is_place = len(parts) == 2 or is_alone or (len(parts) == 3 and parts[2] == "__main__.py")
    return is_place and isinstance(tracing.bound(module.tree.body, name), ast.FunctionDef)
