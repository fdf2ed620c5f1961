"""Reads functions of OpenFaaS: stack.yaml (https://docs.openfaas.com/reference/yaml/)."""

from __future__ import annotations

import re
from pathlib import Path

from ..model import UNKNOWN, Function, Place, Project
from . import _files, _values
from ._documents import Table, line_of, table

_TEMPLATES = re.compile(r"python3(-http|-flask)?(-debian|-armhf)?|python3-fastapi-debian")
"""OpenFaaS' own templates for Python 3, which call `handle`. Those of others may call anything."""


def read(root: Path, project: Project) -> None:
    """Add each function in Python."""

    def add(file: Path, content: str) -> bool:
        if "provider" not in content or "faas" not in content:
            return False
        document = table(_files.parsed(file, content))
        if table(document.get("provider")).get("name") not in ("openfaas", "faas"):
            return False
        functions = table(document.get("functions"))
        named = {name: table(each) for name, each in functions.items()}
        found = [
            _function(file, Place(file, line_of(functions, name)), name, each)
            for name, each in named.items()
            if str(each.get("lang")).startswith("python")
        ]
        project.functions += found
        return bool(found)

    _files.each(project, root, ("*.yaml", "*.yml"), add)


def _function(file: Path, place: Place, name: str, written: Table) -> Function:
    function = Function(name, "openfaas", place, code=_values.folder(file.parent, written.get("handler")))
    function.environment = _values.variables(file, written.get("environment"))
    function.environment_is_partial = bool({"secrets", "environment_file"} & written.keys())
    language = str(written.get("lang"))
    function.runtime = language
    function.handler = "handler.handle" if _TEMPLATES.fullmatch(language) else UNKNOWN
    function.places["handler"] = Place(file, line_of(written, "handler"))
    return function
