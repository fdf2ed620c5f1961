"""Our one logger, and warnings that are said once.

Never the `warnings` module: people run with `-W error`, and telemetry must not become an exception.
"""

from __future__ import annotations

import contextlib
import logging

logger = logging.getLogger("zespan_serverless")

_SAID_MAX = 200
"""Different warnings in one process: what says the same in ever new words must fill neither the log nor the memory."""

_said: set[str] = set()


def warn_once(message: str, *args: object, key: str = "") -> None:
    """Log a warning unless the same one (by `key`, else by its text) has been logged in this process. Never raises."""
    with contextlib.suppress(Exception):  # somebody's __repr__, log filter or handler
        if first(key or message % args):
            logger.warning(message, *args)


def describe(error: BaseException) -> str:
    """Kind and text of an exception, whatever its `__str__` does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def first(key: str) -> bool:
    """Whether this is to be said now: true once for each key."""
    if key in _said or len(_said) >= _SAID_MAX:
        return False
    _said.add(key)
    return True


def over(key: str) -> None:
    """End an episode: what has this key may be said again."""
    _said.discard(key)


def forget() -> None:
    """Let every warning be said again (tests)."""
    _said.clear()
