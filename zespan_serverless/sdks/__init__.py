"""Other telemetry SDKs that may be in the process, each in a room of its own."""

from __future__ import annotations

import sys
from typing import Any

from .._base.guard import pass_on

_ZESPAN = "zespan.wrappers.openai_wrapper"  # sdks.zespan.MODULE, without importing that


def traces(method: Any) -> bool:
    """Whether another SDK records the current call of `method`.

    Never raises, except what a signal handler raises.
    """
    if _ZESPAN not in sys.modules:
        return False
    try:
        from .zespan import traces

        return traces(method)
    except Exception as error:
        pass_on(error)
        return False
