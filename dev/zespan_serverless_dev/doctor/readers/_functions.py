"""The functions of a CloudFormation or SAM template as the model has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..model import UNKNOWN, Function, Layer, Place, Source, Unknown, Variable
from . import _iam
from ._documents import Row, Table, row, table
from ._template import NOTHING, Template

TYPES = ("AWS::Serverless::Function", "AWS::Lambda::Function")
LAYERS = ("AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion")

# Lambda's defaults: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
TIMEOUT, MEMORY = 3, 128
VISIBILITY = 30
"""SQS's: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""

_FIELDS = {
    "handler": "Handler",
    "runtime": "Runtime",
    "architecture": "Architectures",
    "timeout_s": "Timeout",
    "memory_mb": "MemorySize",
    "environment": "Environment",
    "layers": "Layers",
    "actions": "Policies",
    "in_vpc": "VpcConfig",
    "snapstart": "SnapStart",
}
_EVENTS = {
    "HttpApi": "api",
    "Api": "api",
    "Schedule": "schedule",
    "ScheduleV2": "schedule",
    "Kinesis": "stream",
    "DynamoDB": "stream",
}
"""Names of the kinds of events that the type in lower case does not name."""
_EGRESS = (
    *("AWS::EC2::NatGateway", "AWS::EC2::EgressOnlyInternetGateway", "AWS::EC2::VPCEndpoint"),
    *("AWS::EC2::TransitGatewayAttachment", "AWS::EC2::TransitGatewayVpcAttachment"),
)
_ROUTES = (
    *("NatGatewayId", "TransitGatewayId", "EgressOnlyInternetGatewayId", "VpcPeeringConnectionId", "VpcEndpointId"),
    *("InstanceId", "NetworkInterfaceId", "CarrierGatewayId", "LocalGatewayId"),
)
"""Where a route may lead that a function can take; an internet gateway is of no use to it."""


def functions(template: Template) -> list[Function]:
    """All functions of a template."""
    shared = table(template.section("Globals").get("Function"))
    return [
        _function(template, name, merged(shared, properties) if kind == TYPES[0] else properties)
        for kind in TYPES
        for name, properties in template.of_type(kind).items()
    ]


def layers(template: Template) -> dict[str, Layer]:
    """The layers that a template makes, by their logical ids."""
    return {name: _layer(template, name, properties) for name, properties in template.of_type(*LAYERS).items()}


def merged(shared: Any, own: Any) -> Any:
    """SAM's Globals with the properties of one function: mappings are merged, lists joined, others replaced.

    https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html
    """
    if isinstance(shared, dict) and isinstance(own, dict) and not is_intrinsic(shared) and not is_intrinsic(own):
        both = Table({**shared, **own})
        both.lines = {**getattr(shared, "lines", {}), **getattr(own, "lines", {})}
        both.update({key: merged(shared[key], own[key]) for key in shared.keys() & own.keys()})
        return both
    if isinstance(shared, list) and isinstance(own, list):
        joined = Row([*shared, *own])
        joined.lines = [*getattr(shared, "lines", []), *getattr(own, "lines", [])]
        return joined
    return own


def is_intrinsic(node: Any) -> bool:
    return len(node) == 1 and next(iter(node)).startswith(("Ref", "Fn::"))


def _function(template: Template, name: str, properties: Any) -> Function:
    """One function; `properties` are its own and the shared ones."""

    def known(key: str, otherwise: Any = None) -> Any:
        found = template.value(properties[key]) if key in properties else otherwise
        return otherwise if found is NOTHING else found

    def number(key: str, otherwise: int) -> Any:
        found = known(key, otherwise)
        return found if found is UNKNOWN else template.number(found)

    architectures = known("Architectures", ["x86_64"])
    vpc = table(properties.get("VpcConfig"))
    if is_intrinsic(vpc):
        vpc = Table()
    is_image = known("PackageType") == "Image" or "ImageUri" in properties
    function = Function(
        name,
        "aws_lambda",
        template.placed(name),
        handler=_text(known("Handler")),
        runtime=_text(known("Runtime")),
        architecture=_text(architectures[0] if isinstance(architectures, list) and architectures else architectures),
        timeout_s=number("Timeout", TIMEOUT),
        memory_mb=number("MemorySize", MEMORY),
        environment=_environment(template, properties),
        environment_is_partial=_is_partial(properties),
        code=_code(template, name, properties),
        layers=_layers_of(template, properties),
        actions=UNKNOWN if "Connectors" in template.resources[name] else _iam.of_function(template, name, properties),
        sources=[*_events(template, properties), *_mappings(template, name)],
        in_vpc=bool(vpc),
        has_egress=_egress(template, vpc),
        snapstart=table(known("SnapStart")).get("ApplyOn") == "PublishedVersions",
        is_packaged_as_image=is_image,
    )
    if is_image and function.handler is None:
        command = row(template.value(table(properties.get("ImageConfig")).get("Command")))
        function.handler = _text(command[0]) if command else None
    function.log_retention_days, function.log_group = _log(template, name, properties)
    built = template.file.parent / ".aws-sam" / "build" / name
    function.built = built if built.is_dir() else None
    fields = _FIELDS | ({"actions": "Role"} if "Role" in properties else {})
    written = {field: template.place(properties, key) for field, key in fields.items() if key in properties}
    function.places = {field: place for field, place in written.items() if place.line}
    return function


def _text(found: Any) -> str | Unknown | None:
    return found if found is None or isinstance(found, str) else UNKNOWN


def _environment(template: Template, properties: Any) -> dict[str, Variable]:
    variables = table(table(properties.get("Environment")).get("Variables"))
    return {
        key: Variable(key, template.text(each), template.place(variables, key))
        for key, each in variables.items()
        if template.value(each) is not NOTHING
    }


def _is_partial(properties: Any) -> bool:
    """Whether a function such as Fn::If makes the environment, or all of its variables."""
    environment = properties.get("Environment")
    return is_intrinsic(table(environment)) or is_intrinsic(table(table(environment).get("Variables")))


def _code(template: Template, name: str, properties: Any) -> Path | None:
    """The folder with a function's code: SAM's CodeUri, what `aws cloudformation package` takes, or CDK's asset."""
    metadata = table(template.resources[name].get("Metadata"))
    built_elsewhere = metadata.get("aws:asset:path", metadata.get("DockerContext"))
    return _folder(template, built_elsewhere or template.value(properties.get("CodeUri", properties.get("Code"))))


def _folder(template: Template, path: Any) -> Path | None:
    """A path in a template, which goes by the template's folder; None if it leads nowhere."""
    if not isinstance(path, str) or "\0" in path or "://" in path:
        return None
    try:
        found = (template.file.parent / path).resolve()
        return found if found.exists() else None
    except (OSError, RuntimeError):  # a name that is too long, or a loop of links
        return None


def _layer(template: Template, name: str, properties: Any) -> Layer:
    asset = table(template.resources[name].get("Metadata")).get("aws:asset:path")
    path = asset or template.value(properties.get("ContentUri", properties.get("Content")))

    def names(key: str) -> tuple[str, ...]:
        return tuple(each for each in row(template.value(properties.get(key))) if isinstance(each, str))

    return Layer(
        name,
        template.placed(name),
        _folder(template, path),
        names("CompatibleRuntimes"),
        names("CompatibleArchitectures"),
    )


def _layers_of(template: Template, properties: Any) -> list[str | Unknown]:
    found = properties.get("Layers")
    if not isinstance(found, list):
        return [] if found is None or template.value(found) is NOTHING else [UNKNOWN]
    named = [template.target(each) or template.value(each) for each in found]
    return [each if isinstance(each, str) else UNKNOWN for each in named if each is not NOTHING]


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
    """A source with what only those have that Lambda reads itself."""
    if kind not in ("sqs", "stream"):
        return Source(kind, place)
    types = template.value(properties.get("FunctionResponseTypes"))
    is_open = types is UNKNOWN or template.number(properties.get("BatchSize")) == 1  # a batch of one fails as a whole
    reports = "ReportBatchItemFailures" in row(types) or (None if is_open else False)
    seconds, written = _visibility(template, queue) if kind == "sqs" else (None, None)
    return Source(kind, place, seconds, written, reports)


def _visibility(template: Template, queue: Any) -> tuple[int | Unknown | None, Place | None]:
    """The visibility timeout of a queue of the template, and where it is written."""
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


def _egress(template: Template, vpc: Any) -> bool | None:
    """Whether a function in a VPC reaches the internet; None if a subnet, its VPC or its routes are elsewhere."""
    subnets = vpc.get("SubnetIds")
    names = [template.target(each) for each in subnets] if isinstance(subnets, list) else []
    if not names or None in names:
        return None
    routes = template.of_type("AWS::EC2::Route").values()
    if template.of_type(*_EGRESS) or any(key in route for route in routes for key in _ROUTES):
        return True
    subnets = template.of_type("AWS::EC2::Subnet")
    vpcs = {template.target(table(subnets.get(str(name))).get("VpcId")) for name in names}
    tables = [each.get("RouteTableId") for each in template.of_type("AWS::EC2::SubnetRouteTableAssociation").values()]
    return None if None in vpcs or None in map(template.target, tables) else False


def _log(template: Template, name: str, properties: Any) -> tuple[int | Unknown | None, Place | None]:
    """Days that the function's log is kept, None for ever, and its log group if that is in the template."""
    group = table(properties.get("LoggingConfig")).get("LogGroup")
    for resource, found in template.of_type("AWS::Logs::LogGroup").items():
        is_named = template.target(found.get("LogGroupName")) == name or _names(found.get("LogGroupName"), name)
        if template.target(group) == resource or is_named:
            days = template.number(found["RetentionInDays"]) if "RetentionInDays" in found else None
            return days, template.placed(resource)
    for custom in template.of_type("Custom::LogRetention").values():  # CDK's `log_retention`
        if _names(custom.get("LogGroupName"), name):
            return template.number(custom.get("RetentionInDays")), None
    return (None if group is None else UNKNOWN), None


def _names(group: Any, function: str) -> bool:
    """Whether the name of a log group contains a function's: /aws/lambda/${Chat}, in a Sub or a Join."""
    return isinstance(group, dict) and f"'{function}'" in str(group)
