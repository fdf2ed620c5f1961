"""Start the container, once, for whoever asks first."""

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

_lock = threading.Lock()
# A module that is reloaded keeps its namespace, and the container is still there.
_started: bool = globals().get("_started", False)
_configured: dict[str, Any] = globals().get("_configured", {})
_recording: dict[str, Any] = {}  # settings of `testing.recording`, over everybody's own


def start(arguments: Mapping[str, Any], first: Callable[[], object]) -> Container | None:
    """The process's container, made at the first call, or the first after a shutdown; None if telemetry is off.

    `first` is called when one has been made. Different settings in a later call are ignored with one warning.
    """
    global _started, _configured
    if _recording:
        arguments = _recorded(arguments)
    if _is_to_be_made():
        with _lock:
            if _is_to_be_made():
                settings = _settings.resolve(arguments)
                made = Container(settings) if _settings.usable(settings) else None
                if made is not None:
                    ending.watch()
                    ending.at_exit(send=None)
                    first()
                set_current(made)
                _configured, _started = dict(arguments), True
    if arguments and arguments != _configured:
        log.warn_once("settings differ from the first ones in this process and are ignored: %s", ", ".join(arguments))
    return current()


def _is_to_be_made() -> bool:
    container = current()
    return container.delivery.closed if container is not None else not _started


def record(settings: dict[str, Any]) -> None:
    """Have the next start put these settings over those of whatever is decorated (for `testing.recording`)."""
    global _recording
    forget()
    _recording = settings


def _recorded(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What is in force for a function that is called while `testing.recording` records: its own settings, and on top of
    them the recording's. Telemetry starts anew for one that is decorated otherwise than the function before it."""
    global _started
    before = current()
    if before is not None and before.active:  # inside another one, whose settings go on
        return _configured
    settings = {"enabled": True, **arguments, **_recording}
    if settings != _configured:
        set_current(None)
        _started = False
        if before is not None:
            before.delivery.flush(before.settings.flush_timeout)
            before.delivery.reset()
    return settings


def forget() -> None:
    """Be as if just imported (between tests): events, settings, patched signals, spans, warnings."""
    global _started, _recording
    left, _started, _recording = current(), False, {}
    set_current(None)
    ending.forget()
    _trace.forget()
    log.reset()
    if left is not None:
        left.delivery.reset()


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
