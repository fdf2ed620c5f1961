"""For programs. The member `schema` changes if a member changes its meaning or goes; new ones may come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ._common import counts, remedy, shown, where

if TYPE_CHECKING:
    from ..findings import Finding
    from ..run import Result

SCHEMA = "1"


def report(result: Result) -> str:
    """Return the report as one JSON object."""
    content = {
        "schema": SCHEMA,
        "findings": [_one(finding) for finding in result.findings],
        "summary": {**counts(result), "ignored": result.ignored},
        "functions": [
            {"name": function.name, "host": function.host, "file": shown(function.place.file)}
            for function in result.project.functions
        ],
        "read": [shown(path) for path in result.project.read],
        "skipped": [{"file": shown(path), "reason": reason} for path, reason in result.project.skipped],
    }
    return json.dumps(content, indent=2)


def _one(finding: Finding) -> dict[str, object]:
    rule = finding.rule
    file, line = where(finding)
    return {
        "id": rule.id,
        "name": rule.name,
        "level": rule.level,
        "message": finding.message,
        "file": file or None,
        "line": line,
        "function": finding.function or None,
        "why": rule.why,
        "remedy": remedy(finding),
        "page": rule.page,
    }
