"""Answers for rules on deployment files: which functions should be traced, and how much time a flush needs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from zespan_serverless.settings import resolve

from .lookup import environ_of, given_in_code, is_traced, modules_of, quiet
from .model import Function, Host, Place, Project
from .source import Module

FORWARDER = "zespan_serverless.aws_lambda.forwarder.handler"
_OURS = "zespan"
CALL_MODELS = re.compile(
    r"(openai|anthropic|mistralai|cohere|groq|litellm|google|langchain\w*|langgraph|llama_index|crewai|agents"
    r"|pydantic_ai|strands|dspy|autogen\w*|haystack|instructor|smolagents)(\.|$)"
)


def concerned(project: Project, *hosts: Host) -> Iterator[Function]:
    """Return the functions on these hosts that are or should be traced, without those in other languages."""
    for function in project.functions:
        runs_python = not isinstance(function.runtime, str) or function.runtime.startswith(("python", "provided"))
        if function.host in hosts and runs_python and _is_meant(project, function):
            yield function


def _is_meant(project: Project, function: Function) -> bool:
    has_variable = any(name.startswith("ZESPAN_") for name in function.environment)
    return has_variable or bool(own_layers(function)) or _is_own(function) or is_traced(project, function)


def _is_own(function: Function) -> bool:
    return isinstance(function.handler, str) and function.handler.startswith("zespan_serverless.")


def own_layers(function: Function) -> list[str]:
    """Return the layers of a function that have this package, judging by their names."""
    return [layer for layer in function.layers if isinstance(layer, str) and _OURS in layer.lower()]


def flush_needs(project: Project, function: Function) -> float | None:
    """Return seconds that a flush needs at the end: `flush_timeout` and `flush_reserve`; None if code may set them to
    anything."""
    given = given_in_code(project, function)
    if given is None or given & {"flush_timeout", "flush_reserve"}:
        return None
    with quiet():
        settings = resolve({}, environ_of(function))
    return float(settings.flush_timeout + settings.flush_reserve)


def may_call_models(project: Project, function: Function) -> bool:
    """Whether a function's code imports a client of models, or a package that may use one; true if its code is
    unknown."""
    modules = modules_of(project, function)
    imports = [name for module in modules for name in module.imports.values()]
    uses_bedrock = "boto3" in imports and any(map(_names_bedrock, modules))
    return not modules or uses_bedrock or any(map(CALL_MODELS.match, imports))


def _names_bedrock(module: Module) -> bool:
    """Whether a text in a module names Amazon Bedrock, of which boto3 makes a client by its name."""
    return any(isinstance(node, ast.Constant) and "bedrock" in str(node.value) for node in module.nodes)


def place_of(function: Function, field: str) -> Place:
    """Return where a field of a function is written, or else the function."""
    return function.places.get(field, function.place)


def calls_with(project: Project, function: Function, keyword: str, value: object) -> bool:
    """Whether any call in the function's code has this keyword with this constant."""
    return any(
        each.arg == keyword and getattr(each.value, "value", None) == value
        for module in modules_of(project, function)
        for _, call in module.calls
        for each in call.keywords
    )
