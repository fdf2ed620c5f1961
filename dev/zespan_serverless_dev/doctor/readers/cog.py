"""Reads models of Cog: cog.yaml (https://github.com/replicate/cog/blob/main/docs/yaml.md)."""

from __future__ import annotations

from pathlib import Path

from ..model import UNKNOWN, Function, Place, Project, Variable
from . import _files, _values
from ._documents import line_of, row, table


def read(root: Path, project: Project) -> None:
    """Add each model, whose handler is the class that `run`, or in older versions `predict`, names."""

    def add(file: Path, content: str) -> bool:
        document = table(_files.parsed(file, content))
        key = "run" if "run" in document else "predict"
        if not document.keys() & {"build", key}:
            return False
        function = Function(file.parent.resolve().name, "cog", Place(file), code=file.parent)
        function.environment_is_partial = True  # more when the container is started
        module, _, name = str(document.get(key, "")).partition(".py:")
        if name:
            function.handler = f"{module.replace('/', '.')}.{name}"
            function.places["handler"] = Place(file, line_of(document, key))
        written = row(document.get("environment"))
        for index, each in enumerate(written):
            name, is_set, value = str(each).partition("=")
            text = _values.text(value) if is_set else UNKNOWN
            function.environment[name] = Variable(name, text, Place(file, line_of(written, index)))
        project.functions.append(function)
        return True

    _files.each(project, root, ("cog.yaml", "cog.yml"), add)
