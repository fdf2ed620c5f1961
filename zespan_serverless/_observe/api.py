"""Telemetry without a decorator, for scripts and custom hosts: init, capture, flush, shutdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from .. import _process, _trace
from .. import settings as _settings
from .._base import log
from .._base.guard import Guarded, pass_on
from .._base.reports import FlushReport
from .._record.record import Record
from .._record.values import leaf
from ..errors import FlushIncomplete
from . import start

if TYPE_CHECKING:
    from ..exporters.fields import EventFields


class Session:
    """Handle that `init` returns. The end of `with init(): ...` delivers all events and shuts telemetry down."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        shutdown()


def init(**settings: Unpack[_settings.SettingsKwargs]) -> Session:
    """Start telemetry now, at module level of a script, or of a function without the decorator.

    Takes every setting (see `Settings`). The first configuration of a process applies until `shutdown()`. Events that
    are pending at exit are sent then, within flush_timeout; in a function call `flush()` before you return. Raises
    ConfigurationError for an unknown setting or a value of the wrong type, and for `user_id`, `session_id` and
    `conversation_id`, which only decorators accept.
    """
    from .audience import without_readers

    if start(_settings.check(without_readers(settings, "init"))) is not None:
        _process.at_exit()
    return Session()


def capture(event: EventFields) -> None:
    """Capture a custom event: a mapping with the SDK's field names, such as `span_kind`, `operation`, `metadata`.

    `EventFields` documents each field. Missing fields (ids, time, trace, user, environment) are filled in, and values
    under one of `redact_keys` are replaced. Unknown fields are sent unchanged. Never waits for a backend and never
    raises; events that cannot be kept are counted. Does nothing without `init()` or a decorator.
    """
    container = _process.current()
    if container is not None:
        with Guarded("an event of the function's own"):
            from ..exporters import fields as _fields

            span = _trace.new_span(_trace.current())
            with Guarded("the names of an event"):
                _fields.look_for_typos(event)

            def filled() -> Record:
                record = Record(span, container.resource, "general", "custom")
                given: dict[str, Any] = {**event}
                record.fields = given
                if isinstance(given.get("span_id"), str):
                    record.span_id = leaf(given["span_id"])
                return record

            container.capture(filled, span.span_id)


def flush(timeout: float | None = None, *, raise_on_pending: bool = False) -> FlushReport:
    """Wait until every event captured before this call is delivered or dropped, or until the deadline.

    `timeout` is in seconds. The default is the time that the invocation has left, less the reserve, or 10 s outside an
    invocation. An open breaker is probed; a Retry-After is still honoured. Raises FlushIncomplete if `raise_on_pending`
    is set and events are pending.
    """
    container, report = _process.current(), FlushReport()
    if container is not None:
        try:
            report = container.delivery.flush(container.flush_by_hand() if timeout is None else timeout, probe=True)
        except Exception as error:
            pass_on(error)
            report = _failed(container, "flush", error)
    if raise_on_pending and report.pending:
        raise FlushIncomplete(report)
    return report


def flush_pending_events(timeout: float | None = None) -> FlushReport:
    """Wait until every event is delivered, or dropped and reported to `on_error`, as in Carbon's guide.

    Raises FlushIncomplete if events are pending because the backend is unavailable; a later flush sends them.
    """
    return flush(timeout, raise_on_pending=True)


def shutdown(timeout: float | None = None) -> FlushReport:
    """Flush, then stop: events captured later are counted as dropped (`closed`), until a new `init()` or invocation.

    `timeout` in seconds, as in `flush`.
    """
    container = _process.current()
    if container is None:
        return FlushReport()
    try:
        return container.delivery.close(container.flush_by_hand() if timeout is None else timeout)
    except Exception as error:
        pass_on(error)
        return _failed(container, "shutdown", error)


def before_snapshot() -> None:
    """Send waiting events, and give up threads and connections, before a snapshot of this process is taken.

    For platforms that suspend or copy processes and announce it: Lambda MicroVMs, Foundry, Modal. On SnapStart the
    package does this itself. Takes at most `flush_timeout` seconds. Never raises, and does nothing without `init()` or
    a decorator in force. Events that are captured before the snapshot and not sent would be sent by each copy.
    """
    with Guarded("a snapshot"):
        _process.pause()


def after_restore() -> None:
    """Start again in a process that was restored from a snapshot: connections are dead, and clocks have jumped.

    The next invocation counts as the first. Never raises.
    """
    with Guarded("a restore"):
        _process.resume()


def _failed(container: _process.Container, what: str, error: Exception) -> FlushReport:
    """Return the report of a flush that failed internally. The flush may be called in the user's `finally`, where
    raising would replace the user's exception."""
    log.warn_once("telemetry-failed", "telemetry failed at %s: %r", what, error)
    delivery = container.delivery
    return FlushReport(pending=delivery.pending, reason="failed")
