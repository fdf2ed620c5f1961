"""One invocation from its beginning to its end, and the one place that knows both the container and who captures model
calls."""

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
    """The process's container, made at the first call, or the first after a shutdown; None if telemetry is off.

    Different settings in a later call are ignored with one warning.
    """
    container = _process.start(arguments, _watch)
    if container is not None and any(name in sys.modules for name in OFFICIAL_SDKS):
        _adopt()
    return container


def _adopt(module: object = None) -> None:
    """Take over what has been imported of other telemetry SDKs."""
    from .. import sdks

    sdks.adopt()


def _watch(settings: Settings) -> None:
    """Trace the calls of every SDK that is known, if and when it is imported. Its absence costs nothing.

    If `propagate_to` names a host, watch what is sent by HTTP libraries, too.
    """
    try:
        from ..providers import watch

        watch()
    except Exception as error:
        pass_on(error)
        log.warn_once("model calls are not traced: %r", error)
    if settings.propagate_to:
        try:
            from .. import _outbound

            _outbound.watch()
        except Exception as error:
            pass_on(error)
            log.warn_once("the trace context is not propagated: %r", error)


if os.environ.get("ZESPAN_ENABLED", "").strip().lower() not in ("0", "false", "no", "off"):
    # Already now: what they do at a cold start takes a second.
    when_imported({name: {f"{name} sends its own events": _adopt} for name in OFFICIAL_SDKS})
