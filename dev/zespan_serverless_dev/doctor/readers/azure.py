"""Reads apps of Azure Functions: host.json (https://learn.microsoft.com/azure/azure-functions/functions-host-json)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..model import UNKNOWN, Function, Place, Project
from . import _files, _values
from ._documents import Unreadable, line_of, parse_json, table

_TIME = re.compile(r"(?:(\d{1,4})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})")


def read(root: Path, project: Project) -> None:
    """Add each folder with a host.json and Python code as one function: its settings hold for all of the app."""

    def add(file: Path, content: str) -> bool:
        document = table(parse_json(_files.without_comments(content)))
        if not _is_python(file.parent):
            return False
        function = Function(file.parent.resolve().name, "azure_functions", Place(file), code=file.parent)
        function.environment_is_partial = True  # the app settings are in Azure
        if "functionTimeout" in document:
            function.timeout_s = _seconds(document["functionTimeout"])
            function.places["timeout_s"] = Place(file, line_of(document, "functionTimeout"))
        _settings(function, file.parent / "local.settings.json", project)
        project.functions.append(function)
        return True

    _files.each(project, root, ("host.json",), add)


def _is_python(folder: Path) -> bool:
    return (folder / "function_app.py").is_file() or (any(folder.glob("*/function.json")) and any(folder.rglob("*.py")))


def _settings(function: Function, file: Path, project: Project) -> None:
    """Return what `func start` puts into the environment, of which the settings in Azure are often a copy."""
    if not file.is_file():
        return
    try:
        values = table(table(parse_json(_files.without_comments(_files.text(file)))).get("Values"))
    except Unreadable as error:
        _files.skip(project, file, str(error))
        return
    function.environment = _values.variables(file, values)
    project.read.append(file)


def _seconds(value: Any) -> Any:
    """Return a time as .NET writes it, "00:05:00", in seconds; infinite for "-1"."""
    if value == "-1":
        return float("inf")
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return UNKNOWN
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(days * 86_400 + hours * 3600 + minutes * 60 + seconds)
