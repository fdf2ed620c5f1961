"""Our one logger, and warnings that are said once.

Never the `warnings` module: people run with `-W error`, and telemetry must not become an exception.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("zespan_serverless")

_said: set[str] = set()


def warn_once(message: str, *args: object, key: str = "") -> None:
    """Log a warning unless the same one (by `key`, else by its text) has been logged in this process."""
    text = key or message % args
    if text not in _said:
        _said.add(text)
        logger.warning(message, *args)


def forget() -> None:
    """Let every warning be said again (tests, and episodes that are over)."""
    _said.clear()


def over(key: str) -> None:
    """End an episode: the next `warn_once` with this key is logged again."""
    _said.discard(key)
