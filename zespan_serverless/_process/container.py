"""The container: everything that exists once per process. Its settings, its delivery, and the current invocations."""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import _trace
from .. import settings as _settings
from .._base import log
from .._base.guard import Guarded, had_begun, is_from_signal, pass_on
from .._record.policy import Policy
from .._record.record import Record, Resource

if sys.platform == "emscripten":
    from .._delivery.in_loop import LoopDelivery as Delivery
else:
    from .._delivery.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol
    from weakref import ReferenceType

    from .._base.exporter import Exporter
    from .._delivery.journal import Journal
    from .._delivery.several import Several
    from .._record.held import Held
    from .._record.invocation import Invocation

    class Active(Protocol):
        """The interface of a current invocation for the container."""

        invocation: Invocation

        def is_paused(self) -> bool:
            """Whether it waits until the next item of a generator is requested."""
            ...

        def disown(self) -> None:
            """Leave its end to the parent of this forked child."""


JOURNAL_SIZE = 2
"""Bytes that the journal may exceed the buffer by before it is rewritten without settled events."""


class Container:
    """The telemetry of one process, with the settings of its first decorator or `init`."""

    FLUSH_BY_HAND = 10.0
    """Default seconds for flush() and shutdown() if no deadline is known."""

    def __init__(self, settings: _settings.Settings) -> None:
        self.settings = settings
        self.policy: Policy = Policy(settings)
        self.resource: Resource = Resource(settings, self.policy.plain(settings.tags))
        self.delivery: Delivery | Several = _delivery(settings)
        # Without either, no process would ever report an unfinished span.
        self.records: bool = self.delivery.has_journal or _is_restarted()
        if settings.flush:
            from .flushed_together import FlushedTogether

            together: Any = FlushedTogether(self.delivery, settings.flush, debug=settings.debug)
            self.delivery = together
        self.held = _held(settings)
        self.first_in_child: Callable[[], None] | None = None  # what a forked child still has to do
        self.invocations = 0
        self.is_restored = False  # from a snapshot
        self.goes_on = False  # whether a thread sends the events of ended invocations
        # Current invocations, as weak references: one without other references was interrupted, and is over.
        self.active: set[ReferenceType[Active]] = set()

    def under_way(self) -> list[Active]:
        """Return the current invocations, in any thread."""
        return [active for reference in list(self.active) if (active := reference()) is not None]

    def capture(self, make: Callable[[], Record], span_id: str | None = None, *, is_sent: bool = True) -> None:
        """Pass a record to the delivery, if the settings allow it to be sent and its trace is sampled.

        `make` makes the record. It may be called twice: an exception of a signal handler that interrupts it is raised
        after the record exists. If `make` fails, an event of the span `span_id` is counted as dropped. Without
        `is_sent` the record only determines whether its trace has failed.

        Never raises, except what the user's signal handler raises.
        """
        if self.first_in_child is not None and threading.current_thread() is threading.main_thread():
            prepare, self.first_in_child = self.first_in_child, None
            prepare()
        interruption: BaseException | None = None
        ready: list[Record] = []
        try:
            ready = self._ready(make)
        except BaseException as error:
            if isinstance(error, Exception) and not is_from_signal(error):
                self.lost(error, span_id)
                return
            interruption = error
        if interruption is not None:
            try:
                ready = self._ready(make)
            except Exception as error:
                self.lost(error, span_id)
        for record in ready:
            taken = False
            try:
                taken = is_sent if record is ready[-1] else self.held is not None and self.held.take(record)
                if taken:
                    self.delivery.capture(record)
            except BaseException as error:  # by a signal handler, when the event has been captured, or is captured here
                interruption = error
                if taken and not had_begun(error):
                    self.delivery.capture(record)
        # Captured after a response: no end of an invocation will flush it.
        if ready and self.goes_on and not self.active:
            self.delivery.flush_in_background(self.settings.flush_timeout)
        if interruption is not None:
            raise interruption

    def _ready(self, make: Callable[[], Record]) -> list[Record]:
        """Yield a record as it may be sent, after those held back for it; nothing if its trace is not sampled."""
        record = make()
        if self.policy.is_sampled(record):
            return [self.policy.applied(record)]
        if self.held is None:
            return []
        ready = self.held.judged(self.policy.trace_of(record), self.policy.applied(record))
        if not ready and self.records:
            self.delivery.forget_open(record.span_id)
        return ready

    def forget_held(self) -> None:
        """Discard held records: in a forked child they belong to the parent."""
        self.held = _held(self.settings)

    def lost(self, error: BaseException, span_id: str | None = None) -> None:
        """Count an event that cannot be built."""
        self.delivery.drop_unencodable(log.describe(error), span_id)

    def learn(self, attributes: Mapping[str, object]) -> None:
        """Store where this process runs, as the host describes it at the first invocation."""
        allowed = self.policy.plain(attributes)
        self.resource.attributes = {name: value for name, value in allowed.items() if value is not None}

    def opened(self, record: Record, over: Callable[[], bool] = bool) -> Record:
        """Write to the journal that a span has begun, so that it is reported even if the process is killed.

        `record` has what is known of the span so far, `over` returns whether it has ended meanwhile. Never raises.
        Returns the record as it was written, or unchanged: what its end adds to.
        """
        with Guarded("the start of a span"):
            if self.records and (self.held is not None or self.policy.is_sampled(record)):
                allowed = self.policy.applied(record)
                self.delivery.record_open(allowed, over)
                return allowed
        return record

    def flush_by_hand(self) -> float:
        """Return the seconds for flush() and shutdown(): what the current invocation has left, less the reserve."""
        left = self.left()
        return self.FLUSH_BY_HAND if left is None else max(0.0, left - self.settings.flush_reserve)

    def left(self) -> float | None:
        """Return the fewest seconds that a current invocation has left; None if no deadline is known."""
        clocks = [active.invocation.remaining for active in self.under_way()]
        return min((clock() for clock in clocks if clock is not None), default=None)


# A development server may reload this module, which keeps its namespace and so the container and its events.
_current: Container | None = globals().get("_current")


def current() -> Container | None:
    """Return the container, if one has been started and telemetry is on."""
    return _current


def set_current(container: Container | None) -> None:
    """Set the process's container; None while telemetry is off."""
    global _current
    _current = container


def time_left() -> float | None:
    """Return the seconds until the host ends the current invocation; 0.0 after that.

    None outside an invocation, while telemetry is off, and if the host sets no deadline. Works in the threads and tasks
    of the invocation. On a host that serves several at once, your own thread must run in the context of its invocation
    (`contextvars.copy_context().run`), otherwise the result is None. Never raises.
    """
    try:
        here = _trace.current()
        active = None if here is None else here.root.invocation()
        clock = None if active is None else active.invocation.remaining
        return None if clock is None else max(0.0, float(clock()))  # max(0.0, nan) is 0.0
    except Exception as error:  # a context of another type
        pass_on(error)
        return None


def _held(settings: _settings.Settings) -> Held | None:
    """Return what holds records back, if some traces are not sampled but their failures are to be sent."""
    if not settings.sample_errors or settings.sample_rate >= 1:
        return None
    from .._record.held import Held

    return Held()


def _delivery(settings: _settings.Settings) -> Delivery | Several:
    """Build the delivery to the exporter in the settings, or to several."""
    if type(settings.exporter) is tuple:
        from .destinations import deliver_to_all

        return deliver_to_all(settings, build_exporter, journal_of, fallback_of)
    exporter = build_exporter(settings)
    return Delivery(exporter, settings, journal_of(settings, exporter), fallback=fallback_of(settings, exporter))


def fallback_of(settings: _settings.Settings, exporter: Exporter) -> Exporter | None:
    """Build what takes the events that an exporter cannot deliver, if the settings name it."""
    if settings.fallback is None:
        return None
    from .fallback import build_fallback

    return build_fallback(settings, exporter)


def journal_of(settings: _settings.Settings, exporter: Exporter) -> Journal | None:
    """Open the journal, if the settings ask for one and the destination outlives the process."""
    where = settings.journal
    if where == "off" or (where == "auto" and not _is_restarted()) or settings.exporter in ("console", "memory"):
        return None
    if os.name != "posix" or sys.platform == "emscripten":
        log.warn_once("journal-unsupported", "no journal on this platform: set journal=off")
        return None
    from .._delivery.journal import Journal

    if where in ("auto", "on"):  # the same as tempfile.gettempdir(), without the import
        where = f"{os.environ.get('TMPDIR') or '/tmp'}/zespan-serverless-{os.geteuid()}"
    kind = type(exporter)
    place, key = getattr(exporter, "destination", ""), settings.api_key or settings.api_key_secret or ""
    if isinstance(settings.exporter, str):  # a built-in exporter, which may know better
        place, key = getattr(exporter, "account", (place, key))
    destination = f"{kind.__module__}.{kind.__qualname__} {place}"
    return Journal(where, destination, key, JOURNAL_SIZE * settings.max_bytes)


def _is_restarted() -> bool:
    """Whether a crashed process is restarted with its disk intact: on Lambda, except on Managed Instances.

    Their client replaces no worker: https://github.com/aws/aws-lambda-python-runtime-interface-client.
    """
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return False  # a child process, whatever it has imported
    restarted = "AWS_LAMBDA_RUNTIME_API" in os.environ and "AWS_LAMBDA_MAX_CONCURRENCY" not in os.environ
    return restarted and "awslambdaric.bootstrap" in sys.modules


def build_exporter(settings: _settings.Settings) -> Exporter:
    """Build the exporter in the settings."""
    name: Any = settings.exporter
    if not isinstance(name, str):
        from .custom import completed

        return completed(name)
    if "://" in name:
        from ..exporters.stores import exporter_to

        return exporter_to(name)
    module: Any = import_module(f"zespan_serverless.exporters.{'otlp' if name in _settings.OTLP_EXPORTERS else name}")
    return module.build(settings)  # type: ignore[no-any-return]
