"""Rules on what a handler calls: flushes, and clients of models."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Finding, rule
from ..lookup import PACKAGE, given_in_code, is_traced, modules_of, traced_handlers
from ..model import Function, Place, Project
from ..source import Handler, Module, constants

_SAME = ("agents", "braintrust", "ddtrace", "langfuse", "langsmith", "logfire", "opentelemetry", "posthog")
_SDKS = {**{name: name for name in _SAME}, "sentry_sdk": "sentry"}
"""Packages whose queues the setting `flush` names, with the names."""
_FLUSHES = {"flush", "force_flush", "flush_traces"}
_CLIENTS = {
    *(f"openai.{name}" for name in ("OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI")),
    *(f"anthropic.{name}" for name in ("Anthropic", "AsyncAnthropic")),
}
_TIMEOUT, _RETRIES = 600.0, 2  # the defaults of these clients: seconds of one attempt, and attempts after the first
_LIMITS = {"timeout", "timeout_at", "wait_for", "with_options", "copy", "time_left"}  # calls that may end one earlier

_IN_MODAL = "Create the client once, in a method below @modal.enter(): modules are imported where you deploy, too."


@rule(
    "ZS107",
    "flush-before-return",
    "warning",
    "The caller waits for this flush, and the decorator flushes anyway, after the response where the host allows it.",
    "Remove the call of flush().",
)
def flush_before_return(project: Project) -> Iterator[Finding]:
    """Find calls of our `flush` that are the last thing a traced function does."""
    for one, name, call in _last_calls(project):
        if name == f"{PACKAGE}.flush":
            yield Finding("flush() is called at the end of a traced function", Place(one.module.path, call.lineno))


@rule(
    "ZS108",
    "other-flush-in-handler",
    "warning",
    "The caller waits for the other SDK's backend; if that hangs, the function may time out before it answers.",
    "Remove the call, and name the SDK in the setting flush: its queue is then flushed too, within a time limit.",
)
def other_flush_in_handler(project: Project) -> Iterator[Finding]:
    """Find flushes of other telemetry SDKs in traced functions."""
    for one in traced_handlers(project):
        for name, call in _calls_of(one):
            package = _package(one.module, name)
            if name.rpartition(".")[2] in _FLUSHES and package in _SDKS:
                remedy = f'Remove the call, and set flush=["{_SDKS[package]}"] or ZESPAN_FLUSH={_SDKS[package]}.'
                yield Finding(f"{name}() is called in a traced function", Place(one.module.path, call.lineno), remedy)


@rule(
    "ZS109",
    "sdk-flush-before-return",
    "info",
    "Under the decorator the official SDK's events are sent at the end of the invocation, without this call.",
    "Remove the call when you next change the function.",
)
def sdk_flush_before_return(project: Project) -> Iterator[Finding]:
    """Find flushes of the official SDK in traced functions."""
    for one in traced_handlers(project):
        for name, call in _calls_of(one):
            if name.rpartition(".")[2] == "flush" and name.partition(".")[0] == "zespan":
                yield Finding(f"{name}() is called in a traced function", Place(one.module.path, call.lineno))


@rule(
    "ZS110",
    "client-outlasts-function",
    "warning",
    "If a model call hangs, the function's timeout ends it: the caller gets no answer.",
    "Set timeout and max_retries of the client so that all attempts end in time, or cap_timeouts=True.",
)
def client_outlasts_function(project: Project) -> Iterator[Finding]:
    """Find clients of models whose attempts may take longer than the Lambda function that makes them."""
    for function in project.functions:
        end = function.timeout_s
        if function.host != "aws_lambda" or not isinstance(end, (int, float)) or _is_capped(project, function):
            continue
        for module, call in _clients(project, function):
            seconds, attempts = _longest(call) or (0.0, 0)
            if seconds * attempts > end:
                calls = (
                    f"one attempt of {seconds:g} s outlasts"
                    if attempts == 1
                    else f"{attempts} attempts of {seconds:g} s outlast"
                )
                text = f"{calls} {function.name}, which is ended after {end:g} s"
                yield Finding(text, Place(module.path, call.lineno), function=function.name)


@rule(
    "ZS111",
    "client-in-handler",
    "info",
    "A new client has no open connection: each invocation pays for a TLS handshake, and for creating the client.",
    "Create the client once, at module level.",
)
def client_in_handler(project: Project) -> Iterator[Finding]:
    """Find clients of models that are made in a traced function which is called many times.

    A Worker of Cloudflare has its key, and may connect, only in a request. The module of a workflow on Vercel is
    imported in a sandbox that refuses the client's package.
    """
    for one in traced_handlers(project):
        names = {wrapper.name.rpartition(".")[2] for wrapper in one.wrappers}
        if not names.isdisjoint(("run", "zespan_job", "zespan_cloudflare", "zespan_vercel_step")):
            continue
        for name, call in _calls_of(one):
            if name in _CLIENTS:
                remedy = _IN_MODAL if "zespan_modal" in names else ""
                yield Finding(f"{name}() is made at each call", Place(one.module.path, call.lineno), remedy)


def _is_capped(project: Project, function: Function) -> bool:
    """Whether calls may end before the function does, or the function is not traced."""
    given = given_in_code(project, function)
    is_set = given is None or "cap_timeouts" in given or "ZESPAN_CAP_TIMEOUTS" in function.environment
    return is_set or not is_traced(project, function)


def _clients(project: Project, function: Function) -> Iterator[tuple[Module, ast.Call]]:
    """Yield the clients of models that a function's code makes, but for modules that limit calls in another way."""
    for module in modules_of(project, function):
        if not _LIMITS & {name.rpartition(".")[2] for name, _ in module.calls}:
            yield from ((module, call) for name, call in module.calls if name in _CLIENTS)


def _longest(call: ast.Call) -> tuple[float, int] | None:
    """Return seconds of one attempt of a client, and how many attempts it makes; None if that cannot be told."""
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    known = constants(call)
    if len(given) < len(call.keywords) or any(name not in known for name in given.keys() & {"timeout", "max_retries"}):
        return None
    timeout, retries = known.get("timeout", _TIMEOUT), known.get("max_retries", _RETRIES)
    return (float(timeout), retries + 1) if isinstance(timeout, (int, float)) and isinstance(retries, int) else None


def _calls_of(one: Handler) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls that a function makes itself."""
    for node in ast.walk(one.definition) if one.definition else ():
        if isinstance(node, ast.Call):
            yield one.module.name(node.func), node


def _last_calls(project: Project) -> Iterator[tuple[Handler, str, ast.Call]]:
    """Statements of traced functions that only call something, directly before a `return` or the end."""
    for one in traced_handlers(project):
        for block in _blocks(one.definition) if one.definition else ():
            for index, node in enumerate(block):
                is_last = index + 1 == len(block) or isinstance(block[index + 1], ast.Return)
                if is_last and isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                    yield one, one.module.name(node.value), node.value


def _blocks(definition: ast.AST) -> Iterator[list[ast.stmt]]:
    """Yield every list of statements in a function, but for those of loops, after which it goes on."""
    for node in ast.walk(definition):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and not isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
                yield block


def _package(module: Module, name: str) -> str:
    """Return the package of what is called: its own, or that of the class or function that a variable was made with."""
    first = name.partition(".")[0]
    made = [node for node in module.tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    for node in made:
        if any(isinstance(target, ast.Name) and target.id == first for target in node.targets):
            return module.name(node.value).partition(".")[0]
    return first
