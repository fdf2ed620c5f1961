"""What Zappa's settings need; the application itself gets its middleware as any other."""

from __future__ import annotations

from ...doctor.readers._documents import Unreadable, parse_json, table
from .. import json, tracing
from ..draft import Draft
from ..text import NotEditable
from ..tracing import PARAMETER, SECRET, SOURCE

SETTINGS = "zappa_settings.json"
_PERMISSION = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": f"arn:aws:ssm:*:*:parameter/{PARAMETER}"}


def plan(draft: Draft) -> bool:
    """Name the key in every stage that has an application; tell whether the project is one of Zappa."""
    file = draft.root / SETTINGS
    if not file.is_file():
        return False
    before = draft.edits
    draft.edit(file, _with_key, f"Set {SECRET}={SOURCE} in aws_environment_variables (docs/recipes/zappa.md)")
    if draft.edits > before:
        draft.note(f"Put the key into AWS, once for each account and region: {tracing.PUT_KEY}")
    return True


def _with_key(text: str) -> str:
    try:
        stages = table(parse_json(text))
    except Unreadable as error:
        raise NotEditable(str(error)) from None
    for name in stages:
        stage = table(stages[name])
        if not {"app_function", "django_settings"} & stage.keys():
            continue
        if SECRET not in table(stage.get("aws_environment_variables")):
            text = json.put(text, (name, "aws_environment_variables", SECRET), SOURCE)
            if "extra_permissions" in stage:
                raise NotEditable(f"add {_PERMISSION} to extra_permissions of {name}")
            text = json.put(text, (name, "extra_permissions"), [_PERMISSION])
    return text
