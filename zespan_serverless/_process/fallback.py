"""The fallback destination from the setting `fallback`. Imported only if it is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base import log
from .._base.guard import pass_on
from ..exporters.stores import StoreExporter, open_store
from .custom import completed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._base.exporter import Exporter
    from ..settings import Settings


def build_fallback(settings: Settings, exporter: Exporter) -> Exporter | None:
    """Build the fallback for the events of an exporter. Return None, after a log line, if that fails."""
    if settings.fallback is not None and not isinstance(settings.fallback, str):
        return completed(settings.fallback)
    if isinstance(exporter, StoreExporter):
        of: Mapping[str, str] = exporter.of
    else:
        of = _header(settings, exporter)
    try:
        store = open_store(settings.fallback or "")
    except Exception as error:
        pass_on(error)
        log.warn_once("fallback-off", "there is no fallback: %s", log.describe(error))
        return None
    is_named = isinstance(settings.exporter, str)  # then it is a built-in one
    return StoreExporter(store, of, getattr(exporter, "context", None) if is_named else None)


def _header(settings: Settings, exporter: Exporter) -> Mapping[str, str]:
    """Return what the process that sends the events later has to know."""
    kind = type(exporter)
    name = settings.exporter if isinstance(settings.exporter, str) else f"{kind.__module__}.{kind.__qualname__}"
    content_type = str(getattr(exporter, "content_type", "application/json"))
    return {"exporter": name, "content_type": content_type}
