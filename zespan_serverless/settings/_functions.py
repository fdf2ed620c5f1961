"""Settings that are functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.aio import is_async, kind
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


def callback(value: Any, name: str) -> Callable[..., object]:
    """Check a function that one of our threads will call. Raises ConfigurationError for anything else."""
    if not callable(value):
        raise ConfigurationError(f"{name} must be callable, not {value!r}")
    if is_async(value):
        text = f"{name} must be a def, not an async def: it is called in a thread without an event loop"
        raise ConfigurationError(text)
    return value  # type: ignore[no-any-return]


def reader(value: Any, name: str) -> Callable[[Any], object]:
    """Check a function of an event. Raises ConfigurationError for anything else."""
    if not callable(value) or isinstance(value, type) or kind(value):
        wanted = "a def or lambda of the event, such as lambda event: event['user']"
        raise ConfigurationError(f"{name} must be {wanted}, not {value!r}")
    return value  # type: ignore[no-any-return]
