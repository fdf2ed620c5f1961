"""Reads the environment that the command runs in."""

from __future__ import annotations

import os
from pathlib import Path

from ..model import SHELL, Place, Project, Variable


def read(_: Path, project: Project) -> None:
    """Add this package's variables."""
    for name, value in sorted(os.environ.items()):
        if name.upper().startswith("ZESPAN_"):
            project.variables.append(Variable(name, value, Place(SHELL)))
