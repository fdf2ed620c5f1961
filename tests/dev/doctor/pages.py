"""Reads the pages of rules: docs/doctor/ZS001.md and so on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "docs" / "doctor"
_FILE = re.compile(r"^`([^`\n]+)`\n\n```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """What a page says: its first lines, and the files of its two examples."""

    head: str
    wrong: dict[str, str]
    right: dict[str, str]


def page(id: str) -> Page:
    """Read the page of a rule. Its examples are files: the name in a line of its own, and the content in a block."""
    head, _, rest = (FOLDER / f"{id}.md").read_text().partition("\n## Wrong\n")
    wrong, _, right = rest.partition("\n## Right\n")
    return Page(head, files_of(wrong), files_of(right))


def files_of(text: str) -> dict[str, str]:
    """Return the files that a text shows."""
    return dict(_FILE.findall(text))


def write(files: dict[str, str], folder: Path) -> Path:
    """Write an example's files, and return their folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
