"""Reads Terraform: files in HCL or JSON, and plans as `terraform show -json` prints them, with values resolved."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..model import UNKNOWN, Place, Project
from . import _files, _terraform_aws, _terraform_google
from ._documents import Table, parse_json, row, table
from ._hcl import Module, Resource, parse


def read(root: Path, project: Project) -> None:
    """Add the functions of every folder with Terraform's files, and of every plan."""
    modules: dict[Path, Module] = {}

    def add(file: Path, content: str) -> bool:
        if file.name.endswith((".tf", ".tf.json")):
            document = parse_json(content) if file.suffix == ".json" else parse(content)
            modules.setdefault(file.parent, Module(file.parent)).add(table(document), file)
            return True
        if file.suffix == ".tfvars":
            modules.setdefault(file.parent, Module(file.parent)).given |= parse(content)
            return True
        if '"planned_values"' not in content:
            return False
        _add(project, _planned(table(parse_json(content)), file))
        return True

    _files.each(project, root, ("*.tf", "*.tf.json", "terraform.tfvars", "*.auto.tfvars", "*.json"), add)
    for module in modules.values():
        _add(project, module)


def _add(project: Project, module: Module) -> None:
    project.functions += [*_terraform_aws.functions(module), *_terraform_google.functions(module)]
    project.layers |= _terraform_aws.layers(module)


def _planned(plan: Table, file: Path) -> Module:
    """Return a plan as a module: values known only after the deployment are references to their sources.

    https://developer.hashicorp.com/terraform/internals/json-format
    """
    module = Module(file.parent)
    root = table(table(plan.get("planned_values")).get("root_module"))
    configured = table(table(plan.get("configuration")).get("root_module"))
    pending = [(root, configured)]
    while pending:
        values, written = pending.pop()
        expressions = {(each.get("type"), each.get("name")): each for each in map(table, row(written.get("resources")))}
        for each in map(table, row(values.get("resources"))):
            type, name = str(each.get("type")), str(each.get("name"))
            body = table(_hidden(each.get("values"), each.get("sensitive_values")))
            _refer(body, table(table(expressions.get((type, name))).get("expressions")))
            prefix = "data." if each.get("mode") == "data" else ""
            module.resources.setdefault(prefix + type, {})[name] = Resource(name, body, Place(file))
        calls = table(written.get("module_calls"))
        for child in map(table, row(values.get("child_modules"))):
            called = str(child.get("address")).rsplit(".", 1)[-1].split("[")[0]
            pending.append((child, table(table(calls.get(called)).get("module"))))
    return module


def _hidden(values: Any, sensitive: Any) -> Any:
    """Return values without those that Terraform calls sensitive: a plan has all of them in plain text."""
    if sensitive is True:
        return UNKNOWN
    if isinstance(values, list) and isinstance(sensitive, list):
        return [_hidden(value, mark) for value, mark in zip_longest(values, sensitive[: len(values)])]
    if isinstance(values, dict) and isinstance(sensitive, dict):
        return Table({key: _hidden(value, sensitive.get(key)) for key, value in values.items()})
    return values


def _refer(body: Table, expressions: Any) -> None:
    """Put the references of expressions where a plan has no values."""
    for name, expression in expressions.items():
        if isinstance(expression, list):
            inner = row(body.get(name))
            for index, each in enumerate(expression):
                if index < len(inner) and isinstance(inner[index], Table) and isinstance(each, dict):
                    _refer(inner[index], each)
        elif body.get(name) is None and isinstance(expression, dict):
            body[name] = "".join(f"${{{each}}}" for each in row(expression.get("references")))
