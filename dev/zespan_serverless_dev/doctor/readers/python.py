"""Reads Python code, without running it."""

from __future__ import annotations

from pathlib import Path

from ..model import Project
from ..source import parse
from .files import text_of, walk


def read(root: Path, project: Project) -> None:
    """Add every module, without tests."""
    for path in walk(root):
        if path.suffix != ".py" or _is_test(path.relative_to(root)):
            continue
        try:
            project.modules.append(parse(path, text_of(path)))
        except (OSError, ValueError) as error:
            project.skipped.append((path, str(error)))
        else:
            project.read.append(path)


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.name == "conftest.py" or "tests" in path.parts[:-1]
