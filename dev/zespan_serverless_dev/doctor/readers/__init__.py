"""Readers: each module here has `read(root, project)`, which adds the content of its kind of file to the project.

A reader never raises: unreadable files are listed in `project.skipped`. `files.walk` finds the files.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from ..model import Project
from ._copies import unite


def read(root: Path) -> Project:
    """Read everything below `root`, with every reader. The one for Python is last, because it reads where others found
    code."""
    project = Project(root)
    names = sorted(module.name for module in iter_modules(__path__))
    for module in sorted(names, key=lambda name: name == "python"):
        reader = getattr(import_module(f"{__name__}.{module}"), "read", None)
        if reader is not None:
            reader(root, project)
    unite(project)
    return project
