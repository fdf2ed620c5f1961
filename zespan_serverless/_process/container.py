"""What a process has one of: settings, delivery, the way it started. Started once, lazily, whoever asks first."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from .. import settings as _settings
from .._base import log as _log
from .._base.guard import Guarded, is_from_signal, pass_on
from .._delivery.delivery import Delivery, FlushReport
from .._record.event import Event, leaf, new_event, sampled
from .._record.redaction import Policy
from .._record.unfinished import known, note, timed_out
from .._trace import context as _trace
from ..errors import FlushIncomplete
from ..exporters import build
from . import sigterm as _shutdown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._delivery.journal import Journal
    from .._observe.call import Call

JOURNAL_SIZE = 2
"""Bytes of the journal over those of the buffer, above which it is written anew without what is settled."""

AT_DEADLINE = 0.1
"""Seconds left of an invocation's time, or less, when SIGTERM means that this is its timeout."""

FLUSH_BY_HAND = 10.0
"""Seconds that flush() and shutdown() may take by default where no invocation's deadline is known."""


class Container:
    """One process's telemetry, with the settings of whoever configured it first."""

    def __init__(self, settings: _settings.Settings) -> None:
        self.settings = settings
        self.policy = Policy(settings)
        exporter = build(settings)
        journal = _journal(settings, exporter)
        self.records = journal is not None or _is_restarted()  # else nobody would learn of a span that does not end
        self.delivery = Delivery(exporter, settings, journal)
        self.forked = False  # whether this is a child that has not looked after itself yet
        self.invocations = 0
        self.goes_on = False  # whether invocations have ended whose events a thread sends
        # Invocations under way, by id() of what their spans share: `ends`. Weakly: one that nobody holds any more is
        # over, because a signal handler has raised at a bad moment.
        self.active: WeakValueDictionary[int, Call] = WeakValueDictionary()

    def capture(self, event: Event) -> None:
        """Hand an event to the delivery, as far as the settings let it be said, unless its trace is not sampled.

        Never raises, but for what a signal handler of the user's raises. What cannot be said is counted.
        """
        self.capture_made(lambda: event, event.get("span_id"))

    def capture_made(self, make: Callable[[], Event], span_id: object = None) -> None:
        """The same for an event that is still to be made: should `make` raise, that is counted, too.

        `make` may be called twice: what a signal handler raises while it runs passes on when the event is made.
        """
        if self.forked and threading.current_thread() is threading.main_thread():
            self.forked = False
            watch()  # multiprocessing's pools end their workers with SIGTERM when the work is done
        struck: BaseException | None = None
        ready: Event | None = None
        try:
            ready = self._ready(make)
        except BaseException as error:
            if isinstance(error, Exception) and not is_from_signal(error):
                self.lost(error, span_id)
                return
            struck = error
        if struck is not None:
            try:
                ready = self._ready(make)
            except Exception as error:
                self.lost(error, span_id)
        if ready is not None:
            self.delivery.capture(ready)
            if self.goes_on and not self.active:  # work after a response: no end of an invocation will ask for it
                self.delivery.flush_soon(self.settings.flush_timeout)
        if struck is not None:
            raise struck

    def _ready(self, make: Callable[[], Event]) -> Event | None:
        """An event as it may be sent; None if its trace is not sampled."""
        event = make()
        trace = event.get("trace_id")  # of a user's own event it may be anything
        if not sampled("" if trace is None else str(leaf(trace)), self.settings.sample_rate):
            return None
        return self.policy.applied(event)

    def lost(self, error: BaseException, span_id: object = None) -> None:
        """Count an event that cannot be made."""
        span = span_id if type(span_id) is str else None
        self.delivery.drop_unencodable(_log.describe(error), span)

    def opened(
        self, span: _trace.Span, kind: str, operation: str, over: Callable[[], bool] = bool, **fields: Any
    ) -> None:
        """Put on record that a span has begun, so that it is reported even if nobody lives to see its end.

        `fields` are what is known of its event; `over` tells whether it has ended meanwhile. Never raises.
        """
        if self.records and sampled(span.trace_id, self.settings.sample_rate):
            with Guarded("the start of a span"):
                begun = self.policy.applied(known(span, kind, operation, **fields))
                self.delivery.opened(span.span_id, begun, over)

    def flush_by_hand(self) -> float:
        """Seconds that flush() and shutdown() may take: what the invocation under way has left, less the reserve."""
        left = self.left()
        return FLUSH_BY_HAND if left is None else max(0.0, left - self.settings.flush_reserve)

    def left(self) -> float | None:
        """Seconds that the invocation under way has, of several the least; None if no deadline is known."""
        clocks = [call.invocation.remaining for call in list(self.active.values())]
        return min((clock() for clock in clocks if clock is not None), default=None)


_lock = threading.Lock()
_started = False
_is_outlasting = False
_sends_at_exit: bool | None = None  # what is left, or only says that it is; None: nobody has asked for either
_configured: dict[str, Any] = {}
_recording: dict[str, Any] = {}  # settings of `testing.recording`, over everybody's own
_container: Container | None = None  # None once started: telemetry is off


def start(arguments: Mapping[str, Any]) -> Container | None:
    """The process's container, made at the first call, or the first after a shutdown; None if telemetry is off.

    Later settings that differ are said, and ignored.
    """
    global _started, _configured, _container
    if _recording:
        arguments = _recorded(arguments)
    if not _started or (_container is not None and _container.delivery.closed):
        with _lock:
            if not _started or (_container is not None and _container.delivery.closed):
                settings = _settings.resolve(arguments)
                made = Container(settings) if _settings.usable(settings) else None
                if made is not None:
                    watch()
                    at_exit(send=None)
                    _patch_openai()
                _configured, _container, _started = dict(arguments), made, True
    if arguments and arguments != _configured:
        _log.warn_once("settings differ from the first ones in this process and are ignored: %s", ", ".join(arguments))
    return _container


def record(settings: dict[str, Any]) -> None:
    """Start anew, with these settings over those of whatever is decorated (for `testing.recording`); empty: without."""
    global _recording
    forget()
    _recording = settings
    if settings:
        start({})


def _recorded(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What is in force for a function that is called while `testing.recording` records: its own settings, and on top of
    them the recording's. Telemetry starts anew for one that is decorated otherwise than the function before it."""
    global _started, _container
    if _container is not None and _container.active:  # inside another one, whose settings go on
        return _configured
    settings = {"enabled": True, **arguments, **_recording}
    if settings != _configured:
        before, _container, _started = _container, None, False
        if before is not None:
            before.delivery.flush(before.settings.flush_timeout)
            before.delivery.forget()
    return settings


def current() -> Container | None:
    """The container, if one has been started and telemetry is on."""
    return _container


class Session:
    """What `init` returns: `with init(): ...` delivers what is left, and shuts down, at the end of the block."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        shutdown()


def overdue(deadline: float) -> None:
    """The invocation under way has reached its deadline (seconds since the epoch): note it, in case this is its end."""
    container, root = _container, _trace.root()
    if container is not None and root is not None:
        container.delivery.overdue(root.trace_id, note(deadline))


def _is_restarted() -> bool:
    """Whether a process that dies is started anew with the disk as it left it: on Lambda, by Lambda's runtime client.

    Not on Managed Instances, whose client replaces no worker (https://github.com/aws/aws-lambda-python-runtime-interface-client).
    """
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return False  # a child, whatever it has imported
    restarted = "AWS_LAMBDA_RUNTIME_API" in os.environ and "AWS_LAMBDA_MAX_CONCURRENCY" not in os.environ
    return restarted and "awslambdaric.bootstrap" in sys.modules


def _journal(settings: _settings.Settings, exporter: object) -> Journal | None:
    """The journal that the settings ask for. Not for destinations that die with the process."""
    where = settings.journal
    if where == "off" or (where == "auto" and not _is_restarted()) or settings.exporter in ("console", "memory"):
        return None
    if os.name != "posix":
        _log.warn_once("no journal on this platform")
        return None
    from .._delivery.journal import Journal

    if where in ("auto", "on"):  # tempfile.gettempdir() is that plus an import
        where = f"{os.environ.get('TMPDIR') or '/tmp'}/zespan-serverless-{os.geteuid()}"
    kind = type(exporter)
    destination = f"{kind.__module__}.{kind.__qualname__} {settings.base_url}"
    key = settings.api_key or settings.api_key_secret or ""
    return Journal(where, destination, key, JOURNAL_SIZE * settings.max_bytes)


def _terminated(seconds: float) -> None:
    """SIGTERM: report what the function's timeout is about to end, and send what there is."""
    container, root = _container, _trace.root()
    left = container.left() if container is not None else None
    if container is not None and root is not None and left is not None and left <= AT_DEADLINE:
        noted = note(time.time())
        for begun in container.delivery.overdue(root.trace_id, noted):
            container.capture(timed_out(begun, noted, container.settings))
    flush(seconds)


def _left_behind() -> None:
    """The process ends here: say what could not be sent, unless there is a journal for the next one."""
    if _container is not None:
        _container.delivery.leave(0)


def watch() -> None:
    """Be ready for SIGTERM before there is anything to send: where requests run in threads, it is too late later."""
    _shutdown.watch(_terminated, _left_behind)


def init(**settings: Any) -> Session:
    """Start telemetry now, at module level of a script, or of a function without the decorator.

    Takes every setting (see `Settings`). What was configured first in a process stays, until a `shutdown()`. What is
    left when the process exits is sent then, within flush_timeout; in a function call `flush()` before you return.
    Raises ConfigurationError for a setting that does not exist or a value of the wrong type.
    """
    if start(_settings.check(settings)) is not None:
        at_exit()
    return Session()


def capture(event: Mapping[str, Any]) -> None:
    """Send an event of your own: a mapping with the SDK's field names, such as `span_kind`, `operation`, `metadata`.

    What you leave out (ids, time, trace, user, environment) is filled in, and what stands under one of `redact_keys` is
    replaced. Never waits for a backend and never raises; what cannot be kept is counted. Without `init()` or a
    decorator in force it does nothing.
    """
    container = current()
    if container is not None:
        with Guarded("an event of the function's own"):
            span = _trace.new_span(_trace.current())

            def filled() -> Event:
                return {**new_event(span, container.settings, 0, kind="general", operation="custom"), **event}

            container.capture_made(filled, span.span_id)


def flush(timeout: float | None = None, *, raise_on_pending: bool = False) -> FlushReport:
    """Wait until every event captured before this call is delivered or dropped, or until the deadline.

    `timeout` in seconds; default: what the invocation has left, less the reserve, and 10 s outside one. An open
    breaker is probed; a Retry-After is still honoured. Raises FlushIncomplete if `raise_on_pending` and some are left.
    """
    container, report = current(), FlushReport()
    if container is not None:
        try:
            report = container.delivery.flush(container.flush_by_hand() if timeout is None else timeout, probe=True)
        except Exception as error:
            pass_on(error)
            report = _failed(container, "flush", error)
    if raise_on_pending and report.pending:
        raise FlushIncomplete(report)
    return report


def shutdown(timeout: float | None = None) -> FlushReport:
    """Flush, then stop: events captured later are counted as dropped (`closed`), until a new `init()` or invocation.

    `timeout` in seconds, as in `flush`.
    """
    container = current()
    if container is None:
        return FlushReport()
    try:
        return container.delivery.close(container.flush_by_hand() if timeout is None else timeout)
    except Exception as error:
        pass_on(error)
        return _failed(container, "shutdown", error)


def _failed(container: Container, what: str, error: Exception) -> FlushReport:
    """What to say when we have failed: it is called in a `finally` of the user's, where an exception would replace
    their own."""
    _log.warn_once("telemetry failed at %s: %r", what, error)
    delivery = container.delivery
    return FlushReport(pending=delivery.captured - delivery.delivered - delivery.lost, reason="failed")


def forget() -> None:
    """Be as if just imported (between tests): events, settings, patched signals, spans, warnings."""
    global _started, _container, _sends_at_exit, _recording
    left, _container, _started, _sends_at_exit, _recording = _container, None, False, None, {}
    _shutdown.forget()
    _trace.forget()
    _log.forget()
    if left is not None:
        left.delivery.forget()


def rest() -> None:
    """Before a snapshot of this process: send what there is, and hold on to no thread and no connection."""
    if _container is not None:
        _container.delivery.rest(_container.settings.flush_timeout)


def renew() -> None:
    """In a process restored from a snapshot, one of many: what comes next is its first invocation."""
    _log.forget()
    if _container is not None:
        _container.invocations = 0
        _container.delivery.renew()


def _after_fork() -> None:
    """In a forked child threads, locks, signals, sockets and buffered events are the parent's; the trace goes on."""
    global _lock, _sends_at_exit
    _lock, _sends_at_exit = threading.Lock(), True  # nobody else will
    if _container is not None:
        _container.delivery.forget()
        _container.forked = True
        for call in list(_container.active.values()):
            call.is_begun = False  # the parent's to end
        _outlast_multiprocessing()


def at_exit(*, send: bool | None = True) -> None:
    """Have what is left sent when the process exits, within flush_timeout. With `send=False` it is only said, unless
    somebody wants it sent; with None it is as others have it."""
    import atexit

    global _sends_at_exit
    if send is not None:
        _sends_at_exit = _sends_at_exit or send
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    _outlast_multiprocessing()


def _outlast_multiprocessing() -> None:
    """Its children skip atexit. They run finalizers instead, and forget those that were there when they began: some
    import the main module before that, others are forked from one that has."""
    global _is_outlasting
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is None or util is None:
        return
    if process.parent_process() is not None:
        _finalize_at_exit(util)
    if not _is_outlasting:
        _is_outlasting = True
        util.register_after_fork(_at_exit, lambda _: _finalize_at_exit(util))


def _finalize_at_exit(util: Any) -> None:
    util.Finalize(None, _at_exit, exitpriority=100)


def _at_exit() -> None:
    """Send what is left, and say what could not be sent; unless there is a journal for the next process."""
    if _container is not None:
        _container.delivery.leave(0 if _sends_at_exit is False else _container.settings.flush_timeout)


def _patch_openai() -> None:
    """Watch OpenAI calls from now on, if and when the package is there. Its absence costs nothing."""
    try:
        from ..providers.openai import patch_openai

        patch_openai()
    except Exception as error:
        pass_on(error)
        _log.warn_once("openai calls are not traced: %r", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
