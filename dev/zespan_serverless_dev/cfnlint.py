"""The doctor's rules in cfn-lint: `cfn-lint template.yaml -a zespan_serverless_dev.cfnlint`.

Each rule is a class here, because that is where cfn-lint looks for them. Its id begins with its level, as those of
cfn-lint do.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from .doctor.findings import Finding, Rule
from .doctor.model import Project
from .doctor.readers import cloudformation, python
from .doctor.rules import rules
from .doctor.run import diagnose

_cfnlint: Any = import_module("cfnlint.rules")  # not a dependency, because cfn-lint itself runs this
_LETTERS = {"error": "E", "warning": "W", "info": "I"}


def _matches(rule: Rule, filename: str) -> list[Any]:
    """Return a rule's findings in a template, in cfn-lint's form."""
    file = Path(filename)
    if not file.is_file():  # it comes from stdin
        return []
    found = []
    for finding in _findings(file, file.stat().st_mtime_ns):
        line = ((finding.place and finding.place.line) or 1) - 1
        if finding.rule == rule:
            text = f"{finding.message}. {finding.remedy or rule.remedy}"
            found.append(_cfnlint.RuleMatch([], text, location=(line, 0, line, 0)))
    return found


@lru_cache(maxsize=8)
def _findings(file: Path, changed: int) -> list[Finding]:
    """Return the findings of all rules in a template, but not in code. `changed` is for the cache."""
    project = Project(file.parent)
    cloudformation.read(file, project)
    for code in {function.code for function in project.functions if function.code and function.code.is_dir()}:
        python.read(code, project)
    found = diagnose(project, rules().values()).findings
    return [finding for finding in found if finding.place and finding.place.file == file]


def _class(rule: Rule) -> type:
    def match(self: Any, cfn: Any) -> list[Any]:
        return _matches(rule, str(cfn.filename))

    attributes = {
        "id": f"{_LETTERS[rule.level]}{rule.id}",
        "shortdesc": rule.name,
        "description": f"{rule.why} {rule.remedy}",
        "source_url": rule.page,
        "tags": ["lambda", "zespan"],
        "match": match,
    }
    return type(rule.id, (_cfnlint.CloudFormationLintRule,), attributes)


globals().update({rule.id: _class(rule) for rule, _ in rules().values()})
