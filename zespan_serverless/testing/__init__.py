"""For your tests: a recording of events, stand-ins for contexts, a local backend with faults, and a reset.

with testing.recording() as events:
    my_handler({"prompt": "hi"}, testing.LambdaContext())
assert events[-1]["operation"] == "my-function"
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Unpack

from .. import _base, _observe, _process
from .. import settings as _settings
from .._observe import api
from ..exporters.memory import MemoryExporter
from ._backend import Backend
from ._contexts import AzureContext, GoogleContext, LambdaContext

__all__ = ["AzureContext", "Backend", "GoogleContext", "LambdaContext", "MemoryExporter", "recording", "reset"]

_FLUSH = 5.0  # longest wait in seconds, at the end of a recording, for what has been captured outside of invocations
_recordings: list[dict[str, Any]] = []  # settings of those under way, the latest last


@contextmanager
def recording(**settings: Unpack[_settings.SettingsKwargs]) -> Iterator[list[dict[str, Any]]]:
    """Record events in a list, instead of sending them, for decorated functions that are called in the block.

    The settings of each function's decorator are in force: it records no prompts if it sends none. `settings` prevail
    over those, and both over the environment; ZESPAN_ENABLED=0 does not switch a recording off. The list is complete
    after the block; inside, it has the events of every invocation that has ended.

    A process has one telemetry, and so one list at a time: of several recordings, nested or in several threads, the one
    that began last has the events. Raises ConfigurationError for a setting that does not exist.
    """
    exporter = MemoryExporter()
    given = {"exporter": exporter, "flush_mode": "before_return", "journal": "off", **settings}
    mine = _settings.check(given)
    _recordings.append(mine)
    _record(mine)
    try:
        yield exporter.events
    finally:
        if any(one is mine for one in _recordings):  # else `reset()` has ended it
            api.flush(_FLUSH)
            _recordings[:] = [one for one in _recordings if one is not mine]
            _record(_recordings[-1] if _recordings else {})


def _record(settings: dict[str, Any]) -> None:
    _process.override(settings)
    if settings:
        _observe.start({})


def reset() -> None:
    """Forget settings, events, spans, recordings and hosts, as if the package had just been imported.

    Functions stay decorated, and openai stays patched.
    """
    _recordings.clear()
    _process.reset()
    for undo in _base.RESETS:
        undo()
