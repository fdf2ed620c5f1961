"""The Lambda functions of a module of Terraform (https://registry.terraform.io/providers/hashicorp/aws/latest/docs)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..model import UNKNOWN, Function, Layer, Place, Source, Unknown, Variable
from . import _iam, _terraform_modules
from ._documents import Table, row, table
from ._functions import MEMORY, TIMEOUT
from ._hcl import HOLE, Module, Resource, block
from ._sources import VISIBILITY

_FUNCTION, _LAYER, _QUEUE, _ROLE = "aws_lambda_function", "aws_lambda_layer_version", "aws_sqs_queue", "aws_iam_role"
_EGRESS = (
    *("aws_nat_gateway", "aws_egress_only_internet_gateway", "aws_vpc_endpoint"),
    "aws_ec2_transit_gateway_vpc_attachment",
)
_ROUTES = (
    *("nat_gateway_id", "transit_gateway_id", "egress_only_gateway_id", "vpc_peering_connection_id"),
    *("vpc_endpoint_id", "network_interface_id", "carrier_gateway_id", "local_gateway_id"),
)
_ARCHIVE = "data.archive_file"
_TABLES = ("aws_route_table", "aws_default_route_table")
_FIELDS = {
    "handler": ("handler",),
    "runtime": ("runtime",),
    "architecture": ("architectures",),
    "timeout_s": ("timeout",),
    "memory_mb": ("memory_size",),
    "environment": ("environment",),
    "layers": ("layers",),
    "actions": ("role",),
    "in_vpc": ("vpc_config",),
    "snapstart": ("snap_start",),
}


def functions(module: Module) -> list[Function]:
    resources = [*module.of_type(_FUNCTION).values(), *_terraform_modules.functions(module)]
    return [_function(module, resource) for resource in resources]


def layers(module: Module) -> dict[str, Layer]:
    return {name: _layer(module, resource) for name, resource in module.of_type(_LAYER).items()}


def _function(module: Module, resource: Resource) -> Function:
    body = resource.body
    variables, is_partial = _environment(module, resource)
    vpc = block(body, "vpc_config")
    architectures = module.texts(body.get("architectures")) or ["x86_64"]
    function = Function(
        resource.name,
        "aws_lambda",
        resource.place,
        handler=_text(module, body, "handler"),
        runtime=_text(module, body, "runtime"),
        architecture=architectures[0],
        timeout_s=module.number(_or(body.get("timeout"), TIMEOUT)),
        memory_mb=module.number(_or(body.get("memory_size"), MEMORY)),
        environment=variables,
        environment_is_partial=is_partial,
        code=_code(module, body.get("filename")),
        layers=_layers(module, body.get("layers")),
        actions=_actions(module, body.get("role")),
        sources=_sources(module, resource),
        in_vpc=bool(vpc),
        has_egress=_egress(module, vpc),
        snapstart=module.value(block(body, "snap_start").get("apply_on")) == "PublishedVersions",
        is_packaged_as_image=body.get("package_type") == "Image" or body.get("image_uri") is not None,
    )
    function.log_retention_days, function.log_group = _log(module, resource)
    function.places = {field: resource.at(*keys) for field, keys in _FIELDS.items() if body.get(keys[0]) is not None}
    return function


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _text(module: Module, body: Table, key: str) -> str | Unknown | None:
    found = module.value(body.get(key))
    return found if found is None or isinstance(found, str) else UNKNOWN


def _environment(module: Module, resource: Resource) -> tuple[dict[str, Variable], bool]:
    """Return the variables, and whether there may be more: an expression, or what a module gives."""
    environment = block(resource.body, "environment")
    found = module.value(environment.get("variables"))
    is_dynamic = "environment" in str(resource.body.get("dynamic"))
    if not isinstance(found, dict):
        return {}, is_dynamic or found is UNKNOWN
    names = [name for name in found if name]
    values = {name: found[name] for name in names}
    return {
        name: Variable(
            name,
            str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, (str, int)) else UNKNOWN,
            resource.at("environment", "variables", name),
        )
        for name, value in values.items()
    }, is_dynamic or "" in found


def _code(module: Module, filename: Any) -> Path | None:
    """Return the folder that the module zips, or the existing file."""
    archive = module.target(filename, _ARCHIVE) or _archive_to(module, module.value(filename))
    body = archive.body if archive else Table({"source_dir": filename})
    source = module.value(body.get("source_dir", body.get("source_file")))
    if not isinstance(source, str) or "\0" in source:
        return None
    try:
        found = (module.folder / source).resolve()
        found = found.parent if "source_file" in body or found.suffix == ".py" else found
        return found if found.exists() else None
    except (OSError, RuntimeError):  # a name that is too long, or a loop of links
        return None


def _archive_to(module: Module, path: Any) -> Resource | None:
    """Return the archive that is written to a path."""
    archives = module.of_type(_ARCHIVE).values() if isinstance(path, str) else ()
    return next((each for each in archives if module.value(each.body.get("output_path")) == path), None)


def _layer(module: Module, resource: Resource) -> Layer:
    def names(key: str) -> tuple[str, ...]:
        return tuple(each for each in module.texts(resource.body.get(key)) if isinstance(each, str))

    code = _code(module, resource.body.get("filename"))
    return Layer(resource.name, resource.place, code, names("compatible_runtimes"), names("compatible_architectures"))


def _layers(module: Module, found: Any) -> list[str | Unknown]:
    named = [module.target(each, _LAYER) or module.value(each) for each in row(found)]
    return [each.name if isinstance(each, Resource) else each if isinstance(each, str) else UNKNOWN for each in named]


def _actions(module: Module, reference: Any) -> set[str] | Unknown:
    """Return what a role allows; UNKNOWN if it is of another module, or if another one may add to it."""
    role = module.target(reference, _ROLE)
    if role is None or module.is_given_away(_ROLE, role.name):
        return UNKNOWN
    body = role.body
    parts = [_statements(module, table(each).get("policy")) for each in row(body.get("inline_policy"))]
    parts += [_managed(module, each) for each in row(body.get("managed_policy_arns"))]
    for each in module.of_type("aws_iam_role_policy").values():
        if module.target(each.body.get("role"), _ROLE) is role:
            parts.append(_statements(module, each.body.get("policy")))
    for type in ("aws_iam_role_policy_attachment", "aws_iam_policy_attachment"):
        for each in module.of_type(type).values():
            roles = [*row(each.body.get("role")), *row(each.body.get("roles"))]
            if any(module.target(one, _ROLE) is role for one in roles):
                parts.append(_managed(module, each.body.get("policy_arn")))
    return _iam.union(parts)


def _managed(module: Module, reference: Any) -> set[str] | Unknown:
    own = module.target(reference, "aws_iam_policy")
    return _statements(module, own.body.get("policy")) if own else _iam.managed(module.value(reference))


def _statements(module: Module, document: Any) -> set[str] | Unknown:
    """Return the actions of a policy: jsonencode, a string of JSON, or a document of the data source for them."""
    source = module.target(document, "data.aws_iam_policy_document")
    if source is None:
        allowed = _iam.statements(module.policy(document))
        return UNKNOWN if HOLE in str(allowed) else allowed
    if any(key in source.body for key in ("source_policy_documents", "override_policy_documents", "dynamic")):
        return UNKNOWN
    found = []
    for each in map(table, row(source.body.get("statement"))):
        effect = module.value(_or(each.get("effect"), "Allow"))
        words = {"Effect": effect, "Action": module.value(each.get("actions"))}
        found.append(words | ({"NotAction": []} if "not_actions" in each else {}))
    return _iam.statements({"Statement": found})


def _sources(module: Module, function: Resource) -> list[Source]:
    def own(type: str) -> list[Resource]:
        found = module.of_type(type).values()
        return [each for each in found if module.target(each.body.get("function_name"), _FUNCTION) is function]

    urls = [Source("url", each.place) for each in own("aws_lambda_function_url")]
    return [_source(module, each) for each in own("aws_lambda_event_source_mapping")] + urls


def _source(module: Module, mapping: Resource) -> Source:
    arn = mapping.body.get("event_source_arn")
    queue = module.target(arn, _QUEUE)
    is_queue = queue is not None or ":sqs:" in str(module.value(arn))
    types = module.texts(mapping.body.get("function_response_types"))
    is_open = UNKNOWN in types or module.number(mapping.body.get("batch_size")) == 1  # a batch of one fails as a whole
    reports = "ReportBatchItemFailures" in types or (None if is_open else False)
    if queue is None:
        return Source("sqs" if is_queue else "stream", mapping.place, reports_batch_failures=reports)
    seconds = module.number(_or(queue.body.get("visibility_timeout_seconds"), VISIBILITY))
    return Source("sqs", mapping.place, seconds, queue.at("visibility_timeout_seconds"), reports)


def _egress(module: Module, vpc: Table) -> bool | None:
    """Whether a function in a VPC reaches the internet; None if a subnet, its VPC or its routes are elsewhere."""
    subnets = [module.target(each, "aws_subnet") for each in row(vpc.get("subnet_ids"))]
    if not subnets or None in subnets or module.calls:
        return None
    routes = [each.body for type in ("aws_route", *_TABLES) for each in module.of_type(type).values()]
    if any(module.of_type(type) for type in _EGRESS) or any(way in str(route) for route in routes for way in _ROUTES):
        return True
    vpcs = [module.target(each.body.get("vpc_id"), "aws_vpc") for each in subnets if each]
    associations = module.of_type("aws_route_table_association").values()
    tables = [module.target(each.body.get("route_table_id"), *_TABLES) for each in associations]
    return None if None in (*vpcs, *tables) else False


def _log(module: Module, function: Resource) -> tuple[int | Unknown | None, Place | None]:
    """Return days that the function's log is kept, None for ever, and its log group if that is in the module."""
    if (kept := function.body.get(_terraform_modules.LOG_RETENTION)) is not None:
        return module.number(kept) or None, None
    own = block(function.body, "logging_config").get("log_group")
    names = [f"/aws/lambda/{module.value(function.body.get('function_name'))}"]
    for group in module.of_type("aws_cloudwatch_log_group").values():
        written = group.body.get("name")
        is_own = module.target(own, "aws_cloudwatch_log_group") is group
        if is_own or module.target(written, _FUNCTION) is function or module.value(written) in names:
            days = module.number(_or(group.body.get("retention_in_days"), 0))
            return (None if days == 0 else days), group.place
    return (None if own is None else UNKNOWN), None
