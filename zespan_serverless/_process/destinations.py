"""Several destinations: a delivery for each exporter in the settings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .._base import log
from .._base.guard import pass_on
from .._delivery.several import Several
from ..settings import OTLP_EXPORTERS
from ..settings.exporters import destination_of, name_of

if sys.platform == "emscripten":
    from .._delivery.in_loop import LoopDelivery as Delivery
else:
    from .._delivery.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._base.exporter import Exporter
    from .._delivery.journal import Journal
    from ..settings import Settings

    Build = Callable[[Settings], Exporter]
    JournalOf = Callable[[Settings, Exporter], Journal | None]
    FallbackOf = Callable[[Settings, Exporter], Exporter | None]


def deliver_to_all(
    settings: Settings, build: Build, journal_of: JournalOf, fallback_of: FallbackOf
) -> Delivery | Several:
    """Build a delivery per destination. One that fails, or has the address of another, is skipped with a warning.

    `build` makes the exporter that settings name, `journal_of` its journal, and `fallback_of` its fallback.
    """
    failed: Exception | None = None
    names: dict[tuple[type, object], str] = {}
    built: list[tuple[str, Settings, Exporter]] = []
    for exporter_setting in settings.exporters:
        name, own = name_of(exporter_setting), settings.alone(exporter_setting)
        try:
            exporter = build(own)
        except Exception as error:
            pass_on(error)
            failed = error
            log.warn_once("destination-off", "nothing is sent to %s: %s", name, log.describe(error))
            continue
        is_otlp = isinstance(exporter_setting, str) and exporter_setting in OTLP_EXPORTERS
        account = getattr(exporter, "account", None) if is_otlp else None
        place = type(exporter), account or destination_of(exporter) or name
        if place in names:
            text = "nothing is sent to %s: that is where %s sends already"
            log.warn_once("destination-twice", text, name, names[place])
            continue
        names[place] = name
        built.append((name, own, exporter))
    if failed is not None and not built:
        raise failed
    deliveries = [
        Delivery(exporter, own, journal_of(own, exporter), name, fallback_of(own, exporter))
        for name, own, exporter in built
    ]
    return Several(deliveries, debug=settings.debug)
