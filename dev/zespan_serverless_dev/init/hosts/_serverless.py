"""What a function needs in serverless.yml."""

from __future__ import annotations

from ...doctor.model import Function
from ...doctor.readers._documents import Unreadable, parse_yaml, row, table
from .. import yaml
from ..draft import Draft
from ..text import NotEditable
from ..tracing import PARAMETER, SECRET, SOURCE

_PLUGIN = "serverless-python-requirements"
_STATEMENT = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": f"arn:aws:ssm:*:*:parameter/{PARAMETER}"}


def is_one(function: Function) -> bool:
    """Whether a function is of the Serverless Framework."""
    return function.place.file.name in ("serverless.yml", "serverless.yaml")


def note_plugin(draft: Draft, function: Function) -> None:
    """Say that the framework alone installs no packages."""
    try:
        has_plugin = _PLUGIN in draft.text(function.place.file)
    except NotEditable:
        return
    if not has_plugin:
        draft.note(
            f"The framework installs no packages by itself: serverless plugin install -n {_PLUGIN}, "
            "or docs/recipes/serverless.md"
        )


def change(draft: Draft, function: Function, what: str, otherwise: str) -> None:
    """Give the function the variable, the permission or the timeout."""

    def edit(text: str) -> str:
        own = ("functions", function.name)
        if what == "variable":
            return yaml.put(text, (*own, "environment", SECRET), SOURCE)
        if what == "timeout":
            return yaml.put(text, (*own, "timeout"), 30)
        return yaml.append(text, _statements(text), _STATEMENT)

    draft.edit(function.place.file, edit, otherwise)


def _statements(text: str) -> tuple[str, ...]:
    """Return where the service's permissions are; the framework has had two places."""
    try:
        provider = table(table(row(parse_yaml(text))[0]).get("provider"))
    except Unreadable as error:
        raise NotEditable(str(error)) from None
    if "iamRoleStatements" in provider:
        return "provider", "iamRoleStatements"
    return "provider", "iam", "role", "statements"
