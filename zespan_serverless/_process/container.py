"""The container: what a process has one of. Its settings, its delivery, and the invocations under way."""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from .. import settings as _settings
from .._base import log
from .._base.guard import Guarded, had_begun, is_from_signal
from .._delivery.delivery import Delivery
from .._platforms import is_restarted
from .._record.policy import Policy
from .._record.record import Record, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from weakref import ReferenceType

    from .._base.exporter import Exporter
    from .._delivery.journal import Journal
    from .._delivery.several import Several
    from .._record.held import Held
    from .._record.invocation import Invocation

_EXPORTERS = "zespan_serverless.exporters"  # whose modules are imported when they are asked for

JOURNAL_SIZE = 2
"""Bytes of the journal over those of the buffer, above which it is written anew without what is settled."""


class Active(Protocol):
    """An invocation under way, as far as the container needs it."""

    invocation: Invocation

    def is_paused(self) -> bool:
        """Whether it waits until the next piece of a generator is wanted."""
        ...

    def disown(self) -> None:
        """Leave its end to the parent of this forked child."""


class Container:
    """One process's telemetry, with the settings of whoever configured it first."""

    FLUSH_BY_HAND = 10.0
    """Seconds that flush() and shutdown() may take by default where no invocation's deadline is known."""

    def __init__(self, settings: _settings.Settings) -> None:
        self.settings = settings
        self.policy: Policy = Policy(settings)
        self.resource: Resource = Resource(settings, self.policy.plain(settings.tags))
        self.delivery: Delivery | Several = _delivery(settings)
        # Without either, nobody would learn of a span without an end.
        self.records: bool = self.delivery.has_journal or is_restarted()
        if settings.flush:
            from .flushed_together import FlushedTogether

            together: Any = FlushedTogether(self.delivery, settings.flush, debug=settings.debug)
            self.delivery = together
        self.held = _held(settings)
        self.first_in_child: Callable[[], None] | None = None  # what a forked child has still to do
        self.invocations = 0
        self.goes_on = False  # whether invocations have ended whose events a thread sends
        # Invocations under way. Weakly: one that nobody holds any more is over, because a signal handler has raised at
        # a bad moment.
        self.active: set[ReferenceType[Active]] = set()

    def under_way(self) -> list[Active]:
        """The invocations under way, in any thread."""
        return [active for reference in list(self.active) if (active := reference()) is not None]

    def capture(self, make: Callable[[], Record], span_id: str | None = None, *, is_sent: bool = True) -> None:
        """Hand a record to the delivery, as far as the settings allow it to be sent, unless its trace is not sampled.

        `make` makes the record. It may be called twice: what a signal handler raises while it runs passes on when the
        record is made. Should `make` fail, an event of the span `span_id` is counted as dropped. Without `is_sent` the
        record says no more than whether its trace has failed.

        Never raises, except what a signal handler of the user's raises.
        """
        if self.first_in_child is not None and threading.current_thread() is threading.main_thread():
            prepare, self.first_in_child = self.first_in_child, None
            prepare()
        struck: BaseException | None = None
        ready: list[Record] = []
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
        for record in ready:
            taken = False
            try:
                taken = is_sent if record is ready[-1] else self.held is not None and self.held.take(record)
                if taken:
                    self.delivery.capture(record)
            except BaseException as error:  # of a signal handler, when the event has been taken, or is now
                struck = error
                if taken and not had_begun(error):
                    self.delivery.capture(record)
        if ready and self.goes_on and not self.active:  # work after a response: no end of an invocation will ask for it
            self.delivery.flush_in_background(self.settings.flush_timeout)
        if struck is not None:
            raise struck

    def _ready(self, make: Callable[[], Record]) -> list[Record]:
        """A record as it may be sent, after those that are no longer held back; nothing if its trace is not sampled."""
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
        """Hold back nothing: in a forked child, whose parent has it."""
        self.held = _held(self.settings)

    def lost(self, error: BaseException, span_id: str | None = None) -> None:
        """Count an event that cannot be made."""
        self.delivery.drop_unencodable(log.describe(error), span_id)

    def learn(self, attributes: Mapping[str, object]) -> None:
        """Note where this process runs, as its host says at the first invocation."""
        allowed = self.policy.plain(attributes)
        self.resource.attributes = {name: value for name, value in allowed.items() if value is not None}

    def opened(self, record: Record, over: Callable[[], bool] = bool) -> None:
        """Journal that a span has begun, so that it is reported even if nobody lives to see its end.

        `record` has what is known of the span by now, `over` tells whether it has ended meanwhile. Never raises.
        """
        with Guarded("the start of a span"):
            if self.records and (self.held is not None or self.policy.is_sampled(record)):
                self.delivery.record_open(self.policy.applied(record), over)

    def flush_by_hand(self) -> float:
        """Seconds that flush() and shutdown() may take: what the invocation under way has left, less the reserve."""
        left = self.left()
        return self.FLUSH_BY_HAND if left is None else max(0.0, left - self.settings.flush_reserve)

    def left(self) -> float | None:
        """Seconds that the invocation under way has, of several the least; None if no deadline is known."""
        clocks = [active.invocation.remaining for active in self.under_way()]
        return min((clock() for clock in clocks if clock is not None), default=None)


# A development server may reload this module, which keeps its namespace: the container and its events stay.
_current: Container | None = globals().get("_current")


def current() -> Container | None:
    """The container, if one has been started and telemetry is on."""
    return _current


def set_current(container: Container | None) -> None:
    """Make this the process's container; None while telemetry is off."""
    global _current
    _current = container


def _held(settings: _settings.Settings) -> Held | None:
    """What holds records back, if some traces are not sampled, and their failures are wanted."""
    if not settings.sample_errors or settings.sample_rate >= 1:
        return None
    from .._record.held import Held

    return Held()


def _delivery(settings: _settings.Settings) -> Delivery | Several:
    """What delivers to the exporter that the settings name, or to several."""
    if type(settings.exporter) is tuple:
        from .destinations import deliver_to_all

        return deliver_to_all(settings, build_exporter, journal_of, fallback_of)
    exporter = build_exporter(settings)
    return Delivery(exporter, settings, journal_of(settings, exporter), fallback=fallback_of(settings, exporter))


def fallback_of(settings: _settings.Settings, exporter: Exporter) -> Exporter | None:
    """What takes the events that an exporter cannot deliver, if the settings name anything."""
    if settings.fallback is None:
        return None
    from .fallback import build_fallback

    return build_fallback(settings, exporter)


def journal_of(settings: _settings.Settings, exporter: Exporter) -> Journal | None:
    """The journal that the settings ask for. Not for destinations that die with the process."""
    where = settings.journal
    if where == "off" or (where == "auto" and not is_restarted()) or settings.exporter in ("console", "memory"):
        return None
    if os.name != "posix":
        log.warn_once("no journal on this platform")
        return None
    from .._delivery.journal import Journal

    if where in ("auto", "on"):  # tempfile.gettempdir() is that plus an import
        where = f"{os.environ.get('TMPDIR') or '/tmp'}/zespan-serverless-{os.geteuid()}"
    kind = type(exporter)
    place, key = getattr(exporter, "destination", ""), settings.api_key or settings.api_key_secret or ""
    if isinstance(settings.exporter, str):  # one of ours, which may know better
        place, key = getattr(exporter, "account", (place, key))
    destination = f"{kind.__module__}.{kind.__qualname__} {place}"
    return Journal(where, destination, key, JOURNAL_SIZE * settings.max_bytes)


def build_exporter(settings: _settings.Settings) -> Exporter:
    """The exporter that the settings name."""
    name: Any = settings.exporter
    if not isinstance(name, str):
        from .custom import completed

        return completed(name)
    if "://" in name:
        from ..exporters.stores import exporter_to

        return exporter_to(name)
    module: Any = import_module(f"{_EXPORTERS}.{'otlp' if name in _settings.OTLP_EXPORTERS else name}")
    return module.build(settings)  # type: ignore[no-any-return]
