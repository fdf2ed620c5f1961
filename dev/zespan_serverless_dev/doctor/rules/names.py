"""Rules on the names of environment variables, and on secrets in files."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from zespan_serverless._base.hints import misspelled
from zespan_serverless.settings._fields import FIELDS, VARIABLES

from ..findings import Edit, Finding, rule
from ..lookup import PACKAGE, variables
from ..model import SHELL, Place, Project, Variable
from ..readers.files import text_of

_KNOWN = {*VARIABLES.values(), "ZESPAN_LAMBDA_HANDLER", "ZESPAN_RIE"}
_SECRET = re.compile(
    r"ZESPAN_API_KEY|ZESPAN_HEADERS|CARBON_API_KEY|LANGFUSE_SECRET_KEY|DD_API_KEY|HONEYCOMB_API_KEY|LOGFIRE_TOKEN"
    r"|GRAFANA_CLOUD_API_(KEY|TOKEN)|NEW_RELIC_LICENSE_KEY|BRAINTRUST_API_KEY|LANGSMITH_API_KEY|PHOENIX_API_KEY"
    r"|(OPENAI|ANTHROPIC|GEMINI|GOOGLE|MISTRAL|COHERE|GROQ)_API_KEY"
)
_PLACEHOLDER = re.compile(r"^[$<{%]|\.\.\.|\{\{|your|change|example|dummy|placeholder|none|x{4}|\*{3}", re.IGNORECASE)
_CLOSE = 0.925  # similarity from 0 to 1 of a whole name, in which the prefix may be wrong
_SHORTEST = 12  # characters of a key that is taken for a real one


@rule(
    "ZS002",
    "unknown-variable",
    "warning",
    "A variable that is not a setting has no effect.",
    "Write the name as the message says.",
)
def unknown_variable(project: Project) -> Iterator[Finding]:
    """Find names that were probably meant to be settings, and those of settings that only code can give."""
    for variable in _unknown(project):
        name = variable.name[len("ZESPAN_") :].lower()
        if name in FIELDS and name not in VARIABLES:
            remedy = f"Remove it, and give {name} to the decorator or to init()."
            yield Finding(f"{variable.name} has no effect: {name} can be set in code only", variable.place, remedy)
        elif meant := _meant(variable):
            wanted, is_negated = meant
            remedy = f"Write {wanted}" + (", whose value is the opposite of this one's." if is_negated else ".")
            edit = None if is_negated else _renamed(variable, wanted)
            text = f"{variable.name} is not a setting: did you mean {wanted}?"
            yield Finding(text, variable.place, remedy, edit=edit)


@rule(
    "ZS010",
    "foreign-variable",
    "info",
    "The prefix ZESPAN_ is reserved for this package; a later version may use this name.",
    "Rename the variable if it is your own; docs/settings.md lists those of the package.",
)
def foreign_variable(project: Project) -> Iterator[Finding]:
    """Find names with our prefix that resemble no setting."""
    for variable in _unknown(project):
        if variable.name[len("ZESPAN_") :].lower() not in FIELDS and not _meant(variable):
            yield Finding(f"{variable.name} is not a setting of the package", variable.place)


@rule(
    "ZS005",
    "key-in-plain-text",
    "error",
    "Anybody who can read the repository, or the function's configuration, has the key.",
    "Revoke the key; put a new one into Parameter Store or Secrets Manager, and name that in ZESPAN_API_KEY_SECRET.",
)
def key_in_plain_text(project: Project) -> Iterator[Finding]:
    """Find keys that are written down in a template, a Dockerfile, code, or a file of local settings that is in git."""
    for variable in variables(project):
        if not _SECRET.fullmatch(variable.name) or not isinstance(variable.value, str):
            continue
        file = variable.place.file
        is_local = ".env" in file.name or file.name == "local.settings.json"
        if file == SHELL or not _is_real(variable.value) or (is_local and not _is_in_git(file)):
            continue
        yield Finding(f"{variable.name} is written in plain text", variable.place, _for_key(project, variable))
    for module in project.modules:
        for name, call in module.calls:
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if name.partition(".")[0] in (PACKAGE, "zespan") and _is_literal(given.get("api_key")):
                yield Finding("api_key is written in plain text", Place(module.path, call.lineno))


def _for_key(project: Project, variable: Variable) -> str:
    """Return what to do about a key in plain text; empty for what the rule says, which is about AWS."""
    if variable.name != "ZESPAN_API_KEY":
        return "Have the deployment read it from a secret, and replace it."
    hosts = {each.host for each in project.functions if each.environment.get(variable.name) is variable}
    is_elsewhere = hosts and not hosts & {"aws_lambda", "container"}
    return "Revoke the key; have the platform put a new one there from its own secrets." if is_elsewhere else ""


def _unknown(project: Project) -> Iterator[Variable]:
    """Yield the variables with our prefix, or nearly with it, that are not ours."""
    for variable in variables(project):
        has_prefix = variable.name.upper().startswith("ZESPAN_")
        if variable.name not in _KNOWN and (has_prefix or get_close_matches(variable.name, _KNOWN, 1, _CLOSE)):
            yield variable


def _meant(variable: Variable) -> tuple[str, bool] | None:
    """Return the variable that a name was meant to be, and whether it asks for the opposite."""
    if variable.name.upper() in _KNOWN:
        return variable.name.upper(), False
    for _, name, is_negated in misspelled([variable.name], VARIABLES):
        return VARIABLES[name], is_negated
    close = get_close_matches(variable.name, _KNOWN, 1, _CLOSE)
    return (close[0], False) if close else None


def _renamed(variable: Variable, name: str) -> Edit | None:
    """Return the line with the right name; None if the wrong one is not on it exactly once."""
    place = variable.place
    try:
        line = text_of(place.file).splitlines()[(place.line or 0) - 1] if place.line else ""
    except (OSError, ValueError, IndexError):
        return None
    found = re.findall(rf"\b{re.escape(variable.name)}\b", line)
    if place.line is None or len(found) != 1:
        return None
    return Edit(place, place.line, place.line, (re.sub(rf"\b{re.escape(variable.name)}\b", name, line),))


def _is_real(value: str) -> bool:
    return len(value.strip()) >= _SHORTEST and not _PLACEHOLDER.search(value)


def _is_literal(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_real(node.value)


def _is_in_git(path: Path) -> bool:
    """Whether git keeps this file. Nothing that the repository's configuration names is run."""
    command = ["git", "-c", "core.fsmonitor=false", "ls-files", "--error-unmatch", "--", path.name]
    try:
        return subprocess.run(command, cwd=path.parent, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
