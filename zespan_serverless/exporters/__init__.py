"""Where events go. An exporter encodes one event and sends one batch; when, how often and how long, others decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.reports import Dropped, Exporter, Outcome

if TYPE_CHECKING:
    from ..settings import Settings

__all__ = ["Dropped", "Exporter", "Outcome", "build"]


def build(settings: Settings) -> Exporter:
    """The exporter that the settings name."""
    if not isinstance(settings.exporter, str):
        return settings.exporter
    if settings.exporter == "console":
        from .console import ConsoleExporter

        return ConsoleExporter()
    if settings.exporter == "memory":
        from .memory import MemoryExporter

        return MemoryExporter()
    from .zespan import ZespanExporter

    return ZespanExporter(settings.base_url, settings.api_key, settings.api_key_secret)
