"""Rules on decorators around a handler, of this package and of other tools."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Finding, rule
from ..lookup import LAYER_WRAPPER, PACKAGE, handler_of, is_ours, is_wrapped, modules_of, traced_handlers, value_of
from ..model import Function, Place, Project
from ..source import Handler, Module, Wrapper

_MODELS = ("openai", "anthropic", "mistralai", "cohere", "groq", "litellm", "google.genai")
_BY_HAND = {
    f"{PACKAGE}.{name}" for name in ("init", "run", "task_scope", "asgi.ZespanMiddleware", "wsgi.ZespanMiddleware")
}
_REMEDIES = {
    "aws_lambda": "",
    "alibaba": "Put @zespan_alibaba above the handler.",
    "oracle": "Put @zespan_oracle above the handler.",
    "digitalocean": "Put @zespan_openwhisk above the function.",
    "cog": "Put @zespan_cog above the method that is called, run or predict.",
    "openfaas": "Open task_scope in the handler, as on docs/hosts/kubernetes.md.",
    "knative": "Wrap the method handle in ZespanMiddleware, as on docs/hosts/kubernetes.md.",
}
"""What to do on each host whose handlers are known; empty for what the rule says itself."""

_WEB_ADAPTER = "/opt/bootstrap"
"""AWS's Lambda Web Adapter, whose application has the middleware."""


@rule(
    "ZS101",
    "handler-not-traced",
    "error",
    "Telemetry is traced, and delivered in time, only inside a decorator, a middleware or the layer's wrapper.",
    "Put @zespan_lambda above the handler, or set AWS_LAMBDA_EXEC_WRAPPER=/opt/zespan/wrapper with the layer.",
)
def handler_not_traced(project: Project) -> Iterator[Finding]:
    """Find handlers that are meant to be traced, and are not."""
    for function in project.functions:
        found = handler_of(project, function)
        if function.host not in _REMEDIES or found is None or is_wrapped(function) or _is_decorated(found):
            continue
        modules = modules_of(project, function)
        wants_it = found.module.uses(PACKAGE) or (_has_variable(function) and any(map(_calls_models, modules)))
        if wants_it and not any(map(_traces_otherwise, modules)):
            text = f"nothing traces the handler of {function.name}"
            yield Finding(text, Place(found.module.path, found.line), _REMEDIES[function.host], function.name)


def _is_decorated(found: Handler) -> bool:
    """Whether a handler, or a method of a handler that is a class, has a decorator of the package."""
    if not isinstance(found.definition, ast.ClassDef):
        return any(map(is_ours, found.wrappers))
    inside = [one for one in found.module.decorated if one.definition in found.definition.body]
    return any(is_ours(wrapper) for one in (found, *inside) for wrapper in one.wrappers)


def _has_variable(function: Function) -> bool:
    return any(name.startswith("ZESPAN_") for name in function.environment)


def _calls_models(module: Module) -> bool:
    return any(map(module.uses, _MODELS))


def _traces_otherwise(module: Module) -> bool:
    """Whether a module starts the package by hand, or calls its decorator in a way that is not understood here."""
    names = {module.name(node) for node in module.nodes if isinstance(node, (ast.Name, ast.Attribute))}
    return bool(names & _BY_HAND) or any(name.startswith(f"{PACKAGE}.zespan_") for name in names - _decorators(module))


def _decorators(module: Module) -> set[str]:
    """Return the names of decorators that are used as such in a module, and nowhere else."""
    as_decorator = [
        module.name(decorator)
        for node in module.nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        for decorator in node.decorator_list
    ]
    uses = [module.name(node) for node in module.nodes if isinstance(node, (ast.Name, ast.Attribute))]
    return {name for name in as_decorator if uses.count(name) == as_decorator.count(name)}


@rule(
    "ZS102",
    "durable-execution-outside",
    "warning",
    "Inside @durable_execution the decorator does not see how an invocation ends.",
    "Put @zespan_lambda above @durable_execution.",
)
def durable_execution_outside(project: Project) -> Iterator[Finding]:
    """Find handlers with @durable_execution above our decorator."""
    for one, above, _ in _around(project):
        if "durable_execution" in above:
            yield Finding("@durable_execution is above the decorator that traces", _place(one))


@rule(
    "ZS103",
    "logger-inside-async",
    "error",
    "Below @zespan_lambda, inject_lambda_context returns the coroutine of an async handler, which nobody awaits.",
    "Put @logger.inject_lambda_context above @zespan_lambda.",
)
def logger_inside_async(project: Project) -> Iterator[Finding]:
    """Find Powertools' Logger between our decorator and an `async def`."""
    for one, _, below in _around(project):
        if "inject_lambda_context" in below and isinstance(one.definition, ast.AsyncFunctionDef):
            yield Finding("inject_lambda_context is between the decorator and an async def", _place(one))


@rule(
    "ZS104",
    "answered-outside",
    "info",
    "A call that a decorator above @zespan_lambda answers or refuses does not reach it, and has no event.",
    "Put @zespan_lambda on top if you want events of such calls.",
)
def answered_outside(project: Project) -> Iterator[Finding]:
    """Find decorators above ours that may answer a call themselves."""
    for one, above, _ in _around(project):
        for name in sorted({"idempotent", "event_parser", "validator"} & above):
            yield Finding(f"calls that @{name} answers or refuses have no event", _place(one))


@rule(
    "ZS105",
    "between-datadog",
    "warning",
    "Between two Datadog wrappers, @zespan_lambda hides one from the other, and Datadog counts the invocation twice.",
    "Put @zespan_lambda next to the handler, or remove one of the Datadog wrappers.",
)
def between_datadog(project: Project) -> Iterator[Finding]:
    """Find handlers that Datadog wraps inside and outside of our decorator."""
    for one, above, below in _around(project):
        if "datadog_lambda_wrapper" in above & below:
            yield Finding("the decorator is between two Datadog wrappers", _place(one))
    for function in project.functions:
        found = handler_of(project, function) if value_of(function, "DD_LAMBDA_HANDLER") else None
        if found is not None and "datadog_lambda_wrapper" in _split(found)[1]:
            text = f"the decorator of {function.name} is between DD_LAMBDA_HANDLER and datadog_lambda_wrapper"
            yield Finding(text, _place(found), function=function.name)


@rule(
    "ZS106",
    "other-exec-wrapper",
    "error",
    "A function has one AWS_LAMBDA_EXEC_WRAPPER: if it is another tool's, the layer traces nothing.",
    "Set the handler to zespan_serverless.aws_lambda.auto.handler, and ZESPAN_LAMBDA_HANDLER to the one it was.",
)
def other_exec_wrapper(project: Project) -> Iterator[Finding]:
    """Find functions with our layer whose wrapper is another tool's."""
    for function in project.functions:
        path = value_of(function, "AWS_LAMBDA_EXEC_WRAPPER")
        has_layer = any("zespan" in layer.lower() for layer in function.layers if isinstance(layer, str))
        if not path or path == LAYER_WRAPPER or not has_layer or is_wrapped(function):
            continue
        found = handler_of(project, function)
        is_decorated = found is not None and any(map(is_ours, found.wrappers))
        if not is_decorated and path != _WEB_ADAPTER and not any(map(_traces_otherwise, modules_of(project, function))):
            place = function.environment["AWS_LAMBDA_EXEC_WRAPPER"].place
            yield Finding(f"the wrapper of {function.name} is {path}, not the layer's", place, function=function.name)


@rule(
    "ZS116",
    "function-not-traced",
    "info",
    "An invocation without the decorator has no event, and each of its model calls is in a trace of its own.",
    "Put the decorator on this function, too.",
)
def function_not_traced(project: Project) -> Iterator[Finding]:
    """Find functions of Azure and Google Cloud without our decorator in modules where others have it."""
    for module in project.modules:
        found = [one for one in module.decorated if any(map(_is_hosts, one.wrappers))]
        if any(is_ours(wrapper) for one in found for wrapper in one.wrappers):
            for one in found:
                if not any(map(is_ours, one.wrappers)) and one.definition is not None:
                    yield Finding(f"nothing traces {one.definition.name}", Place(module.path, one.line))


def _is_hosts(wrapper: Wrapper) -> bool:
    """Whether a decorator makes a function one of Azure's or Google Cloud's."""
    first, _, rest = wrapper.name.partition(".")
    if rest in ("orchestration_trigger", "entity_trigger"):  # which are replayed, and cannot be traced
        return False
    return first == "functions_framework" or (first == "app" and (rest == "route" or rest.endswith("_trigger")))


def _around(project: Project) -> Iterator[tuple[Handler, set[str], set[str]]]:
    """Yield each handler with our decorator, and the last parts of the names of decorators above and below it."""
    for one in traced_handlers(project):
        if any(map(is_ours, one.wrappers)):
            yield one, *_split(one)


def _split(one: Handler) -> tuple[set[str], set[str]]:
    names = [wrapper.name.rpartition(".")[2] for wrapper in one.wrappers]
    ours = [index for index, wrapper in enumerate(one.wrappers) if is_ours(wrapper)]
    return (set(names[: ours[0]]), set(names[ours[-1] + 1 :])) if ours else (set(), set())


def _place(one: Handler) -> Place:
    """Return the line of our decorator."""
    line = next((wrapper.node.lineno for wrapper in one.wrappers if is_ours(wrapper)), one.line)
    return Place(one.module.path, line)
