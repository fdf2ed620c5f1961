"""What a process has one of: settings, delivery, the way it started. Started once, lazily, whoever asks first."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from . import _log, _settings, _shutdown, _trace
from ._delivery import Delivery, FlushReport
from ._event import Event, new_event, normalized, sampled
from .errors import FlushIncomplete
from .exporters import build

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._invocation import Invocation

FLUSH_BY_HAND = 10.0
"""Seconds that flush() and shutdown() may take by default where no invocation's deadline is known."""


class Container:
    """One process's telemetry, with the settings of whoever configured it first."""

    def __init__(self, settings: _settings.Settings) -> None:
        self.settings = settings
        self.on = _settings.usable(settings)
        self.redact_keys = normalized(settings.redact_keys)
        self.invocations = 0
        self.active: dict[int, Invocation] = {}  # under way now, by id() of each
        self.delivery = Delivery(build(settings), settings) if self.on else None

    def capture(self, event: Event) -> None:
        """Hand an event to the delivery, unless its trace is not sampled. Never raises."""
        if self.delivery is not None and sampled(str(event.get("trace_id") or ""), self.settings.sample_rate):
            self.delivery.capture(event)

    def remaining(self) -> float | None:
        """Seconds until the deadline of the invocation under way; None if there is none, or no deadline is known."""
        left = [i.remaining() for i in list(self.active.values()) if i.remaining is not None]
        return min(left) if left else None


_lock = threading.Lock()
_container: Container | None = None
_configured: dict[str, Any] | None = None


def start(arguments: Mapping[str, Any]) -> Container:
    """The process's container, made at the first call. Later settings that differ are said, and ignored."""
    global _container, _configured
    if _container is None:
        with _lock:
            if _container is None:
                made = Container(_settings.resolve(arguments))
                if made.delivery is not None:
                    _shutdown.watch(lambda seconds: _flush_now(made, seconds))
                    _patch_openai()
                _configured = dict(arguments)
                _container = made
    if arguments and arguments != _configured:
        _log.warn_once("settings differ from the first ones in this process and are ignored: %s", ", ".join(arguments))
    return _container


def current() -> Container | None:
    """The container, if it has been started and telemetry is on."""
    return _container if _container is not None and _container.on else None


def init(**settings: Any) -> None:
    """Start telemetry now, at module level of a script or a function without the decorator.

    Takes every setting (see `Settings`). What was configured first in a process stays. A flush at exit sends what is
    left; in a function call `flush()` before you return. Raises ConfigurationError for a wrong name or type.
    """
    container = start(_settings.check(settings))
    if container.on:
        import atexit

        atexit.unregister(_at_exit)
        atexit.register(_at_exit)


def capture(event: Mapping[str, Any]) -> None:
    """Send an event of your own: a mapping with the SDK's field names, such as `span_kind`, `operation`, `metadata`.

    What you leave out (ids, time, trace, user, environment) is filled in. Never blocks on I/O and never raises; what
    cannot be kept is counted. Without `init()` or a decorator in force it does nothing.
    """
    container = current()
    if container is not None:
        try:
            span = _trace.new_span(_trace.current())
            filled = new_event(span, container.settings, 0, kind="general", operation="custom")
            container.capture({**filled, **event})
        except Exception as error:
            _log.warn_once("event not captured: %r", error)


def flush(timeout: float | None = None, *, raise_on_pending: bool = False) -> FlushReport:
    """Wait until every event captured before this call is delivered or dropped, or until the deadline.

    `timeout` in seconds; default: what the invocation has left, less the reserve, and 10 s outside one. An open
    breaker is probed; a Retry-After is still honoured. Raises FlushIncomplete if `raise_on_pending` and some are left.
    """
    container = current()
    report = FlushReport() if container is None else _flush_now(container, timeout)
    if raise_on_pending and report.pending:
        raise FlushIncomplete(report)
    return report


def shutdown(timeout: float | None = None) -> FlushReport:
    """Flush, then stop for good: events captured later are counted as dropped (`closed`). `timeout` as in `flush`."""
    container = current()
    if container is None or container.delivery is None:
        return FlushReport()
    return container.delivery.close(_default_timeout(container) if timeout is None else timeout)


def forget() -> None:
    """Be as if just imported (between tests): events, settings, patched signals, spans, warnings."""
    global _container, _configured
    left, _container, _configured = _container, None, None
    _shutdown.forget()
    _trace.forget()
    _log.forget()
    if left is not None and left.delivery is not None:
        left.delivery.forget()


def _after_fork() -> None:
    """In a forked child threads, locks, signals, sockets and buffered events are the parent's; the trace goes on."""
    global _lock
    _lock = threading.Lock()
    _shutdown.forget()
    if _container is not None and _container.delivery is not None:
        _container.delivery.forget()


def _flush_now(container: Container, timeout: float | None) -> FlushReport:
    if container.delivery is None:
        return FlushReport()
    return container.delivery.flush(_default_timeout(container) if timeout is None else timeout, probe=True)


def _default_timeout(container: Container) -> float:
    remaining = container.remaining()
    if remaining is None:
        return FLUSH_BY_HAND
    return max(0.0, remaining - container.settings.flush_reserve)


def _at_exit() -> None:
    container = current()
    if container is not None and container.delivery is not None:
        container.delivery.flush(container.settings.flush_timeout)


def _patch_openai() -> None:
    """Watch OpenAI calls from now on, if and when the package is there. Its absence costs nothing."""
    try:
        from .openai import patch_openai

        patch_openai()
    except Exception as error:
        _log.warn_once("openai calls are not traced: %r", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
