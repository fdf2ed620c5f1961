"""Other telemetry SDKs that may be in the process: their events go the way of ours, and each call is one event.

    zespan            the official SDK: its queue, its flush, its clients and its patches
    _zespan_calls     the calls of models that it traces, too
    _zespan_context   its users, sessions, tags and agents
    _zespan_siblings  its packages for frameworks

A process without them imports nothing but this.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .._base.guard import pass_on
from .._base.log import warn_once
from ..settings import OFFICIAL_SDKS

if TYPE_CHECKING:
    from collections.abc import Callable


SEEN: list[Callable[[], object]] = []
"""Called by `seen`. They never raise."""


def adopt() -> None:
    """Take over what has been imported of them. Idempotent; never raises, except what a signal handler raises."""
    first, *others = OFFICIAL_SDKS
    if first in sys.modules:
        try:
            from .zespan import adopt

            adopt()
        except Exception as error:
            pass_on(error)
            warn_once("the SDK zespan sends its own events: %r", error)
    if any(name in sys.modules for name in others):
        from ._zespan_siblings import adopt as adopt_siblings

        adopt_siblings()


def seen() -> None:
    """A call of a model has begun that a room of ours records: a wrapper of another SDK that has made it need not."""
    for told in SEEN:
        told()
    if "zespan.wrappers" in sys.modules:
        from ._zespan_calls import seen

        seen()
