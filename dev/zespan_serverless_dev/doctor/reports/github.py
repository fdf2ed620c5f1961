"""Annotations of GitHub Actions: one workflow command for each finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._common import sentences, where

if TYPE_CHECKING:
    from ..findings import Finding
    from ..run import Result

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def report(result: Result) -> str:
    """Return the report for the log of a workflow."""
    return "\n".join(_one(finding) for finding in result.findings)


def _one(finding: Finding) -> str:
    file, line = where(finding)
    given = {"file": file, "line": str(line or ""), "title": f"{finding.rule.id} {finding.rule.name}"}
    properties = ",".join(f"{name}={_property(value)}" for name, value in given.items() if value)
    return f"::{_COMMANDS[finding.rule.level]} {properties}::{_text(sentences(finding))}"


def _text(value: str) -> str:
    """Return a message, as GitHub's own toolkit escapes it."""
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _text(value).replace(":", "%3A").replace(",", "%2C")
