"""What a function needs in a template of SAM or CloudFormation."""

from __future__ import annotations

from typing import Any

from ...doctor.model import Function
from ...doctor.readers._documents import Unreadable, parse_yaml, row, table
from ...doctor.readers._template import Template
from .. import yaml
from ..draft import Draft
from ..text import NotEditable
from ..tracing import PARAMETER, SECRET, SOURCE

_SAM = "AWS::Serverless::Function"
_POLICY = {"SSMParameterReadPolicy": {"ParameterName": PARAMETER}}
_INLINE = {
    "PolicyName": "read-zespan-key",
    "PolicyDocument": {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": f"arn:aws:ssm:*:*:parameter/{PARAMETER}"}
        ],
    },
}


def is_sam(draft: Draft, function: Function) -> bool:
    """Whether `sam build` installs what the requirements.txt beside the code names."""
    file = function.place.file
    if file.suffix not in (".yaml", ".yml", ".template"):
        return False
    try:
        return _type(_template(draft, function), function) == _SAM
    except NotEditable:
        return False


def change(draft: Draft, function: Function, what: str, otherwise: str) -> None:
    """Give the function the variable, the permission or the timeout."""

    def edit(text: str) -> str:
        template = _template(draft, function)
        if function.name not in template.resources:
            raise NotEditable(f"it has no {function.name}")
        own = ("Resources", function.name, "Properties")
        if what == "variable":
            return yaml.put(text, (*own, "Environment", "Variables", SECRET), SOURCE)
        if what == "timeout":
            return yaml.put(text, _timeout(template, own), 30)
        return _permitted(text, template, own)

    draft.edit(function.place.file, edit, otherwise)


def _timeout(template: Template, own: tuple[str, ...]) -> tuple[str, ...]:
    """Return where the timeout is: in Globals, if they have it and there is no other function."""
    shared = table(template.section("Globals").get("Function"))
    is_alone = len(template.of_type(_SAM)) == 1
    is_own = "Timeout" in table(template.resources[own[1]].get("Properties"))
    return ("Globals", "Function", "Timeout") if is_alone and "Timeout" in shared and not is_own else (*own, "Timeout")


def _permitted(text: str, template: Template, own: tuple[str, ...]) -> str:
    """Return the template in which the function, or its role, may read the key."""
    properties = table(template.resources[own[1]].get("Properties"))
    role: Any = properties.get("Role")
    if role is None and template.resources[own[1]].get("Type") == _SAM:
        return yaml.append(text, (*own, "Policies"), _POLICY)
    name = template.target(role)
    if name is None:
        raise NotEditable("its role is not in the template")
    return yaml.append(text, ("Resources", name, "Properties", "Policies"), _INLINE)


def _template(draft: Draft, function: Function) -> Template:
    try:
        documents = parse_yaml(draft.text(function.place.file))
    except Unreadable as error:
        raise NotEditable(str(error)) from None
    return Template(function.place.file, row(documents)[0])


def _type(template: Template, function: Function) -> str:
    return str(table(template.resources.get(function.name)).get("Type"))
