"""Reads functions of Alibaba Cloud's Function Compute: s.yaml of Serverless Devs.

https://github.com/devsapp/fc3/blob/master/docs/zh/yaml/readme.md
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..model import UNKNOWN, Function, Place, Project
from . import _files, _values
from ._documents import Table, line_of, table


def read(root: Path, project: Project) -> None:
    """Add each function in Python, or in the custom runtime, of either edition of the file."""

    def add(file: Path, content: str) -> bool:
        found = list(_functions(file, table(_files.parsed(file, content))))
        project.functions += found
        return bool(found)

    _files.each(project, root, ("s.yaml", "s.yml"), add)


def _functions(file: Path, document: Table) -> Iterator[Function]:
    for section in ("resources", "services"):  # of the third edition, and of the first
        resources = table(document.get(section))
        for name, resource in resources.items():
            component = table(resource).get("component")
            if not isinstance(component, str) or not component.removeprefix("devsapp/").startswith("fc"):
                continue
            properties = table(table(resource).get("props"))
            written = table(properties.get("function")) or properties
            if str(written.get("runtime")).startswith(("python", "custom")):
                yield _function(file, Place(file, line_of(resources, name)), name, written)


def _function(file: Path, place: Place, name: str, written: Table) -> Function:
    runtime = str(written.get("runtime"))
    function = Function(str(written.get("functionName") or written.get("name") or name), "alibaba", place)
    function.code = _values.folder(file.parent, written.get("code") or written.get("codeUri") or ".")
    function.environment = _values.variables(file, written.get("environmentVariables"))
    function.timeout_s = _values.number(written.get("timeout"))
    if "timeout" in written:
        function.places["timeout_s"] = Place(file, line_of(written, "timeout"))
    if runtime.startswith("python"):
        function.runtime, function.handler = runtime, _values.text(written.get("handler", UNKNOWN))
        function.places["handler"] = Place(file, line_of(written, "handler"))
    else:  # a web application, which its command starts
        function.runtime = UNKNOWN
    return function
