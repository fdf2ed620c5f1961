"""Converts the functions of a CloudFormation or SAM template to the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..model import UNKNOWN, Function, Layer, Place, Unknown, Variable
from . import _iam, _networks, _sources
from ._documents import Row, Table, row, table
from ._template import NOTHING, Template

TYPES = ("AWS::Serverless::Function", "AWS::Lambda::Function")
LAYERS = ("AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion")

# Lambda's defaults: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
TIMEOUT, MEMORY = 3, 128

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


def functions(template: Template) -> list[Function]:
    """Return all functions of a template."""
    shared = table(template.section("Globals").get("Function"))
    return [
        _function(template, name, merged(shared, properties) if kind == TYPES[0] else properties)
        for kind in TYPES
        for name, properties in template.of_type(kind).items()
    ]


def layers(template: Template) -> dict[str, Layer]:
    """Return the layers that a template makes, by their logical ids."""
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
    """Whether a mapping is a function of CloudFormation, such as {"Ref": "Name"}."""
    return len(node) == 1 and (next(iter(node)) == "Ref" or next(iter(node)).startswith("Fn::"))


def _function(template: Template, name: str, properties: Any) -> Function:
    """Return one function; `properties` are its own and the shared ones."""
    vpc = table(properties.get("VpcConfig"))
    vpc = Table() if is_intrinsic(vpc) else vpc
    snapstart = table(_known(template, properties, "SnapStart"))
    function = Function(
        name,
        "aws_lambda",
        template.placed(name),
        handler=_text(_known(template, properties, "Handler")),
        runtime=_text(_known(template, properties, "Runtime")),
        architecture=_architecture(_known(template, properties, "Architectures")),
        timeout_s=_number(template, properties, "Timeout", TIMEOUT),
        memory_mb=_number(template, properties, "MemorySize", MEMORY),
        environment=_environment(template, properties),
        environment_is_partial=_is_partial(properties),
        code=_code(template, name, properties),
        built=_built(template, name),
        layers=_layers_of(template, properties),
        actions=UNKNOWN if "Connectors" in template.resources[name] else _iam.of_function(template, name, properties),
        sources=_sources.sources(template, name, properties),
        in_vpc=bool(vpc),
        has_egress=_networks.has_egress(template, vpc),
        snapstart=snapstart.get("ApplyOn") == "PublishedVersions",
        is_packaged_as_image=_known(template, properties, "PackageType") == "Image" or "ImageUri" in properties,
        places=_places(template, properties),
    )
    if function.is_packaged_as_image and function.handler is None:
        command = row(template.value(table(properties.get("ImageConfig")).get("Command")))
        function.handler = _text(command[0]) if command else None
    function.log_retention_days, function.log_group = _log(template, name, properties)
    return function


def _known(template: Template, properties: Any, key: str) -> Any:
    """Return the value of a property; None if it is omitted."""
    found = template.value(properties.get(key))
    return None if found is NOTHING else found


def _number(template: Template, properties: Any, key: str, default: int) -> Any:
    found = _known(template, properties, key)
    return default if found is None else template.number(found)


def _architecture(found: Any) -> str | Unknown | None:
    return "x86_64" if found is None else _text(row(found)[0] if row(found) else UNKNOWN)


def _places(template: Template, properties: Any) -> dict[str, Place]:
    """Return where properties are written that are written in a line; a Role comes before Policies."""
    fields = _FIELDS | ({"actions": "Role"} if "Role" in properties else {})
    written = {field: template.place(properties, key) for field, key in fields.items() if key in properties}
    return {field: place for field, place in written.items() if place.line}


def _built(template: Template, name: str) -> Path | None:
    """Return what `sam build` has made of a function."""
    folder = template.file.parent / ".aws-sam" / "build" / name
    try:
        return folder if folder.is_dir() else None
    except (OSError, ValueError):  # a name that is too long, or has a null
        return None


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
    """Return the folder with a function's code: SAM's CodeUri, the CLI's package, or CDK's asset."""
    metadata = table(template.resources[name].get("Metadata"))
    built_elsewhere = metadata.get("aws:asset:path", metadata.get("DockerContext"))
    written = template.value(properties.get("CodeUri", properties.get("Code")))
    key = table(written).get("S3Key")  # CDK's without its metadata: the asset has the same hash
    asset = f"asset.{key.removesuffix('.zip')}" if isinstance(key, str) and "/" not in key else None
    return _folder(template, built_elsewhere or asset or written)


def _folder(template: Template, path: Any) -> Path | None:
    """Return a path in a template, which goes by the template's folder; None if it leads nowhere."""
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


def _log(template: Template, name: str, properties: Any) -> tuple[int | Unknown | None, Place | None]:
    """Return days that the function's log is kept, None for ever, and its log group if that is in the template."""
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
