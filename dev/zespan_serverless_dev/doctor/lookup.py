"""Answers that several rules need: the code of a function, its environment, and whether it is traced."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zespan_serverless._base.log import logger

from .model import Function, Project, Variable
from .source import Handler, Module, Wrapper, handler

PACKAGE = "zespan_serverless"
AUTOMATIC = "zespan_serverless.aws_lambda.auto.handler"
"""The handler that calls the one in ZESPAN_LAMBDA_HANDLER."""
_INDIRECT = {
    AUTOMATIC: "ZESPAN_LAMBDA_HANDLER",
    "datadog_lambda.handler.handler": "DD_LAMBDA_HANDLER",
    "newrelic_lambda_wrapper.handler": "NEW_RELIC_LAMBDA_HANDLER",
}
"""Handlers of tools, with the variable that names the user's handler."""
LAYER_WRAPPER = "/opt/zespan/wrapper"
"""The script of the layer, which does the same for AWS_LAMBDA_EXEC_WRAPPER."""

_STAND_INS = {
    "ZESPAN_BASE_URL": "https://unknown.invalid",
    "ZESPAN_API_KEY": "zsp_unknown",
    "ZESPAN_API_KEY_SECRET": "ssm:/unknown",
    "ZESPAN_EXPORTER": "console",
}


def variables(project: Project) -> Iterator[Variable]:
    """Yield every variable, including those without a function."""
    for function in project.functions:
        yield from function.environment.values()
    yield from project.variables


def value_of(function: Function, name: str) -> str:
    """Return the value of a function's variable; empty if it is not set, or known only at deployment."""
    variable = function.environment.get(name)
    return variable.value.strip() if variable and isinstance(variable.value, str) else ""


def environ_of(function: Function) -> dict[str, str]:
    """Return a function's environment, with plausible values instead of those known only at deployment."""
    environ: dict[str, str] = {}
    for name, variable in function.environment.items():
        environ[name] = variable.value if isinstance(variable.value, str) else _STAND_INS.get(name, "unknown")
    return environ


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the package's log lines about values, which a rule reports."""
    is_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = is_disabled


def modules_of(project: Project, function: Function) -> list[Module]:
    """Return the code of a function: what its handler's module imports, or all that is in its folder."""
    if function.code is None:
        return []
    root = function.code.resolve()
    inside = {module.file: module for module in project.modules if module.file.is_relative_to(root)}
    first = handler_module(project, function)
    if first is None:
        return list(inside.values())
    found, waiting = {first.file: first}, [first]
    while waiting:
        for path in waiting.pop().imported_files(root) & inside.keys() - found.keys():
            found[path] = inside[path]
            waiting.append(inside[path])
    return [found[path] for path in inside if path in found]


def handler_of(project: Project, function: Function) -> Handler | None:
    """Return the function that the platform calls, or that a tool's own handler calls; None if that is unknown."""
    module = handler_module(project, function)
    return handler(module, _handler_name(function).rpartition(".")[2]) if module else None


def _handler_name(function: Function) -> str:
    name = function.handler if isinstance(function.handler, str) else ""
    return value_of(function, _INDIRECT[name]) if name in _INDIRECT else name


def handler_module(project: Project, function: Function) -> Module | None:
    """Return the module with the function that the platform calls; None if it is unknown, or not there."""
    path = _handler_name(function).rpartition(".")[0]
    if function.code is None or not path:
        return None
    stem = function.code.joinpath(*path.replace(".", "/").split("/"))
    try:
        files = {Path(f"{stem}.py").resolve(), (stem / "__init__.py").resolve()}
    except (OSError, ValueError):  # a name that is too long, or has a null
        return None
    return next((module for module in project.modules if module.file in files), None)


def traced_handlers(project: Project) -> Iterator[Handler]:
    """Return every function that a decorator of the package, its layer or its own handler traces."""
    seen: set[ast.AST] = set()
    configured = ((handler_of(project, function), is_wrapped(function)) for function in project.functions)
    decorated = ((one, False) for module in project.modules for one in module.decorated)
    for one, is_traced_outside in (*decorated, *configured):
        if one is None or one.definition is None or one.definition in seen:
            continue
        if is_traced_outside or any(map(is_ours, one.wrappers)):
            seen.add(one.definition)
            yield one


def is_wrapped(function: Function) -> bool:
    """Whether the package traces it without a change to its code."""
    return function.handler == AUTOMATIC or value_of(function, "AWS_LAMBDA_EXEC_WRAPPER") == LAYER_WRAPPER


def is_ours(wrapper: Wrapper) -> bool:
    """Whether a decorator, or what is called around a function, is one of the package's that trace."""
    last = wrapper.name.rpartition(".")[2]
    is_tracer = last.startswith("zespan_") or last in ("run", "ZespanMiddleware")
    return is_tracer and wrapper.name.startswith(f"{PACKAGE}.")


def is_traced(project: Project, function: Function) -> bool:
    """Whether the project enables telemetry for this function, in its code or in how it is started."""
    return is_wrapped(function) or any(module.uses(PACKAGE) for module in modules_of(project, function))


def given_in_code(project: Project, function: Function) -> set[str] | None:
    """Return the settings that a function's code gives to the package, or the official SDK. None: any."""
    names: set[str] = set()
    for module in modules_of(project, function):
        for name, call in module.calls:
            if not (name.startswith("zespan") or "ZespanMiddleware" in _positional(module, call)):
                continue
            if any(keyword.arg is None for keyword in call.keywords):
                return None
            names |= {keyword.arg for keyword in call.keywords if keyword.arg}
    return names


def _positional(module: Module, call: ast.Call) -> str:
    """Return the names of a call's positional arguments, as in `app.add_middleware(ZespanMiddleware, ...)`."""
    return " ".join(module.name(argument) for argument in call.args)
