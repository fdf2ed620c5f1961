"""The Cloud Run services and functions of a module of Terraform (hashicorp/google)."""

from __future__ import annotations

from typing import Any

from ..model import UNKNOWN, Function, Unknown, Variable
from ._documents import row, table
from ._hcl import Module, Resource, block

_SERVICE, _FUNCTION = "google_cloud_run_v2_service", "google_cloudfunctions2_function"


def functions(module: Module) -> list[Function]:
    return [
        *(_service(module, resource) for resource in module.of_type(_SERVICE).values()),
        *(_run_function(module, resource) for resource in module.of_type(_FUNCTION).values()),
    ]


def _service(module: Module, resource: Resource) -> Function:
    template = block(resource.body, "template")
    container = block(template, "containers")
    resources = block(container, "resources")
    is_idle = module.value(resources.get("cpu_idle", not resources))  # the provider's default
    function = Function(resource.name, "google_cloud", resource.place)
    function.timeout_s = _seconds(module.value(template.get("timeout", "300s")))
    function.has_cpu_after_response = None if is_idle is UNKNOWN else not is_idle
    function.environment_is_partial = "env" in str(container.get("dynamic"))
    for each in map(table, row(container.get("env"))):
        name = module.value(each.get("name"))
        if isinstance(name, str):
            place = resource.at("template", "containers", "env")
            function.environment[name] = Variable(name, _text(module.value(each.get("value", UNKNOWN))), place)
    return function


def _run_function(module: Module, resource: Resource) -> Function:
    config = block(resource.body, "service_config")
    function = Function(resource.name, "google_cloud", resource.place, has_cpu_after_response=False)
    function.timeout_s = module.number(config.get("timeout_seconds", 60))
    found = module.value(config.get("environment_variables"))
    function.environment_is_partial = found is UNKNOWN or "" in table(found)
    for name, value in table(found).items():
        if name:
            place = resource.at("service_config", "environment_variables", name)
            function.environment[name] = Variable(name, _text(value), place)
    for each in map(table, row(config.get("secret_environment_variables"))):
        if isinstance(each.get("key"), str):
            place = resource.at("service_config", "secret_environment_variables")
            function.environment[each["key"]] = Variable(each["key"], UNKNOWN, place)
    return function


def _text(value: Any) -> str | Unknown:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else UNKNOWN


def _seconds(value: Any) -> float | Unknown:
    """Return a duration as Google writes it, "300s"."""
    text = value.removesuffix("s") if isinstance(value, str) else ""
    return float(text) if text.isdecimal() and len(text) < 7 else UNKNOWN
