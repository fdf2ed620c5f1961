"""Starts the container once per process, with the settings of the first decorator or call that needs it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from .. import _trace
from .. import settings as _settings
from .._base import log
from . import ending
from .container import Container, current, set_current

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    class Overrides(Protocol):
        """What decides about the settings of every function while it is in force (`testing.recording`)."""

        def settings_for(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
            """The settings in force for a function with these settings of its own."""
            ...

        def leave(self, container: Container) -> None:
            """Give up the container of other settings: it is used no more, and may have events."""
            ...


_lock = threading.Lock()
# A module that is reloaded keeps its namespace, and the container is still there.
_started: bool = globals().get("_started", False)
_configured: dict[str, Any] = globals().get("_configured", {})
_overrides: Overrides | None = None  # what prevails over all other settings, see `override`


def start(arguments: Mapping[str, Any], on_created: Callable[[_settings.Settings], object]) -> Container | None:
    """The process's container, created by the first call, or the first one after a shutdown; None if telemetry is off.

    `on_created` is called after that, with its settings. Others in a later call are ignored with one warning.
    """
    global _started, _configured
    if _overrides is not None:
        arguments = _overridden(_overrides, arguments)
    if _needs_container():
        with _lock:
            if _needs_container():
                settings = _settings.usable(_settings.resolve(arguments))
                created = Container(settings) if settings is not None else None
                if settings is not None:
                    ending.watch()
                    ending.at_exit(send=None)
                    on_created(settings)
                set_current(created)
                _configured, _started = dict(arguments), True
    if arguments and arguments != _configured and (current() is not None or not _settings.is_test(os.environ)):
        log.warn_once("settings differ from the first ones in this process and are ignored: %s", ", ".join(arguments))
    return current()


def _needs_container() -> bool:
    container = current()
    return container.delivery.closed if container is not None else not _started


def reconsider() -> None:
    """Look at the settings again at the next invocation, if telemetry is off: a key may have come meanwhile."""
    global _started
    if current() is None:
        _started = False


def configured() -> dict[str, Any] | None:
    """The settings of the first function or `init` of this process; None if telemetry is off."""
    return _configured if current() is not None else None


def override(overrides: Overrides | None) -> None:
    """Start anew, and let these decide about the settings from now on (for `testing.recording`)."""
    global _overrides
    reset()
    _overrides = overrides


def _overridden(overrides: Overrides, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The settings for a function that is called while `override` is in force.

    If they differ from those of the function before, telemetry starts anew.
    """
    global _started
    before = current()
    if before is not None and before.active:  # called by another decorated function, whose settings apply
        return _configured
    settings = overrides.settings_for(arguments)
    if settings != _configured:
        set_current(None)
        _started = False
        if before is not None:
            overrides.leave(before)
    return settings


def reset() -> None:
    """Be as if just imported (between tests): drop events, settings and spans, restore signals, allow all warnings."""
    global _started, _overrides
    container, _started, _overrides = current(), False, None
    set_current(None)
    ending.reset()
    _trace.forget()
    log.reset()
    if container is not None:
        container.delivery.reset()


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
