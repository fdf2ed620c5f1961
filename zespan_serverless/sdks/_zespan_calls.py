"""Calls that the SDK `zespan` traces itself, after `zespan.patch_openai()` or with `autopatch`."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

from .._base.log import warn_once

MODULE = "zespan.wrappers.openai_wrapper"
"""The module of its wrapper. A process that has not imported it has nothing to detect."""

_WRAPPER = "wrapped_create"
_FRAMES_MAX = 100  # frames between its wrapper and ours
_LAYERS_MAX = 50  # wrappers that other tools have put around a method


def traces(method: Any) -> bool:
    """Whether the SDK traces the current call of `method`: its wrapper is above ours, or beneath it.

    A record of ours would then be the call's second. Warns once.
    """
    if not (_is_above() or _is_beneath(method)):
        return False
    warn_once(
        "the SDK zespan traces this process's calls of openai's sync client: zespan_serverless does not trace them"
        " again, and delivers the SDK's events. For costs, cached tokens and the time of the first content leave out"
        " zespan.patch_openai() and autopatch"
    )
    return True


def _is_above() -> bool:
    """Whether its wrapper has called us. Checked for each call, because the SDK may be switched on at any time."""
    frame = sys._getframe(2)
    for _ in range(_FRAMES_MAX):
        if frame.f_code.co_name == _WRAPPER and frame.f_globals.get("__name__") == MODULE:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _is_beneath(method: Any) -> bool:
    """Whether `method` calls its wrapper. That has no `__wrapped__`, and other tools' wrappers may lack it, too, so
    their closures are searched as well."""
    seen: list[Any] = []
    pending = [method]
    while pending and len(seen) < _LAYERS_MAX:
        layer = pending.pop()
        if any(layer is one for one in seen):
            continue
        seen.append(layer)
        function = getattr(layer, "__func__", layer)
        if not isinstance(function, FunctionType):
            continue
        if function.__module__ == MODULE and function.__name__ == _WRAPPER:
            return True
        pending += [inner for name in ("__wrapped__", "__zespan_original__") if (inner := vars(function).get(name))]
        pending += [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    return False


def _is_full(cell: Any) -> bool:
    try:
        return callable(cell.cell_contents)
    except ValueError:
        return False
