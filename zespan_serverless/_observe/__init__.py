"""Traces one invocation from beginning to end. Only this room knows both the container and the model SDKs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from .. import _process
from .._base import log
from .._base.guard import pass_on
from .._base.hook import when_imported
from ..settings import OFFICIAL_SDKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..settings import Settings

__all__ = ["start"]


def start(arguments: Mapping[str, Any]) -> _process.Container | None:
    """Return the process's container, which the first call creates, also after a shutdown. None if telemetry is off.

    Different settings in a later call are ignored with one warning.
    """
    container = _process.start(arguments, _watch)
    if container is not None and not sys.modules.keys().isdisjoint(OFFICIAL_SDKS):
        _adopt()
    return container


def _adopt(module: object = None) -> None:
    """Adopt other telemetry SDKs that have been imported."""
    from .. import sdks

    sdks.adopt()


def _watch(settings: Settings) -> None:
    """Patch every known SDK when it is imported, or now if it already is. A missing SDK costs nothing.

    If `propagate_to` names a host, patch HTTP libraries as well.
    """
    try:
        from ..providers import watch

        watch()
    except Exception as error:
        pass_on(error)
        log.warn_once("calls-untraced", "model calls are not traced: %r", error)
    if settings.propagate_to:
        try:
            from .. import _outbound

            _outbound.watch()
        except Exception as error:
            pass_on(error)
            log.warn_once("not-propagated", "the trace context is not propagated: %r", error)


if os.environ.get("ZESPAN_ENABLED", "").strip().lower() not in ("0", "false", "no", "off"):
    # Already now, because at a cold start these calls take a second.
    when_imported({name: {f"{name} sends its own events": _adopt} for name in OFFICIAL_SDKS})
