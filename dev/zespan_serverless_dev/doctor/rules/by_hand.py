"""Rules on code that starts telemetry itself: this package by hand, or the official SDK."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from zespan_serverless.settings import READERS

from ..findings import Finding, rule
from ..lookup import PACKAGE, handler_of, is_ours, is_wrapped, modules_of, traced_handlers
from ..model import Function, Place, Project
from ..source import Module


@rule(
    "ZS112",
    "settings-ignored",
    "warning",
    "The first settings of a process apply; different ones of a later decorator are ignored.",
    "Give all settings to init(), or call no init(): the decorator starts the package.",
)
def settings_ignored(project: Project) -> Iterator[Finding]:
    """Find decorators whose settings differ from those of an `init` that runs while the module is imported."""
    for one in traced_handlers(project):
        first = next((call for name, call in _at_import(one.module) if name == f"{PACKAGE}.init"), None)
        if first is None or any(keyword.arg is None for keyword in first.keywords):
            continue
        given = {str(keyword.arg): ast.dump(keyword.value) for keyword in first.keywords}
        for wrapper in filter(is_ours, one.wrappers):
            own = {name: ast.dump(value) for name, value in wrapper.arguments.items() if name not in READERS}
            if own and own != given:
                text = f"{', '.join(own)} of the decorator differ from the settings of init() in line {first.lineno}"
                yield Finding(text, Place(one.module.path, wrapper.node.lineno))


@rule(
    "ZS113",
    "snapstart-by-hand",
    "warning",
    "Without the decorator nothing closes the connection before the snapshot: in every sandbox it is dead.",
    "Use @zespan_lambda, or register shutdown before the snapshot and init after the restore.",
)
def snapstart_by_hand(project: Project) -> Iterator[Finding]:
    """Find functions with SnapStart that start the package themselves, without hooks."""
    for function, module, line in _undecorated(project):
        names = {name for name, _ in module.calls}
        has_hooks = any(name.endswith("register_before_snapshot") for name in names)
        if function.snapstart and f"{PACKAGE}.init" in names and not has_hooks:
            text = f"{function.name} has SnapStart, and calls init() without hooks around the snapshot"
            yield Finding(text, Place(module.path, line), function=function.name)


@rule(
    "ZS114",
    "sdk-started-first",
    "info",
    "Started before this package is imported, the official SDK imports each provider's SDK that is installed.",
    "Import zespan_serverless at the top of the module, before zespan.init() is called.",
)
def sdk_started_first(project: Project) -> Iterator[Finding]:
    """Find modules that call `zespan.init` before they import this package."""
    for module in project.modules:
        ours = [node.lineno for node in module.tree.body if _imports(node, PACKAGE)]
        for name, call in _at_import(module):
            if name == "zespan.init" and ours and call.lineno < min(ours):
                text = f"zespan.init() is called before zespan_serverless is imported in line {min(ours)}"
                yield Finding(text, Place(module.path, call.lineno))


@rule(
    "ZS115",
    "sdk-context-on-async",
    "warning",
    "As a decorator of an async def, the official SDK's with_zespan_context has no effect.",
    "Use with_context of zespan_serverless.",
)
def sdk_context_on_async(project: Project) -> Iterator[Finding]:
    """Find coroutines that the official SDK's context decorates."""
    for module in project.modules:
        for node in module.nodes:
            if isinstance(node, ast.AsyncFunctionDef):
                for decorator in node.decorator_list:
                    if module.name(decorator).startswith("zespan.") and "with_zespan_" in module.name(decorator):
                        text = f"the decorator of the async function {node.name} has no effect"
                        yield Finding(text, Place(module.path, decorator.lineno))


@rule(
    "ZS117",
    "by-hand-without-flush",
    "warning",
    "Without a decorator nothing flushes: Lambda freezes the process, and captured events are late, or lost with it.",
    "Put @zespan_lambda above the handler, or call flush() before it returns.",
)
def by_hand_without_flush(project: Project) -> Iterator[Finding]:
    """Find Lambda functions that call `init`, and neither flush nor have the decorator."""
    for function, module, line in _undecorated(project):
        modules = modules_of(project, function)
        ours = {name.rpartition(".")[2] for one in modules for name, _ in one.calls if name.startswith(f"{PACKAGE}.")}
        if "init" in ours and not ours & {"flush", "shutdown", "run"} and not any(map(_ends_by_itself, modules)):
            text = f"{function.name} calls init(), and never flush()"
            yield Finding(text, Place(module.path, line), function=function.name)


@rule(
    "ZS118",
    "sdk-without-decorator",
    "warning",
    "The official SDK sends on a timer, which stands still while the process is frozen: events are late, or lost.",
    "Add @zespan_lambda, and change nothing else: it delivers the SDK's events.",
)
def sdk_without_decorator(project: Project) -> Iterator[Finding]:
    """Find Lambda functions that use the official SDK alone, and do not flush it."""
    for function, module, line in _undecorated(project):
        modules = modules_of(project, function)
        names = {name for one in modules for name, _ in one.calls}
        is_flushed = any(name.startswith("zespan") and name.rpartition(".")[2] == "flush" for name in names)
        is_alone = any(one.uses("zespan") for one in modules) and not any(one.uses(PACKAGE) for one in modules)
        if is_alone and not is_flushed:
            text = f"{function.name} uses the SDK zespan, and nothing delivers its events in time"
            yield Finding(text, Place(module.path, line), function=function.name)


def _ends_by_itself(module: Module) -> bool:
    """Whether a module has the middleware, which flushes, or `with init():`, which shuts down."""
    blocks = [item.context_expr for node in module.nodes if isinstance(node, ast.With) for item in node.items]
    has_middleware = any(name.endswith(".ZespanMiddleware") for name in module.imports.values())
    return has_middleware or any(module.name(block) == f"{PACKAGE}.init" for block in blocks)


def _undecorated(project: Project) -> Iterator[tuple[Function, Module, int]]:
    """Yield Lambda functions whose handler is known and undecorated, with its module and line."""
    for function in project.functions:
        found = handler_of(project, function) if function.host == "aws_lambda" else None
        if found is not None and not is_wrapped(function) and not any(map(is_ours, found.wrappers)):
            yield function, found.module, found.line


def _at_import(module: Module) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls that are statements of the module itself, in their order."""
    for node in module.tree.body:
        value = node.value if isinstance(node, (ast.Expr, ast.Assign)) else None
        if isinstance(value, ast.Call):
            yield module.name(value), value


def _imports(node: ast.stmt, package: str) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] == package and not node.level
    return isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == package for alias in node.names)
