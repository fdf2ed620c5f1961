"""Other telemetry SDKs that may be in the process, each in a room of its own."""

from __future__ import annotations

import sys
from typing import Any

from .._base.guard import pass_on
from .._base.log import warn_once

_ZESPAN = "zespan.wrappers.openai_wrapper"  # MODULE of _zespan_calls, without importing that


def traces(method: Any) -> bool:
    """Whether another SDK records the current call of `method`.

    Never raises, except what a signal handler raises.
    """
    if _ZESPAN not in sys.modules:
        return False
    try:
        from ._zespan_calls import traces

        return traces(method)
    except Exception as error:
        pass_on(error)
        return False


def adopt() -> None:
    """Take over the events of other telemetry SDKs that have been imported. Idempotent, and never raises."""
    if "zespan.client" in sys.modules:
        try:
            from .zespan import adopt

            adopt()
        except Exception as error:
            pass_on(error)
            warn_once("the SDK zespan sends its own events: %r", error)
