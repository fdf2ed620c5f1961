"""Reads functions of Oracle Functions and the Fn project: func.yaml.

https://github.com/fnproject/docs/blob/master/fn/develop/func-file.md
"""

from __future__ import annotations

import re
from pathlib import Path

from ..model import Function, Place, Project
from . import _files, _values
from ._documents import Unreadable, line_of, table

TIMEOUT = 30
"""Seconds: https://docs.oracle.com/iaas/Content/Functions/Tasks/functionscustomizing.htm"""
_COMMAND = re.compile(r"\bfdk[\"',\s]+(?:/function/)?([\w/-]+)\.py[\"',\s]+(\w+)")


def read(root: Path, project: Project) -> None:
    """Add each function in Python. A func.yaml of Knative has the same name, and no `schema_version`."""

    def add(file: Path, content: str) -> bool:
        document = table(_files.parsed(file, content))
        runtime = str(document.get("runtime", "docker"))
        is_python = runtime.startswith("python") or any(file.parent.glob("*.py"))
        if "schema_version" not in document or not runtime.startswith(("python", "docker")) or not is_python:
            return False
        function = Function(str(document.get("name", file.parent.resolve().name)), "oracle", Place(file))
        function.code, function.environment_is_partial = file.parent, True  # more by `fn config`
        function.environment = _values.variables(file, document.get("config"))
        function.timeout_s = _values.number(document.get("timeout", TIMEOUT))
        for field, key in {"timeout_s": "timeout", "handler": "entrypoint"}.items():
            if key in document:
                function.places[field] = Place(file, line_of(document, key))
        if command := _COMMAND.search(str(document.get("entrypoint", ""))) or _in_dockerfile(file.parent):
            function.handler = f"{command[1].replace('/', '.')}.{command[2]}"
        project.functions.append(function)
        return True

    _files.each(project, root, ("func.yaml", "func.yml", "func.json"), add)


def _in_dockerfile(folder: Path) -> re.Match[str] | None:
    """Return what the Dockerfile of a function in the runtime `docker` starts."""
    try:
        return _COMMAND.search(_files.text(folder / "Dockerfile"))
    except Unreadable:
        return None
