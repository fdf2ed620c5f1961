"""The command: reads a project, applies the rules, and prints what they find."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import fixing
from .findings import Check, Finding, Rule
from .model import Project
from .readers import read
from .readers.files import text_of
from .reports import REPORTS
from .rules import rules

NO_FINDING, FOUND, USAGE, NOTHING_TO_CHECK = 0, 1, 2, 3
_ROUNDS = 5  # of --fix
_LEVELS = ("info", "warning", "error")
_ID = re.compile(r"ZS\d+")
_IGNORED = re.compile(r"(?:#|//)\s*zespan:\s*ignore\s+(ZS\d+(?:[\s,]+ZS\d+)*)")


@dataclass(frozen=True)
class Result:
    """The result of checking a project. `ignored` counts the findings that comments suppress."""

    project: Project
    findings: list[Finding]
    ignored: int = 0


def check(arguments: argparse.Namespace) -> int:
    """Check a project according to the command line, print the report, and return the exit code."""
    try:
        chosen = selected(arguments.select, arguments.ignore)
        if not arguments.path.exists():
            raise ValueError(f"there is no file or folder {str(arguments.path)!r}: name one, or leave it out")
    except ValueError as error:
        return refuse(str(error))
    result = diagnose(read(arguments.path), chosen)
    if not (result.project.read or result.project.skipped or result.findings):
        print("zespan-serverless doctor: nothing found to check: name the folder of the project", file=sys.stderr)
        return NOTHING_TO_CHECK
    if arguments.diff:
        files = fixing.planned(result.findings)
        print(fixing.diff(files) or "nothing that --fix would change")
        return FOUND if files else NO_FINDING
    if arguments.fix:
        result = _fixed(arguments.path, chosen, result)
    print(REPORTS[arguments.format](result))
    least = _LEVELS.index(arguments.fail_on)
    return FOUND if any(_LEVELS.index(one.rule.level) >= least for one in result.findings) else NO_FINDING


def refuse(why: str) -> int:
    """Say which argument is wrong, and what to type instead."""
    print(f"zespan-serverless doctor: {why}", file=sys.stderr)
    return USAGE


def _fixed(path: Path, chosen: list[tuple[Rule, Check]], result: Result) -> Result:
    """Apply the edits that findings offer, print them to stderr, and return the remaining findings.

    An edit may wait for another one of the same line, but not for ever.
    """
    seen: set[str] = set()
    for _ in range(_ROUNDS):
        told = list(fixing.applied(result.findings, lambda file: file not in dict(read(path).skipped)))
        if not set(told) - seen:
            break
        seen.update(told)
        print("\n".join(told), file=sys.stderr)
        result = diagnose(read(path), chosen)
    return result


def selected(select: Iterable[str], ignore: Iterable[str]) -> list[tuple[Rule, Check]]:
    """Return the rules whose ids begin with one of `select`, if there is any, and with none of `ignore`; each may be a
    comma-separated list. Raises ValueError if no rule's id begins like that."""
    known = rules()
    wanted, unwanted = (_ids(texts, known) for texts in (select, ignore))
    return [
        known[id]
        for id in known
        if (not wanted or id.startswith(wanted)) and not (unwanted and id.startswith(unwanted))
    ]


def diagnose(project: Project, chosen: Iterable[tuple[Rule, Check]]) -> Result:
    """Return what these rules find in a project, the worst first, without what a comment says to ignore."""
    found = list(dict.fromkeys(finding for _, apply in chosen for finding in apply(project)))
    kept = [finding for finding in found if not _is_ignored(finding)]
    return Result(project, sorted(kept, key=_order), len(found) - len(kept))


def list_rules() -> int:
    """Print one line for each rule."""
    for rule, _ in rules().values():
        print(f"{rule.id}  {rule.level:<7}  {rule.name}")
    return NO_FINDING


def explain(id: str) -> int:
    """Print the explanation of a rule."""
    known = rules()
    if id.upper() not in known:
        return refuse(f"there is no rule {id!r}: --list-rules prints all of them")
    rule = known[id.upper()][0]
    print(f"{rule.id} {rule.name} ({rule.level})\n\n{rule.why}\n\n{rule.remedy}\n\nSee {rule.page}.")
    return NO_FINDING


def _ids(texts: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    ids = tuple(id.strip().upper() for text in texts for id in text.split(",") if id.strip())
    for id in ids:
        if not any(name.startswith(id) for name in known):
            raise ValueError(f"no rule's id begins with {id!r}: --list-rules prints all of them")
    return ids


def _is_ignored(finding: Finding) -> bool:
    """Whether a comment, on the line of the finding or alone on the line above, names the rule."""
    if finding.place is None or finding.place.line is None:
        return False
    lines = _lines(finding.place.file)
    index = finding.place.line - 1
    here = lines[index : index + 1]
    above = [line for line in lines[max(index - 1, 0) : index] if line.lstrip().startswith(("#", "//"))]
    named = {id for line in here + above for match in _IGNORED.finditer(line) for id in _ID.findall(match[1])}
    return finding.rule.id in named


def _lines(path: Path) -> list[str]:
    try:
        return text_of(path).splitlines()
    except (OSError, ValueError):
        return []


def _order(finding: Finding) -> tuple[int, str, int, str]:
    place, rule = finding.place, finding.rule
    file, line = (str(place.file), place.line or 0) if place else ("", 0)
    return -_LEVELS.index(rule.level), file, line, rule.id
