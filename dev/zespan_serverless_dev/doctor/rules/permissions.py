"""Rules on what a function's role allows."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from ..concerned import concerned, place_of
from ..findings import Finding, rule
from ..lookup import value_of
from ..model import Function, Project, Unknown

_READ = {"ssm": "ssm:getparameter", "secretsmanager": "secretsmanager:getsecretvalue"}
_PUT = {
    "s3": "s3:putobject",
    "sqs": "sqs:sendmessage",
    "kinesis": "kinesis:putrecord",
    "firehose": "firehose:putrecord",
}
_SPELLED = {
    "ssm:getparameter": "ssm:GetParameter",
    "secretsmanager:getsecretvalue": "secretsmanager:GetSecretValue",
    "s3:putobject": "s3:PutObject",
    "sqs:sendmessage": "sqs:SendMessage",
    "kinesis:putrecord": "kinesis:PutRecord",
    "firehose:putrecord": "firehose:PutRecord",
}


def allows(function: Function, action: str) -> bool | None:
    """Whether the role allows an action (in lower case); what it allows may have * and ?. None if that is not known."""
    if isinstance(function.actions, Unknown):
        return None
    return any(fnmatchcase(action, allowed) for allowed in function.actions)


@rule(
    "ZS208",
    "key-not-readable",
    "error",
    "Without permission to read the key nothing is sent: events wait until the process ends, and are then lost.",
    "Allow the function's role the action that the message names, on that parameter or secret.",
)
def key_not_readable(project: Project) -> Iterator[Finding]:
    """Find functions that are to read their key from AWS, and may not."""
    for function in concerned(project, "aws_lambda"):
        variable = function.environment.get("ZESPAN_API_KEY_SECRET")
        if variable is None or "ZESPAN_API_KEY" in function.environment:
            continue
        wanted = _readers(variable.value)
        if wanted and all(allows(function, action) is False for action in wanted):
            names = " or ".join(_SPELLED[action] for action in wanted)
            text = f"the role of {function.name} does not allow {names}"
            yield Finding(text, place_of(function, "actions"), function=function.name)


def _readers(source: str | Unknown) -> list[str]:
    """Return the actions of which one is needed to read a key."""
    if isinstance(source, Unknown):
        return list(_READ.values())
    service = "ssm" if source.startswith("ssm:") else source.split(":")[2] if source.count(":") > 2 else ""
    return [_READ[service]] if service in _READ else []


@rule(
    "ZS209",
    "store-not-writable",
    "error",
    "Without permission to write to the store, no event is parked there.",
    "Allow the function's role the action that the message names, on that bucket, queue or stream.",
)
def store_not_writable(project: Project) -> Iterator[Finding]:
    """Find functions that are to put events into a store of AWS, and may not."""
    for function in concerned(project, "aws_lambda"):
        for name in ("ZESPAN_FALLBACK", "ZESPAN_EXPORTER"):
            for url in value_of(function, name).split(","):
                action = _PUT.get(url.strip().partition("://")[0], "") if "://" in url else ""
                if action and allows(function, action) is False:
                    text = f"the role of {function.name} does not allow {_SPELLED[action]}, which {name} needs"
                    yield Finding(text, place_of(function, "actions"), function=function.name)
