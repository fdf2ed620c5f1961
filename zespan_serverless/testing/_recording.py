"""Recordings: events in a list instead of on the network, and the losses among them."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Unpack

from .. import _base, _observe, _process
from .. import settings as _settings
from .._process import overriding
from ..exporters.memory import MemoryExporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .._base.reports import Dropped, FlushReport, Outcome
    from .._delivery.delivery import Delivery

Event = dict[str, Any]

_FLUSH = 5.0  # maximum seconds that reading or ending a recording waits for events captured outside invocations
_under_way: list[Recording] = []  # in order of their start
_before: dict[str, Any] | None = None  # settings that applied when the first of them began, if telemetry was on


def recording(**settings: Unpack[_settings.SettingsKwargs]) -> AbstractContextManager[list[Event]]:
    """Record the events of decorated functions in a list instead of sending them, within a `with` block.

    The list contains the events of each invocation that has ended. After the block it is complete. The settings of each
    function's decorator apply, so a function that sends no prompts records none. A `fallback` does not, because it is
    on another machine.

    Telemetry exists once per process. So a recording that begins during another one, in any thread, is inside it: its
    events are in both lists, and the settings of the outer one also apply to it.

    Args:
        **settings: Settings that take precedence over those of the decorators. Both take precedence over environment
            variables; ZESPAN_ENABLED=0 does not switch a recording off.

    Raises:
        ConfigurationError: A setting does not exist, or its value has the wrong type.
    """
    return _recorded(settings)  # not decorated itself, because editors show a setting's text only of a plain function


@contextmanager
def _recorded(settings: Mapping[str, Any]) -> Iterator[list[Event]]:
    recording = begin(checked(settings, "recording"))
    try:
        yield recording.events
    finally:
        recording.end()


def checked(settings: Mapping[str, Any], caller: str) -> dict[str, Any]:
    """Check the settings of a recording. Raises ConfigurationError for an unknown one, or a wrong type."""
    from .._observe.audience import without_readers

    return _settings.check(without_readers(settings, caller))


def begin(given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Recording:
    """Begin a recording with these settings, or send with the `defaults`, overridden by what is `given`."""
    global _before
    outer = _under_way[-1] if _under_way else None
    if outer is not None:
        outer.note_losses()
    else:
        _before = overriding.configured()
        if (container := _process.current()) is not None:
            container.delivery.flush(min(container.settings.flush_timeout, _FLUSH))
    recording = Recording(given, defaults, outer)
    _under_way.append(recording)
    overriding.override(recording)
    if recording.is_local:
        _observe.start({})
    return recording


def reset() -> None:
    """Reset settings, events, spans, recordings and hosts, as if the package had just been imported.

    Pending events are dropped. Functions stay decorated, and openai stays patched.
    """
    _under_way.clear()
    _process.reset()
    for reset_module in _base.RESETS:
        reset_module()


class Recording:
    """Settings that override those of the functions under test, and the outcome of their events.

    Attributes:
        events: The events that have been recorded. Empty if they are sent to a backend.
        arrived: Returns the events that have been recorded, or have arrived at the backend.
        dropped: The arguments of `on_error`, for each group of dropped events.
        waiting: Events that were left waiting, each with the reason.
        elsewhere: Events that sandboxes have lost: `dropped` or `waiting`, the event, and the reason.
        is_local: Whether events are recorded in this process, rather than sent to a backend.
        has_failed: Whether the test has failed already, whose recording this is.
    """

    def __init__(self, given: Mapping[str, Any], defaults: Mapping[str, Any] | None, outer: Recording | None) -> None:
        self.is_local = defaults is None
        self.outer = outer if outer is not None and outer.is_local and self.is_local else None
        self.given: dict[str, Any] = {**(self.outer.given if self.outer is not None else {}), **given}
        if defaults is None:
            defaults = {"exporter": _Exporter(self._received), "flush_mode": "before_return"}
        self._settings = {"journal": "off", "fallback": None, **defaults, **self.given}
        self.events: list[Event] = []
        self.dropped: list[Dropped] = []
        self.waiting: list[tuple[Event, str]] = []
        self.elsewhere: list[tuple[str, Event, str]] = []
        self.arrived: Callable[[], Sequence[Event]] = lambda: self.events
        self.has_failed = False
        self._left = ""  # why the last flush of an invocation left events waiting, if it did

    @property
    def is_under_way(self) -> bool:
        """Whether it has neither ended nor been reset."""
        return any(one is self for one in _under_way)

    def end(self) -> None:
        """Complete the list, and resume the enclosing recording. Does nothing after a `reset`."""
        if not self.is_under_way:
            return
        self.note_losses()
        _under_way[:] = [one for one in _under_way if one is not self]
        for other in _under_way:
            if other.outer is self:
                other.outer = self.outer
        latest = _under_way[-1] if _under_way else None
        overriding.override(latest)
        if latest is None and _before is not None:
            _observe.start(_before)  # such as those of an `init` in conftest.py
        elif latest is not None and latest.is_local:
            _observe.start({})

    # Interface for the start of telemetry

    def settings_for(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the effective settings for a function with these settings."""
        settings = {"enabled": True, **arguments, **self._settings}
        for name, note in (("on_error", self._note_dropped), ("on_flush", self._note_flush)):
            settings[name] = _Listener(note, settings.get(name))
        return settings

    def leave(self, container: _process.Container) -> None:
        """Give up the container of another function's settings."""
        self._note_waiting(container)
        container.delivery.reset()

    # Outcome of the events

    def note_losses(self) -> None:
        """Note unsent events, and send them if they are recorded. Does nothing after a `reset`."""
        container = _process.current()
        if container is not None and self.is_under_way:
            _under_way[-1]._note_waiting(container)  # whose container it is

    def _note_waiting(self, container: _process.Container) -> None:
        deliveries = _deliveries(container)
        before = [event for one in deliveries for event in _pending(one)]
        if self.is_local:
            container.delivery.flush(_FLUSH)
            self._add_waiting(before if self._left else [], self._left)
            self._left = ""
            return
        # A background flush would have continued. Otherwise only pending notices are waited for.
        if any(one._background._shift is not None for one in deliveries) or not before:
            container.delivery.flush(container.settings.flush_timeout)
            before = [event for one in deliveries for event in _pending(one)]
        self._add_waiting(before, self._left or "nothing has flushed since it was captured")

    def _add_waiting(self, events: Iterable[Event], reason: str) -> None:
        here: Recording | None = self
        found = [(event, reason) for event in events]
        while here is not None:
            here.waiting += found
            here = here.outer

    def _received(self, events: Sequence[Event]) -> None:
        here: Recording | None = self
        while here is not None:
            here.events += events
            here = here.outer

    def _note_dropped(self, dropped: Dropped) -> None:
        here: Recording | None = self
        while here is not None:
            here.dropped.append(dropped)
            here = here.outer

    def _note_flush(self, report: FlushReport) -> None:
        self._left = report.reason if report.pending else ""


class _Exporter(MemoryExporter):
    """Keeps events in the lists of a recording, and of enclosing ones."""

    def __init__(self, received: Callable[[Sequence[Event]], object]) -> None:
        super().__init__()
        self._received = received

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        outcome = super().send(batch, timeout)
        self._received(self.events)
        self.events = []
        return outcome


class _Listener:
    """An `on_error` or `on_flush` that stores its argument, and calls the function's own."""

    __slots__ = ("_note", "_own")

    def __init__(self, note: Callable[[Any], object], own: Callable[[Any], object] | None) -> None:
        self._note, self._own = note, own

    def __call__(self, report: Any) -> None:
        self._note(report)
        if self._own is not None:
            self._own(report)

    def __eq__(self, other: object) -> bool:
        """Settings with the same functions are equal."""
        return isinstance(other, _Listener) and (self._note, self._own) == (other._note, other._own)

    def __hash__(self) -> int:
        return hash(self._note)


def _deliveries(container: _process.Container) -> Sequence[Delivery]:
    """Return the delivery of each destination."""
    delivery: Any = getattr(container.delivery, "_delivery", container.delivery)  # without that of other SDKs
    return getattr(delivery, "deliveries", (delivery,))


def _pending(delivery: Delivery) -> list[Event]:
    """Return the waiting events, as far as they are JSON."""
    accounts = delivery._accounts
    with accounts.lock:
        items = [*accounts.buffer._items(), *accounts.intake]
    return [decoded(item.data) for item in items]


def decoded(data: bytes) -> Event:
    """Decode an event; an unreadable one has no fields."""
    try:
        event = json.loads(data)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
