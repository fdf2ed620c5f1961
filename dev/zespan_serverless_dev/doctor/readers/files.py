"""Finds the files of a project, without those that are not its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

LARGEST = 2_000_000
"""Bytes of a file; a larger one was not written by hand."""

_FOREIGN = frozenset(("__pycache__", "build", "dist", "node_modules", "site-packages", "venv"))


def walk(root: Path) -> Iterator[Path]:
    """Yield every file below `root`, sorted, or `root` itself if it is a file. Hidden folders and installed code are
    left out, and symbolic links to folders are not followed."""
    if root.is_file():
        yield root
        return
    installed: set[Path] = set()
    for folder, folders, files in os.walk(root):
        installed.update(*(_listed(folder, name) for name in folders if name.endswith(".dist-info")))
        folders[:] = sorted(name for name in folders if _is_own(Path(folder, name)))
        for name in sorted(files):
            if (file := Path(folder, name)) not in installed:
                yield file


def text_of(path: Path) -> str:
    """Return the text of a file. Raises ValueError for one that is no text, no file, or too large, and OSError."""
    if not S_ISREG(path.stat().st_mode):
        raise ValueError("it is no regular file")  # a named pipe would never end
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it is larger than {LARGEST:,} bytes")
    return path.read_text(encoding="utf-8-sig")


def _listed(folder: str, name: str) -> list[Path]:
    """Return the files that `pip install --target` has put into a folder, by its record of a package."""
    try:
        lines = Path(folder, name, "RECORD").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    return [Path(folder, line.partition(",")[0]) for line in lines]


def _is_own(folder: Path) -> bool:
    is_hidden = folder.name.startswith(".")
    return not (is_hidden or folder.name in _FOREIGN or (folder / "pyvenv.cfg").exists())
