"""Tools for your tests: recordings, stand-ins for contexts, a local backend with faults, a contract for exporters, and
a reset. Each is imported on first use::

    with testing.recording() as events:
        my_handler({"prompt": "hi"}, testing.LambdaContext())
    assert events[-1]["operation"] == "my-function"

`plugin` contains the pytest fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..exporters.memory import MemoryExporter as MemoryExporter
    from ._backend import Backend as Backend
    from ._contexts import AzureContext as AzureContext
    from ._contexts import GoogleContext as GoogleContext
    from ._contexts import LambdaContext as LambdaContext
    from ._contract import ExporterContract as ExporterContract
    from ._http_contract import HttpExporterContract as HttpExporterContract
    from ._normalized import normalized as normalized
    from ._recording import recording as recording
    from ._recording import reset as reset
    from ._tree import tree as tree
else:
    _HOME = {
        "AzureContext": "._contexts",
        "Backend": "._backend",
        "ExporterContract": "._contract",
        "GoogleContext": "._contexts",
        "HttpExporterContract": "._http_contract",
        "LambdaContext": "._contexts",
        "MemoryExporter": "..exporters.memory",
        "normalized": "._normalized",
        "recording": "._recording",
        "reset": "._recording",
        "tree": "._tree",
    }

    def __getattr__(name: str) -> object:
        """Import a public name on first use, because pytest loads the plugin in every test run."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOME[name], __name__), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return __all__


__all__ = [
    "AzureContext",
    "Backend",
    "ExporterContract",
    "GoogleContext",
    "HttpExporterContract",
    "LambdaContext",
    "MemoryExporter",
    "normalized",
    "recording",
    "reset",
    "tree",
]
