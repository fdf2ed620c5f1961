"""For your tests: record events in a list, stand-ins for contexts, a local backend with faults, tests that any exporter
has to pass, and a reset.

with testing.recording() as events:
    my_handler({"prompt": "hi"}, testing.LambdaContext())
assert events[-1]["operation"] == "my-function"
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

from .. import _base, _observe, _process
from .. import settings as _settings
from .._observe import api
from ..exporters.memory import MemoryExporter
from ._backend import Backend
from ._contexts import AzureContext, GoogleContext, LambdaContext

if TYPE_CHECKING:
    from ._contract import ExporterContract as ExporterContract
    from ._http_contract import HttpExporterContract as HttpExporterContract
else:

    def __getattr__(name: str) -> object:
        """Import the tests of exporters when they are first asked for: they need more than a recording does."""
        if name not in ("ExporterContract", "HttpExporterContract"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import _contract, _http_contract

        return getattr(_contract, name, None) or getattr(_http_contract, name)


__all__ = [
    "AzureContext",
    "Backend",
    "ExporterContract",
    "GoogleContext",
    "HttpExporterContract",
    "LambdaContext",
    "MemoryExporter",
    "recording",
    "reset",
]

_FLUSH = 5.0  # seconds that the end of a recording waits at most for events captured outside of invocations
_recordings: list[dict[str, Any]] = []  # settings of the recordings under way, the latest last


@contextmanager
def recording(**settings: Unpack[_settings.SettingsKwargs]) -> Iterator[list[dict[str, Any]]]:
    """In a `with` block, record the events of decorated functions in a list instead of sending them.

    The list contains the events of each invocation that has ended. After the block it is complete. The settings of each
    function's decorator apply, so a function that sends no prompts records none.

    A process has one telemetry, and so one list at a time: of several recordings, nested or in several threads, the one
    that began last gets the events.

    Args:
        **settings: Settings that take precedence over those of the decorators. Both take precedence over environment
            variables; ZESPAN_ENABLED=0 does not switch a recording off.

    Raises:
        ConfigurationError: A setting does not exist, or its value has the wrong type.
    """
    from .._observe.audience import without_readers

    exporter = MemoryExporter()
    defaults = {"exporter": exporter, "flush_mode": "before_return", "journal": "off"}
    mine = _settings.check({**defaults, **without_readers(settings, "recording")})
    _recordings.append(mine)
    _record(mine)
    try:
        yield exporter.events
    finally:
        if any(settings_of is mine for settings_of in _recordings):  # else `reset()` has ended it
            api.flush(_FLUSH)
            _recordings[:] = [settings_of for settings_of in _recordings if settings_of is not mine]
            _record(_recordings[-1] if _recordings else {})


def _record(settings: dict[str, Any]) -> None:
    _process.override(settings)
    if settings:
        _observe.start({})


def reset() -> None:
    """Reset settings, events, spans, recordings and hosts, as if the package had just been imported.

    Pending events are dropped. Functions stay decorated, and openai stays patched.
    """
    _recordings.clear()
    _process.reset()
    for reset_module in _base.RESETS:
        reset_module()
