"""What exists once in a process: the container, its start, and what happens when the process ends.

The container is started once per process, with the settings of the first decorator or call that needs it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from .. import _trace
from .. import settings as _settings
from .._base import log, threads
from . import ending
from .container import Container as Container
from .container import current as current
from .container import set_current
from .ending import at_exit as at_exit
from .ending import mark_deadline as mark_deadline
from .ending import pause as pause
from .ending import resume as resume
from .ending import watch as watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_lock = threads.RLock()
# A module that is reloaded keeps its namespace, and the container is still there.
_started: bool = globals().get("_started", False)
_configured: dict[str, Any] = globals().get("_configured", {})
_overridden: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None  # set by `overriding`


def start(arguments: Mapping[str, Any], on_created: Callable[[_settings.Settings], object]) -> Container | None:
    """Return the process's container, which the first call creates, also after a `shutdown`; None if telemetry is off.

    `on_created` is called after that, with its settings. Later settings that differ are ignored with one warning.
    """
    global _started, _configured
    if _overridden is not None:
        arguments = _overridden(arguments)
    if _needs_container():
        with _lock:
            if _needs_container():
                if sys.platform == "emscripten":
                    from .._platforms.cloudflare import adopt_bindings

                    adopt_bindings()
                settings = _settings.usable(_settings.resolve(arguments))
                created = Container(settings) if settings is not None else None
                if settings is not None:
                    ending.watch()
                    ending.at_exit(send=None)
                    on_created(settings)
                set_current(created)
                _configured, _started = dict(arguments), True
    if arguments and arguments != _configured and (current() is not None or not _settings.is_test(os.environ)):
        text = "settings differ from the first ones in this process and are ignored: %s"
        log.warn_once("settings-differ", text, ", ".join(arguments))
    return current()


def _needs_container() -> bool:
    container = current()
    if container is None:
        return not _started
    return container.delivery.closed and not ending.has_ended  # nothing would send what a new one has


def reconsider() -> None:
    """Read the settings again at the next invocation, if telemetry is off: a key may be available by then."""
    global _started
    if current() is None:
        _started = False


def reset() -> None:
    """Return to the state after import (between tests): drop events, settings and spans, restore signals."""
    global _started, _overridden
    container, _started, _overridden = current(), False, None
    set_current(None)
    ending.reset()
    _trace.forget()
    log.reset()
    if container is not None:
        container.delivery.reset()


def _in_child() -> None:
    global _lock
    _lock = threads.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
