"""For people: each finding with its place, the reason and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zespan_serverless._base.log import printable

from ._common import counts, remedy, shown, where

if TYPE_CHECKING:
    from ..findings import Finding
    from ..run import Result


def report(result: Result) -> str:
    """Return the report for a terminal."""
    parts = [_one(finding) for finding in result.findings]
    parts += [f"skipped {shown(path)}: {printable(reason)}\n" for path, reason in result.project.skipped]
    return "\n".join([*parts, _sum(result)])


def _one(finding: Finding) -> str:
    rule = finding.rule
    file, line = where(finding)
    lines = [f"{rule.level}[{rule.id}] {rule.name}: {printable(finding.message)}"]
    if file:
        lines.append(f"  --> {printable(file)}{f':{line}' if line else ''}")
    lines += [f"   = why: {rule.why}", f"   = remedy: {printable(remedy(finding))}", f"   = see: {rule.page}"]
    return "\n".join(lines) + "\n"


def _sum(result: Result) -> str:
    found = ", ".join(_counted(number, level) for level, number in counts(result).items() if number) or "no findings"
    files = _counted(len(result.project.read), "file")
    ignored = f"; {_counted(result.ignored, 'finding')} ignored by comments" if result.ignored else ""
    return f"{found} in {files}, {_counted(len(result.project.functions), 'function')}{ignored}"


def _counted(number: int, what: str) -> str:
    plural = "" if number == 1 or what == "info" else "s"
    return f"{number} {what}{plural}"
