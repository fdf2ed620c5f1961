"""What invokes the functions of a CloudFormation or SAM template."""

from __future__ import annotations

from typing import Any

from ..model import UNKNOWN, Place, Source, Unknown
from ._documents import row, table
from ._template import Template

VISIBILITY = 30
"""SQS's: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""

_EVENTS = {
    "HttpApi": "api",
    "Api": "api",
    "Schedule": "schedule",
    "ScheduleV2": "schedule",
    "Kinesis": "stream",
    "DynamoDB": "stream",
}
"""Names of the kinds of events that the type in lower case does not name."""


def sources(template: Template, function: str, properties: Any) -> list[Source]:
    """Return the sources of a function: SAM's events, event source mappings, and URLs."""
    return [*_events(template, properties), *_mappings(template, function)]


def _events(template: Template, properties: Any) -> list[Source]:
    """SAM's Events, and a function URL."""
    events = table(properties.get("Events"))
    found = [_source(template, events, name, table(each)) for name, each in events.items()]
    if "FunctionUrlConfig" in properties:
        found.append(Source("url", template.place(properties, "FunctionUrlConfig")))
    return found


def _source(template: Template, events: Any, name: str, event: Any) -> Source:
    properties = table(event.get("Properties"))
    kind = _EVENTS.get(str(event.get("Type")), str(event.get("Type")).lower())
    return _reading(template, kind, template.place(events, name), properties, properties.get("Queue"))


def _reading(template: Template, kind: str, place: Place, properties: Any, queue: Any) -> Source:
    """Return a source with what only those have that Lambda reads itself."""
    if kind not in ("sqs", "stream"):
        return Source(kind, place)
    types = template.value(properties.get("FunctionResponseTypes"))
    is_open = types is UNKNOWN or template.number(properties.get("BatchSize")) == 1  # a batch of one fails as a whole
    reports = "ReportBatchItemFailures" in row(types) or (None if is_open else False)
    seconds, written = _visibility(template, queue) if kind == "sqs" else (None, None)
    return Source(kind, place, seconds, written, reports)


def _visibility(template: Template, queue: Any) -> tuple[int | Unknown | None, Place | None]:
    """Return the visibility timeout of a queue of the template, and where it is written."""
    name = template.target(queue)
    resource = table(template.resources.get(name or ""))
    if name is None or resource.get("Type") != "AWS::SQS::Queue":
        return None, None
    properties = table(resource.get("Properties"))
    if "VisibilityTimeout" not in properties:
        return VISIBILITY, template.placed(name)
    return template.number(properties["VisibilityTimeout"]), template.place(properties, "VisibilityTimeout")


def _mappings(template: Template, function: str) -> list[Source]:
    """CloudFormation's event source mappings and function URLs of a function."""
    found = []
    for name, properties in template.of_type("AWS::Lambda::EventSourceMapping").items():
        source = properties.get("EventSourceArn")
        if template.target(properties.get("FunctionName")) == function:
            kind = "sqs" if _is_queue(template, source) else "stream"
            found.append(_reading(template, kind, template.placed(name), properties, source))
    for name, properties in template.of_type("AWS::Lambda::Url").items():
        if template.target(properties.get("TargetFunctionArn")) == function:
            found.append(Source("url", template.placed(name)))
    return found


def _is_queue(template: Template, arn: Any) -> bool:
    resource = table(template.resources.get(template.target(arn) or ""))
    return resource.get("Type") == "AWS::SQS::Queue" or ":sqs:" in str(template.value(arn))
