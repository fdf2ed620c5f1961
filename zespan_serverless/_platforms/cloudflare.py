"""What Cloudflare says about a Python Worker: its bindings, and the headers of a request."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from .._base.guard import Guarded
from .._trace.context import caller_of
from .platform import TEXT_MAX, Platform, RequestFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .platform import Header

_PREFIXES = ("ZESPAN_", "OTEL_", "CARBON_")
"""Of the variables that the settings read."""


class Worker(Platform):
    """A request may go on after its response, if the runtime is asked for it (`waitUntil`)."""

    def facts(self, header: Header) -> RequestFacts:
        ray, data_center = (header("cf-ray") or "")[:TEXT_MAX].partition("-")[::2]

        def attributes() -> Mapping[str, object]:
            return {"cloudflare.ray_id": ray or None, "cloudflare.colo": data_center or None}

        return RequestFacts(parent=caller_of(header), attributes=attributes)


def platform() -> Platform:
    """https://developers.cloudflare.com/workers/observability/traces/spans-and-attributes/."""
    if "workers" not in sys.modules:  # Pyodide in a browser, or in Node
        return Platform()
    return Worker(attributes={"cloud.provider": "cloudflare", "cloud.platform": "cloudflare.workers"})


def adopt_bindings() -> None:
    """Copy those bindings of a Worker into the environment that settings are read from, and that it does not have.

    They are variables and secrets. Not called during import: their values are not known in the snapshot of a Worker.
    """
    workers = sys.modules.get("workers")
    if workers is None:
        return
    with Guarded("the bindings of a Worker"):
        for name, value in _texts(workers.env).items():
            if name.startswith(_PREFIXES):
                os.environ.setdefault(name, value)


def _texts(env: Any) -> dict[str, str]:
    from importlib import import_module

    names = import_module("js").Object.keys(getattr(env, "_env", env))
    return {name: value for name in map(str, names) if isinstance(value := getattr(env, name, None), str)}
