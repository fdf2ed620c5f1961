"""Reads projects of DigitalOcean Functions: project.yml.

https://docs.digitalocean.com/products/functions/reference/project-configuration/
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..model import UNKNOWN, Function, Place, Project
from . import _files, _values
from ._documents import Table, line_of, row, table

TIMEOUT_MS = 3000


def read(root: Path, project: Project) -> None:
    """Add each function in Python of each package."""

    def add(file: Path, content: str) -> bool:
        found = list(_functions(file, table(_files.parsed(file, content))))
        project.functions += found
        return bool(found)

    _files.each(project, root, ("project.yml", "project.yaml"), add)


def _functions(file: Path, document: Table) -> Iterator[Function]:
    for package in map(table, row(document.get("packages"))):
        for written in map(table, row(package.get("functions", package.get("actions")))):
            names = package.get("name"), written.get("name")
            if not all(isinstance(name, str) and "\0" not in name for name in names):
                continue
            function = _function(file, written, f"{names[0]}/{names[1]}")
            if str(written.get("runtime", "")).startswith("python") or function.code is not None:
                for level in (document, package, written):
                    function.environment |= _values.variables(file, level.get("environment"))
                yield function


def _function(file: Path, written: Table, name: str) -> Function:
    """Return a function of a folder, or of a single file, without its variables."""
    function = Function(name, "digitalocean", Place(file, line_of(written, "name")))
    limits, main = table(written.get("limits")), _values.text(written.get("main") or "main")
    code = file.parent / "packages" / name
    for folder, stem in ((code, "__main__"), (code.parent, code.name)):
        if function.code is None and (folder / f"{stem}.py").is_file():
            function.code = folder
            function.handler = f"{stem}.{main}" if isinstance(main, str) else UNKNOWN
    if "main" in written:
        function.places["handler"] = Place(file, line_of(written, "main"))
    milliseconds = _values.number(limits.get("timeout", TIMEOUT_MS))
    function.timeout_s = milliseconds / 1000 if isinstance(milliseconds, (int, float)) else milliseconds
    if "timeout" in limits:
        function.places["timeout_s"] = Place(file, line_of(limits, "timeout"))
    return function
