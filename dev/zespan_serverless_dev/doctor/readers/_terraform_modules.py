"""Reads calls of the module terraform-aws-modules/lambda/aws, with which many projects define their functions.

https://registry.terraform.io/modules/terraform-aws-modules/lambda/aws
"""

from __future__ import annotations

from typing import Any

from ._documents import Row, Table, row
from ._hcl import Module, Resource

LOG_RETENTION = "cloudwatch_logs_retention_in_days"
_SOURCE = "terraform-aws-modules/lambda/aws"
_BLOCKS = {"vpc_subnet_ids": ("vpc_config", "subnet_ids"), "environment_variables": ("environment", "variables")}
"""Arguments of the module, with the block and the attribute of the resource that they become."""


def functions(module: Module) -> list[Resource]:
    """Return each call that makes a function, as the resource `aws_lambda_function` that the module makes of it."""
    calls = [call for call in module.of_type("module").values() if _SOURCE in str(call.body.get("source"))]
    return [_resource(module, call) for call in calls if _makes_function(module, call.body)]


def _makes_function(module: Module, body: Table) -> bool:
    is_wanted = all(module.value(body.get(name, True)) is not False for name in ("create", "create_function"))
    return is_wanted and module.value(body.get("create_layer", False)) is not True


def _resource(module: Module, call: Resource) -> Resource:
    body = Table({name: value for name, value in call.body.items() if name not in _BLOCKS})
    body.lines = dict(call.body.lines)
    for name, (block, attribute) in _BLOCKS.items():
        if name in call.body:
            body[block] = Row([Table({attribute: call.body[name]})])
    body["filename"] = _code(call.body.get("source_path"))
    body.pop("role", None)  # the module makes the role, of many arguments: what it allows is not known
    return Resource(call.name, body, call.place)


def _code(source: Any) -> Any:
    """Return the folder of a function's code, of the forms that `source_path` may have."""
    first = row(source)[0] if isinstance(source, list) and source else source
    return first.get("path") if isinstance(first, dict) else first
