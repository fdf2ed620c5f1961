"""Settings that prevail over those of all functions, for `testing.recording`. No function imports this."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from . import startup
from .container import Container, current, set_current

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Overrides(Protocol):
        """What decides about the settings of every function while it is in force."""

        def settings_for(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
            """The settings in force for a function with these settings of its own."""
            ...

        def leave(self, container: Container) -> None:
            """Give up the container of other settings: it is used no more, and may have events."""
            ...


def configured() -> dict[str, Any] | None:
    """The settings of the first function or `init` of this process; None if telemetry is off."""
    return startup._configured if current() is not None else None


def override(overrides: Overrides | None) -> None:
    """Start anew, and let these decide about the settings from now on."""
    startup.reset()
    startup._overridden = partial(_overridden, overrides) if overrides is not None else None


def _overridden(overrides: Overrides, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The settings for a function that is called while `override` is in force.

    If they differ from those of the function before, telemetry starts anew.
    """
    before = current()
    if before is not None and before.active:  # called by another decorated function, whose settings apply
        return startup._configured
    settings = overrides.settings_for(arguments)
    if settings != startup._configured:
        set_current(None)
        startup._started = False
        if before is not None:
            overrides.leave(before)
    return settings
