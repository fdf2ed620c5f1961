"""Hosts that run models: RunPod, Cog and Modal."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ...doctor.model import Project
from ...doctor.source import Definition, Module
from .. import requirements, tracing, yaml
from ..draft import Draft
from ..text import NotEditable

_COG = ("cog.BaseRunner", "cog.BasePredictor")
_METHODS = {"modal.method", "modal.fastapi_endpoint", "modal.web_endpoint"}
_SERVERS = ("asgi_app", "wsgi_app", "web_server", "batched")
_COPIED = re.compile(r"^(?:COPY|ADD)\s+(?:--\S+\s+)*(?:\S+\s+)*?(\w\S*/requirements\.txt)\s", re.MULTILINE)
"""A list of packages in a folder, in a line of a Dockerfile."""
_MOVE = "Move its python_packages to requirements.txt, and write python_requirements: requirements.txt instead"
_BY_HAND = "{}: put @zespan_runpod above the handler that it starts: docs/hosts/runpod.md"
_NOTES = {
    "runpod": "Set ZESPAN_API_KEY as an environment variable of the endpoint, from one of RunPod's secrets",
    "cog": "Give the container its key: docker run -e ZESPAN_API_KEY",
    "modal": "Give the app its key: modal secret create zespan ZESPAN_API_KEY=zsp_..., and "
    'secrets=[modal.Secret.from_name("zespan")]; and its image the package: docs/hosts/modal.md',
}


def plan(draft: Draft, project: Project) -> None:
    """Trace the handlers of RunPod's workers, the methods of Cog's models, and Modal's functions."""
    is_new = not any(map(tracing.uses, project.modules))
    for module in project.modules:
        if tracing.uses(module):
            continue
        starts = [call for name, call in module.calls if name == "runpod.serverless.start"]
        if starts and is_new and not any(_runpod(module)):
            draft.note(_BY_HAND.format(draft.shown(module.path)))
        for host, name in [*_runpod(module), *_cog(module), *_modal(module)]:
            is_on_top = host == "runpod"
            if not tracing.decorate(draft, module.path, name, f"zespan_{host}", on_top=is_on_top):
                continue
            if host != "modal":  # its image names the packages
                requirements.add(draft, _place_of_list(draft, module.path.parent), make=True)
            draft.note(_NOTES[host])
            if host == "cog" and not _is_listed(file := module.path.parent / "cog.yaml"):
                draft.edit(file, _with_list, _MOVE)


def _place_of_list(draft: Draft, folder: Path) -> Path:
    """Return the folder of the list that the Dockerfile copies, if none is beside the code or above it."""
    text = _dockerfile(draft.root)
    if text and requirements.is_local(draft.requirement) and not re.search(r"\bdist\b", text):
        draft.note("Dockerfile: copy the wheel before the packages are installed: COPY dist dist")
    if not requirements.has_list(folder, draft.root):
        names: list[str] = _COPIED.findall(text)
        for file in (draft.root / name for name in names):
            if file.is_file():
                return file.parent
    return folder


def _dockerfile(root: Path) -> str:
    """Return the text of the project's Dockerfile; empty if there is none."""
    try:
        return (root / "Dockerfile").read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return ""


def _runpod(module: Module) -> Iterator[tuple[str, str]]:
    """Yield the handlers that a module starts a worker with: `runpod.serverless.start({"handler": handler})`."""
    for name, call in module.calls:
        if name != "runpod.serverless.start" or not call.args or not isinstance(call.args[0], ast.Dict):
            continue
        for key, value in zip(call.args[0].keys, call.args[0].values, strict=True):
            is_named = isinstance(value, ast.Name) and isinstance(tracing.bound(module.tree.body, value.id), Definition)
            if isinstance(key, ast.Constant) and key.value == "handler" and isinstance(value, ast.Name) and is_named:
                yield "runpod", value.id


def _cog(module: Module) -> Iterator[tuple[str, str]]:
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and any(module.name(base) in _COG for base in node.bases):
            for each in node.body:
                if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each.name in ("run", "predict"):
                    yield "cog", f"{node.name}.{each.name}"


def _is_listed(file: Path) -> bool:
    """Whether Cog's file names a list of packages, or is not there."""
    try:
        return "python_requirements" in _uncommented(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return True


def _uncommented(text: str) -> str:
    """Return a file without its comments, in which Cog's template has every key."""
    return re.sub(r"#.*", "", text)


def _with_list(text: str) -> str:
    if "python_packages" in _uncommented(text):
        raise NotEditable("Cog reads python_packages or python_requirements, not both")
    return yaml.put(text, ("build", "python_requirements"), "requirements.txt")


def _modal(module: Module) -> Iterator[tuple[str, str]]:
    """Yield the functions below `@app.function()` and the methods below `@modal.method()`: those that make no app."""
    apps = {name for name, _ in tracing.assigned(module, "modal.App")}
    for node in module.tree.body:
        if not isinstance(node, Definition):
            continue
        inside = [(f"{node.name}.", each) for each in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
        for outer, each in inside:
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
                marks = {module.name(mark) for mark in each.decorator_list}
                is_called = bool(_METHODS & marks) or any(f"{app}.function" in marks for app in apps)
                if is_called and not any(f"modal.{server}" in marks for server in _SERVERS):
                    yield "modal", f"{outer}{each.name}"
