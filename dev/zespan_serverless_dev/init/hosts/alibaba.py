"""Event handlers of Alibaba Cloud's Function Compute, in the files of Serverless Devs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...doctor.model import Project
from ...doctor.readers import _files
from ...doctor.readers._documents import table
from ...doctor.source import Definition
from .. import requirements, tracing
from ..draft import Draft

_KEY = "Add to environmentVariables in {}, as on docs/hosts/alibaba.md: ZESPAN_API_KEY: ${{env('ZESPAN_API_KEY')}}"


def plan(draft: Draft, project: Project) -> bool:
    """Trace the handler of each Python function; tell whether the project is one of Function Compute."""
    found: list[tuple[Path, str]] = []

    def add(file: Path, content: str) -> bool:
        handlers = _handlers(table(_files.parsed(file, content)))
        found.extend((file.parent / code, handler) for code, handler in handlers)
        if handlers:
            shown.append(draft.shown(file))
        return bool(handlers)

    shown: list[str] = []
    _files.each(project, draft.root, ("s.yaml", "s.yml"), add)
    before = len(draft.traced)
    for code, handler in found:
        stem, _, name = handler.rpartition(".")
        file = code / f"{stem.replace('.', '/')}.py"
        module = next((each for each in project.modules if each.file == file.resolve()), None)
        if module is None or tracing.uses(module) or not isinstance(tracing.bound(module.tree.body, name), Definition):
            continue
        if tracing.decorate(draft, module.path, name, "zespan_alibaba"):
            requirements.add(draft, module.path.parent, make=True)
    if len(draft.traced) > before:
        draft.note(_KEY.format(" and ".join(shown)))
    return bool(found)


def _handlers(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the folder and the handler of each Python function, in the third edition of the file and in the first.

    A function in the custom runtime has no handler here: its web application has the middleware.
    """
    found = []
    for resource in [*table(document.get("resources")).values(), *table(document.get("services")).values()]:
        component = table(resource).get("component")
        if not isinstance(component, str) or not component.removeprefix("devsapp/").startswith("fc"):
            continue
        properties = table(table(resource).get("props"))
        function = table(properties.get("function")) or properties
        code, handler, runtime = (function.get(key) for key in ("code", "handler", "runtime"))
        code = code or function.get("codeUri")
        code = code if isinstance(code, str) and "\0" not in code else "."
        if str(runtime).startswith("python") and isinstance(handler, str):
            found.append((code, handler))
        elif str(runtime).startswith("custom"):
            found.append((code, ""))
    return found
