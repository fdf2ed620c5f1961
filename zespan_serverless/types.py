"""Types for the annotations of your own code. Each is imported when it is first used.

from zespan_serverless.types import Dropped

def alert(dropped: Dropped) -> None: ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._base.reports import Dropped as Dropped
    from ._base.reports import FlushReport as FlushReport
    from ._base.reports import Outcome as Outcome
    from ._observe.api import Session as Session
    from ._record.record import Record as Record
    from .exporters import Event as Event
    from .exporters import Exporter as Exporter
    from .jobs import Run as Run
    from .settings import Settings as Settings
    from .settings import SettingsKwargs as SettingsKwargs

else:
    _HOME = {
        "Dropped": "_base.reports",
        "Event": "exporters",
        "Exporter": "exporters",
        "FlushReport": "_base.reports",
        "Outcome": "_base.reports",
        "Record": "_record.record",
        "Run": "jobs",
        "Session": "_observe.api",
        "Settings": "settings",
        "SettingsKwargs": "settings",
    }

    __all__ = [*_HOME]  # noqa: PLE0604

    def __getattr__(name: str) -> object:
        """Import a type from its module when it is first used."""
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__package__}.{home}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return __all__
