"""SARIF 2.1.0, which code scanning services take: https://docs.oasis-open.org/sarif/sarif/v2.1.0/."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from zespan_serverless._version import __version__

from ._common import sentences, where

if TYPE_CHECKING:
    from ..findings import Finding, Rule
    from ..run import Result

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def report(result: Result) -> str:
    """Return the report as one run."""
    rules = list({finding.rule.id: finding.rule for finding in result.findings}.values())
    driver = {"name": "zespan-serverless doctor", "version": __version__, "rules": [_rule(rule) for rule in rules]}
    run = {
        "tool": {"driver": driver},
        "results": [_result(finding, rules.index(finding.rule)) for finding in result.findings],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.why},
        "help": {"text": f"{rule.remedy} See {rule.page}."},
        "defaultConfiguration": {"level": _LEVELS[rule.level]},
    }


def _result(finding: Finding, index: int) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": _LEVELS[finding.rule.level],
        "message": {"text": sentences(finding)},
    }
    file, line = where(finding)
    if file:
        place: dict[str, object] = {"artifactLocation": {"uri": quote(file)}}
        if line:
            place["region"] = {"startLine": line}
        result["locations"] = [{"physicalLocation": place}]
    return result
