"""Reads vercel.json (https://vercel.com/docs/project-configuration)."""

from __future__ import annotations

from pathlib import Path

from ..model import UNKNOWN, Function, Place, Project, Variable
from . import _files
from ._documents import line_of, parse_json, table


def read(root: Path, project: Project) -> None:
    """Add each pattern of `functions` that stands for Python files; without any, all of them as one."""

    def add(file: Path, content: str) -> bool:
        document = table(parse_json(content))
        patterns = table(document.get("functions"))
        named = [pattern for pattern in patterns if _finds_python(file.parent, pattern)]
        if not named and not _finds_python(file.parent, "api/**/*.py"):
            return False
        for pattern in named or ["api/**/*.py"]:
            function = Function(pattern, "vercel", Place(file, line_of(patterns, pattern)), code=file.parent)
            function.environment_is_partial = True  # the project's variables are at Vercel
            settings = table(patterns.get(pattern))
            if isinstance(settings.get("maxDuration"), (int, float)):
                function.timeout_s = settings["maxDuration"]
                function.places["timeout_s"] = Place(file, line_of(settings, "maxDuration"))
            variables = table(document.get("env"))
            for name, value in variables.items():
                text = value if isinstance(value, str) and not value.startswith("@") else UNKNOWN
                function.environment[name] = Variable(name, text, Place(file, line_of(variables, name)))
            project.functions.append(function)
        return True

    _files.each(project, root, ("vercel.json",), add)


def _finds_python(folder: Path, pattern: str) -> bool:
    try:
        return any(found.suffix == ".py" for found in folder.glob(pattern.lstrip("/") or "*"))
    except (ValueError, OSError, IndexError, NotImplementedError):  # a pattern that pathlib does not know
        return False
