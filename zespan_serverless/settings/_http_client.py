"""Checks the setting `http_client`."""

from __future__ import annotations

from typing import Any

from .._base.aio import is_async
from ..errors import ConfigurationError

_METHODS = ("build_request", "send")


def checked(given: Any, setting: str) -> Any:
    """Check a synchronous client, its class, or a function that makes one. Raises ConfigurationError otherwise."""
    name = given.__name__ if isinstance(given, type) else type(given).__name__
    is_client = all(callable(getattr(given, method, None)) for method in _METHODS)
    if is_async(given.send if is_client else given):
        raise ConfigurationError(
            f"{setting} must be synchronous, such as httpx.Client, not {name if is_client else 'an async def'}: "
            "a thread without an event loop sends the events"
        )
    if not is_client and (isinstance(given, type) or not callable(given)):
        text = f"{setting} must be an httpx.Client, or a function that returns one, not {name!r}"
        raise ConfigurationError(text)
    return given
