"""The SDK `zespan`, which traces the same calls once it has been told to (`zespan.patch_openai()`, `autopatch`)."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

from .._base.log import warn_once

MODULE = "zespan.wrappers.openai_wrapper"
"""Without it in `sys.modules` nothing here has to be asked."""

_WRAPPER = "wrapped_create"
_FRAMES_MAX = 100  # between its wrapper and ours
_LAYERS_MAX = 50  # that other tools have put around a method


def traces(method: Any) -> bool:
    """Whether the SDK traces the call of `method` that is being made: it is above us, or `method` leads to it.

    Then an event of ours would be its second. Says so once.
    """
    if not (_is_above() or _is_beneath(method)):
        return False
    warn_once(
        "the SDK zespan traces this process's calls of openai's sync client: zespan_serverless does not trace them"
        " again. What the SDK records goes by its own queue, which is lost when a function is frozen or ended: to have"
        " the events sent in time, leave out zespan.patch_openai() and autopatch"
    )
    return True


def _is_above() -> bool:
    """Asked for each call, since it may be switched on at any time."""
    frame = sys._getframe(2)
    for _ in range(_FRAMES_MAX):
        if frame.f_code.co_name == _WRAPPER and frame.f_globals.get("__name__") == MODULE:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _is_beneath(method: Any) -> bool:
    """Its wrapper has no `__wrapped__`, and so may those of others have none: what they call is in their closures."""
    seen: list[Any] = []
    rest = [method]
    while rest and len(seen) < _LAYERS_MAX:
        layer = rest.pop()
        if any(layer is one for one in seen):
            continue
        seen.append(layer)
        function = getattr(layer, "__func__", layer)
        if not isinstance(function, FunctionType):
            continue
        if function.__module__ == MODULE and function.__name__ == _WRAPPER:
            return True
        rest += [inner for name in ("__wrapped__", "__zespan_original__") if (inner := vars(function).get(name))]
        rest += [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    return False


def _is_full(cell: Any) -> bool:
    try:
        return callable(cell.cell_contents)
    except ValueError:
        return False
