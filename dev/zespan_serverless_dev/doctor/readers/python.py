"""Reads Python code, without running it."""

from __future__ import annotations

from pathlib import Path

from ..model import Project
from ..source import parse
from .files import text_of, walk


def read(root: Path, project: Project) -> None:
    """Add every module, without tests. If `root` is one file, add the code of the functions that it describes."""
    roots = [root]
    if root.is_file():
        roots += {function.code for function in project.functions if function.code is not None}
    for folder in roots:
        for path in walk(folder):
            if path.suffix == ".py" and not _is_test(path.relative_to(folder)):
                _read(path, project)


def _read(path: Path, project: Project) -> None:
    try:
        project.modules.append(parse(path, text_of(path)))
    except (OSError, ValueError) as error:
        project.skipped.append((path, str(error)))
    else:
        project.read.append(path)


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.name == "conftest.py" or "tests" in path.parts[:-1]
