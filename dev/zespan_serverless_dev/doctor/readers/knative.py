"""Reads functions of Knative's `func`: func.yaml.

https://github.com/knative/func/blob/main/docs/reference/func_yaml.md
"""

from __future__ import annotations

from pathlib import Path

from ..model import Function, Place, Project
from . import _files, _values
from ._documents import table

_ENTRIES = ("function/func.py", "func.py")


def read(root: Path, project: Project) -> None:
    """Add each function in Python. A func.yaml of Oracle has the same name, and no `specVersion`."""

    def add(file: Path, content: str) -> bool:
        document = table(_files.parsed(file, content))
        if "specVersion" not in document or document.get("runtime") != "python":
            return False
        function = Function(str(document.get("name", file.parent.resolve().name)), "knative", Place(file))
        function.code = file.parent
        function.environment = _values.listed(file, table(document.get("run")).get("envs", document.get("envs")))
        function.environment_is_partial = True  # an entry may stand for all values of a secret
        entry = next((name for name in _ENTRIES if (file.parent / name).is_file()), None)
        if entry:
            function.handler = f"{entry.removesuffix('.py').replace('/', '.')}.new"
        project.functions.append(function)
        return True

    _files.each(project, root, ("func.yaml", "func.yml"), add)
