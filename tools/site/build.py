"""Stages the pages, runs the site generator, and writes the Markdown files beside what it has made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from . import check
from .project import ROOT
from .staging import stage

FOLDER = ROOT / "build" / "site"


class BuildFailed(RuntimeError):
    """The site cannot be built; says what is wrong, and where."""


def build(folder: Path = FOLDER, root: Path = ROOT) -> Path:
    """Build the site in a folder; return the folder of its pages. A warning of the generator, or a dead link, fails."""
    folder.mkdir(parents=True, exist_ok=True)
    staged = stage(folder, root)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(staged.config)]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise BuildFailed(f"{done.stdout}{done.stderr}".strip())
    for name, text in staged.beside.items():
        path = staged.html / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if dead := check.dead_links(staged.html):
        raise BuildFailed("\n".join(dead))
    return staged.html
