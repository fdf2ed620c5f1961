"""Stages the pages, runs the site generator, and writes the Markdown files beside what it has built."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from . import check
from .project import ROOT, read
from .staging import stage

FOLDER = ROOT / "build" / "site"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class BuildFailed(RuntimeError):
    """The site cannot be built; says what is wrong, and where."""


def build(folder: Path = FOLDER, root: Path = ROOT) -> Path:
    """Build the site in a folder; return the folder of its pages. Raise BuildFailed for a warning or a dead link."""
    folder.mkdir(parents=True, exist_ok=True)
    staged = stage(folder, root)
    generate(staged.config)
    for name, text in staged.beside.items():
        path = staged.html / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if dead := check.dead_links(staged.html, read(root).documentation):
        raise BuildFailed("\n".join(dead))
    return staged.html


def generate(config: Path) -> None:
    """Run the site generator. Raise BuildFailed if it warns of something."""
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(config)]
    done = subprocess.run(
        command, cwd=config.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        output = _COLOURS.sub("", done.stdout + done.stderr)
        raise BuildFailed(output.partition("Traceback (most recent call last)")[0].strip() or output.strip())
