"""Types for the annotations of your own code. Each is imported when it is first used.

This is a function for `on_error`::

    from zespan_serverless.types import Dropped

    def alert(dropped: Dropped) -> None: ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._base.other_flush import OtherFlush as OtherFlush
    from ._base.reports import Dropped as Dropped
    from ._base.reports import FlushReport as FlushReport
    from ._base.reports import Outcome as Outcome
    from ._observe.api import Session as Session
    from ._observe.model_span import ModelSpan as ModelSpan
    from ._observe.steps import AgentSpan as AgentSpan
    from ._observe.steps import GeneralSpan as GeneralSpan
    from ._observe.steps import HandoffSpan as HandoffSpan
    from ._observe.steps import PlanningSpan as PlanningSpan
    from ._observe.steps import RetrieverSpan as RetrieverSpan
    from ._observe.steps import ToolSpan as ToolSpan
    from ._record.record import Record as Record
    from .exporters import Event as Event
    from .exporters import Exporter as Exporter
    from .exporters.fields import EventFields as EventFields
    from .jobs import Run as Run
    from .settings import Settings as Settings
    from .settings import SettingsKwargs as SettingsKwargs
    from .tasks import Task as Task

else:
    _HOME = {
        "AgentSpan": "_observe.steps",
        "Dropped": "_base.reports",
        "Event": "exporters",
        "EventFields": "exporters.fields",
        "Exporter": "exporters",
        "FlushReport": "_base.reports",
        "GeneralSpan": "_observe.steps",
        "HandoffSpan": "_observe.steps",
        "ModelSpan": "_observe.model_span",
        "OtherFlush": "_base.other_flush",
        "Outcome": "_base.reports",
        "PlanningSpan": "_observe.steps",
        "Record": "_record.record",
        "RetrieverSpan": "_observe.steps",
        "Run": "jobs",
        "Session": "_observe.api",
        "Settings": "settings",
        "SettingsKwargs": "settings",
        "Task": "tasks",
        "ToolSpan": "_observe.steps",
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
