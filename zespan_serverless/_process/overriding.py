"""Settings that override those of all functions, for `testing.recording`. Not imported in production."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .. import _process
from .container import Container, current, set_current

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Overrides(Protocol):
        """Decides the settings of every function while it is installed."""

        def settings_for(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
            """Return the effective settings for a function with these settings."""
            ...

        def leave(self, container: Container) -> None:
            """Give up the container of other settings, which is no longer used and may have events."""
            ...


def configured() -> dict[str, Any] | None:
    """Return the settings of the first function or `init` of this process; None if telemetry is off."""
    return _process._configured if current() is not None else None


def override(overrides: Overrides | None) -> None:
    """Restart telemetry, and let these overrides decide the settings from now on."""
    _process.reset()
    _process._overridden = partial(_overridden, overrides) if overrides is not None else None


def _overridden(overrides: Overrides, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings for a function that is called while `override` is active.

    If they differ from those of the previous function, telemetry restarts.
    """
    before = current()
    if before is not None and before.active:  # called by another decorated function, whose settings apply
        return _process._configured
    settings = overrides.settings_for(arguments)
    if settings != _process._configured:
        set_current(None)
        _process._started = False
        if before is not None:
            overrides.leave(before)
    return settings
