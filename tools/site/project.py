"""What pyproject.toml tells about the project: the only place that has its public addresses."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BRANCH = "main"


@dataclass(frozen=True)
class Project:
    """The addresses of the project. Each is empty until `[project.urls]` has it, and has no slash at its end."""

    name: str
    description: str
    documentation: str = ""
    source: str = ""

    def link(self, path: str, *, is_folder: bool = False) -> str | None:
        """Return the address of a file or folder of the repository, or None while the repository has no address."""
        return f"{self.source}/{'tree' if is_folder else 'blob'}/{BRANCH}/{path}" if self.source else None


def read(root: Path = ROOT) -> Project:
    """Read pyproject.toml."""
    table = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    urls = {label.lower(): address.rstrip("/") for label, address in table.get("urls", {}).items()}
    return Project(table["name"], table["description"], urls.get("documentation", ""), urls.get("source", ""))
