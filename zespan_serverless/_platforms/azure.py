"""Facts about an app on Azure Functions: from its environment, its host.json, and an invocation's context."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._base import Value
from .._base.guard import pass_on
from .._trace.context import caller_of
from .platform import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._trace.context import Caller
    from .platform import RequestFacts

_WORKERS = ("azure_functions_runtime", "azure_functions_runtime_v1", "azure_functions_worker", "proxy_worker")
_TIMEOUT, _ROOT = "AzureFunctionsJobHost__functionTimeout", "AzureWebJobsScriptRoot"
_FOLDERS_UP = 4  # from a function's file up to host.json: `bp/chat/functions.py` needs two
_SITE = "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Web/sites/{}"


class App(Value):
    """Contents of host.json. `timeout`: seconds that an invocation may take; None if unknown or unlimited."""

    __slots__ = ("route_prefix", "timeout")

    def __init__(self, timeout: float | None = None, route_prefix: str = "api") -> None:
        self.timeout = timeout
        self.route_prefix = route_prefix


def platform() -> Platform:
    """Return the worker of an app, which keeps running after a request."""
    return Platform(full_name(""), attributes(""), timeout=app().timeout)


def request_facts(extensions: Mapping[str, Any], facts: RequestFacts) -> RequestFacts:
    """Return what azure.functions' AsgiFunctionApp or WsgiFunctionApp passes about the invocation of a request.

    `extensions` is an ASGI scope or a WSGI environ, `facts` comes from the headers.
    """
    function, id = extensions.get("azure_functions.function_name"), extensions["azure_functions.invocation_id"]
    name = function if isinstance(function, str) else ""
    host = parent(extensions.get("azure_functions.trace_context"))
    if host is not None and facts.parent is not None:  # the host does not forward baggage, but the header is there
        host = host.replaced(baggage=facts.parent.baggage)
    return facts.replaced(
        id=id if isinstance(id, str) else None,
        parent=host or facts.parent,
        attributes=lambda: {**facts.attributes(), **attributes(name)},
        name=full_name(name),
    )


def in_worker() -> bool:
    """Whether this process is a Python worker of Azure Functions, and not a test or a build."""
    return any(name in sys.modules for name in _WORKERS)


def full_name(function: str) -> str:
    """Return `APP/FUNCTION`, OpenTelemetry's `faas.name` for Azure, or without an app the function's name."""
    app = os.environ.get("WEBSITE_SITE_NAME", "")
    return "/".join(part for part in (app, function) if part)


def attributes(function: str) -> dict[str, object]:
    """Return OpenTelemetry's attributes of the cloud and of one function. Values that the environment lacks are None.

    WEBSITE_OWNER_NAME is `SUBSCRIPTION+WEBSPACE`. The resource group has its own variable; without it the resource id
    is unknown. https://learn.microsoft.com/azure/app-service/reference-app-settings
    """
    environ = os.environ
    site, group = environ.get("WEBSITE_SITE_NAME"), environ.get("WEBSITE_RESOURCE_GROUP")
    subscription = environ.get("WEBSITE_OWNER_NAME", "").partition("+")[0]
    memory = environ.get("WEBSITE_MEMORY_LIMIT_MB", "")
    resource = _SITE.format(subscription, group, site) if subscription and group and site else None
    return {
        "cloud.provider": "azure",
        "cloud.platform": "azure.functions",
        "cloud.region": environ.get("REGION_NAME"),
        "cloud.account.id": subscription or None,
        "cloud.resource_id": f"{resource}/functions/{function}" if resource and function else resource,
        "faas.instance": environ.get("WEBSITE_INSTANCE_ID") or environ.get("CONTAINER_NAME"),
        "faas.max_memory": int(memory) * 1_048_576 if memory.isdecimal() else None,
    }


def parent(trace_context: object) -> Caller | None:
    """Return the span that the host has created for an invocation, in the caller's trace."""
    fields = {"traceparent": "trace_parent", "tracestate": "trace_state"}
    return caller_of(lambda name: getattr(trace_context, fields.get(name, ""), None))


def app(folder: str = "") -> App:
    """Return the host.json of the app that a function in `folder` belongs to. Never raises.

    The default of `functionTimeout` depends on the plan, which a worker cannot detect: without the setting the limit is
    unknown. An app setting overrides the file. https://learn.microsoft.com/azure/azure-functions/functions-host-json
    """
    content = _host_json(folder)
    text = os.environ.get(_TIMEOUT) or content.get("functionTimeout")
    prefix: Any = content
    for key in ("extensions", "http", "routePrefix"):
        prefix = prefix.get(key) if isinstance(prefix, dict) else None
    return App(seconds(text), prefix if isinstance(prefix, str) else App().route_prefix)


def seconds(text: object) -> float | None:
    """Convert a .NET time span, `[d.]hh:mm[:ss]`, to seconds. None for `-1` (unlimited), and for anything else."""
    parts = text.strip().split(":") if isinstance(text, str) else []
    if len(parts) not in (2, 3):
        return None
    days, _, hours = parts[0].rpartition(".")
    try:
        total = float(days or 0) * 86_400 + float(hours) * 3600 + float(parts[1]) * 60 + float((*parts, "0")[2])
    except ValueError:
        return None
    return total if 0 < total < float("inf") else None


def _host_json(folder: str) -> Mapping[str, Any]:
    near = Path(folder) if folder else Path.cwd()
    folders = [near, *list(near.parents)[:_FOLDERS_UP]]
    root = os.environ.get(_ROOT)
    for candidate in ([Path(root)] if root else []) + folders:
        try:
            content = json.loads((candidate / "host.json").read_text("utf-8-sig"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:  # unreadable, or with comments, which Azure allows
            pass_on(error)
            return {}
        return content if isinstance(content, dict) else {}
    return {}
