"""Adopts other telemetry SDKs in the process: this package delivers their events, and each call is one event.

    zespan            the official SDK: its queue, its flush, its clients and its patches
    _zespan_calls     the model calls that both of them trace
    _zespan_context   its users, sessions, tags and agents
    _zespan_siblings  its packages for frameworks

A process without them imports none of these modules.
"""

from __future__ import annotations

import sys

from .._base.guard import pass_on
from .._base.log import warn_once
from ..settings import OFFICIAL_SDKS


def adopt() -> None:
    """Adopt those that have been imported. Idempotent; never raises, except what a signal handler raises."""
    first, *others = OFFICIAL_SDKS
    if first in sys.modules:
        try:
            from .zespan import adopt

            adopt()
        except Exception as error:
            pass_on(error)
            warn_once("sdk-not-adopted", "the SDK zespan sends its own events: %r", error)
    if any(name in sys.modules for name in others):
        from ._zespan_siblings import adopt as adopt_siblings

        adopt_siblings()
