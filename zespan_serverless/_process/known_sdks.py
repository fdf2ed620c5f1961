"""Finds the flush functions of the SDKs that the setting `flush` names. Imports and starts none of them.

Looks for them at the beginning of each flush, because a client may have been created since the last one.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..settings._flush import Flushable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Found = Iterable[tuple[Any, str, str]]
    """Owner, method, and the parameter that takes the time that is left."""

_SIGNALS = {
    "opentelemetry.sdk.trace": ("opentelemetry.trace", "get_tracer_provider"),
    "opentelemetry.sdk.metrics": ("opentelemetry.metrics", "get_meter_provider"),
    "opentelemetry.sdk._logs": ("opentelemetry._logs", "get_logger_provider"),
}
"""Maps the SDK's module to the API's module and function that return the process's provider."""


def find(name: str) -> list[Flushable]:
    """Return the functions that flush the SDK of this name; none if it is not imported, or has nothing to flush."""
    found = []
    for owner, method, takes in _FINDERS[name]():
        function = getattr(owner, method, None)
        if callable(function):
            found.append(Flushable(name, function, takes))
    return found


def _opentelemetry() -> Found:
    for sdk, (api, function) in _SIGNALS.items():
        if sdk in sys.modules and api in sys.modules:
            yield getattr(sys.modules[api], function)(), "force_flush", "timeout_millis"


def _langfuse() -> Found:
    """Return the flush of every client of the process, from version 3 on. Older clients have no registry."""
    manager = getattr(_module("langfuse._client.resource_manager"), "LangfuseResourceManager", None)
    for client in list(getattr(manager, "_instances", {}).values()):
        yield client, "flush", ""


def _ddtrace() -> Found:
    yield getattr(_module("ddtrace.trace"), "tracer", None), "flush", ""
    llmobs = getattr(_module("ddtrace.llmobs"), "LLMObs", None)
    if getattr(llmobs, "enabled", False):  # otherwise it logs that it is not
        yield llmobs, "flush", ""


def _attribute(module: str, name: str, method: str, takes: str = "") -> Callable[[], Found]:
    return lambda: [(getattr(_module(module), name, None), method, takes)]


def _function(module: str, method: str, takes: str = "") -> Callable[[], Found]:
    return lambda: [(_module(module), method, takes)]


def _module(name: str) -> Any:
    return sys.modules.get(name)


_FINDERS: dict[str, Callable[[], Found]] = {
    "agents": _attribute("agents.tracing.setup", "GLOBAL_TRACE_PROVIDER", "force_flush"),
    "braintrust": _function("braintrust", "flush"),
    "ddtrace": _ddtrace,
    "langfuse": _langfuse,
    "langsmith": _attribute("langsmith.run_trees", "_CLIENT", "flush", "timeout"),
    "logfire": _function("logfire", "force_flush", "timeout_millis"),
    "opentelemetry": _opentelemetry,
    "posthog": _attribute("posthog", "default_client", "flush", "timeout_seconds"),
    "sentry": _function("sentry_sdk", "flush", "timeout"),
}
