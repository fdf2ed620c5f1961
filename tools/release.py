"""What the workflow of a release asks before it builds, and what it writes into the release.

python -m tools.release check v0.1.0    whether the repository is that version, everywhere
python -m tools.release notes v0.1.0    the section of CHANGELOG.md, without its heading
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from tools import sbom
from zespan_serverless import __version__

ROOT = Path(__file__).parents[1]
_HEADING = re.compile(r"^## \[?(?P<version>[^\]\s]+)\]?(?: - (?P<date>\S+))?$", re.MULTILINE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def problems(tag: str, changelog: str) -> list[str]:
    """Name all that keeps a tag from being released, and what to do about each."""
    found = []
    if tag != f"v{__version__}":
        found.append(
            f"the tag {tag} is not v{__version__}: change zespan_serverless/_version.py, or tag v{__version__}"
        )
    tools = tomllib.loads((ROOT / "dev" / "pyproject.toml").read_text())["project"]
    if tools["version"] != __version__:
        found.append(f"dev/pyproject.toml has version {tools['version']}: write {__version__} there")
    if any(path.read_text() != text for path, text in sbom.made().items()):
        found.append("the bills of materials are not up to date: run python -m tools.sbom")
    headings = {heading["version"]: heading["date"] for heading in _HEADING.finditer(changelog)}
    if not _DATE.fullmatch(headings.get(__version__) or ""):
        found.append(
            f"CHANGELOG.md has no heading `## {__version__} - YYYY-MM-DD`: give the section Unreleased that one"
        )
    elif section(changelog, "Unreleased"):
        found.append(f"CHANGELOG.md has changes under Unreleased: move them to {__version__}")
    return found


def section(changelog: str, version: str) -> str:
    """Return the text below the heading of a version; empty if there is none."""
    headings = [*_HEADING.finditer(changelog)]
    for heading, after in zip(headings, [*headings[1:], None], strict=True):
        if heading["version"] == version:
            return changelog[heading.end() : after.start() if after else None].strip()
    return ""


def main(arguments: list[str]) -> int:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    match arguments:
        case ["check", tag]:
            found = problems(tag, changelog)
            print("\n".join(found) or f"{tag} can be released")
            return bool(found)
        case ["notes", tag]:
            print(section(changelog, tag.removeprefix("v")))
            return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
