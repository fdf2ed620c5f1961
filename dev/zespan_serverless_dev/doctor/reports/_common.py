"""What the formats share."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ..findings import Finding

if TYPE_CHECKING:
    from ..run import Result


def shown(path: Path) -> str:
    """Return a path as reports name it: from the current folder on, if it is below that, with slashes."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def where(finding: Finding) -> tuple[str, int | None]:
    """Return the file and the line of a finding; the file is empty if it has none."""
    place = finding.place
    return (shown(place.file), place.line) if place else ("", None)


def remedy(finding: Finding) -> str:
    """Return what to do about a finding."""
    return finding.remedy or finding.rule.remedy


def sentences(finding: Finding) -> str:
    """Return what is wrong, and what to do about it, for formats that have one text."""
    end = "" if finding.message.endswith(("?", ".")) else "."
    return f"{finding.message}{end} {remedy(finding)}"


def counts(result: Result) -> dict[str, int]:
    """Return how many findings there are of each level."""
    found = Counter(finding.rule.level for finding in result.findings)
    return {level: found[level] for level in ("error", "warning", "info")}
