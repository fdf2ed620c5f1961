"""Notices for the log, `on_error` and `on_flush`. The sender calls them without the lock, as they are user code.

Each of the three listeners has a job of its own; the log comes first. A listener is skipped while an earlier call of it
has not returned. So one that hangs, or ends its thread, does not affect the others.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from .._base import log, threads
from .._base.guard import is_from_signal
from .._base.reports import Dropped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._base.reports import FlushReport
    from ..settings import Settings
    from .buffer import Item

NOTICES_MAX = 1000
"""How many reports of flushes, kinds of drops, and payloads of drops are kept until a listener returns.

Beyond that the oldest reports and payloads are forgotten, payloads also above `max_bytes` in all. The number of dropped
events is always exact."""

LINES_MAX, LINES_PERIOD = 10, 60.0
"""Maximum number of lines of one kind, and the seconds in which it applies, however often an episode begins."""

_EXPLANATIONS = {
    "buffer_full": "(the buffer is full, so the oldest are dropped: see max_events, max_bytes)",
    "closed": "(they could not be delivered before the end of shutdown() or the process, or were captured after it)",
}

_OUTAGES = {"away", "unauthorized"}
"""Episodes in which nothing is delivered: their end is logged, too."""

_OWN_ENDS = {"journal", "on_error", "on_flush"}
"""Episodes that do not end with a delivery."""

HANGS_AFTER = 1.0
"""Seconds after which a listener that has not returned is logged: until then it is only busy."""

ECHO_PAUSE = 1.0
"""Seconds before `on_error` is called for drops that it has caused itself, by capturing events."""


class Notices:
    """Notices that wait. All methods are called with the delivery's lock held, except `_notify`.

    An episode is a kind of trouble that has been logged, and is not logged again until it is over.
    """

    def __init__(self, settings: Settings, destination: str = "", name: str = "") -> None:
        self._settings, self._name = settings, name
        self.destination: str = destination or "the backend"
        self._lines: list[Callable[[], object]] = []
        self._drops: dict[tuple[str, str], int] = {}  # events by reason and detail
        self._payloads: deque[tuple[tuple[str, str], bytes]] = deque()
        self._size = 0  # of the payloads, bytes
        self._reports: deque[FlushReport] = deque(maxlen=NOTICES_MAX)
        # By listener (`log`, `on_error`, `on_flush`): the thread that runs it, and since when (monotonic).
        self._busy: dict[str, tuple[int, float]] = {}
        self._taken_by: set[int] = set()  # threads that are about to run one
        self._quiet_until = 0.0  # monotonic: on_error is not called before that
        self._episodes: set[str] = set()
        self._logged: dict[str, tuple[float, int]] = {}  # by kind: since when (wall clock), and how often
        self._lost = 0  # events dropped since the last delivery
        self._outage_at = 0.0  # wall clock

    def __bool__(self) -> bool:
        """Whether there is a notice whose listener can be called now."""
        return bool(
            (self._lines and "log" not in self._busy)
            or (self._drops and "on_error" not in self._busy and time.monotonic() >= self._quiet_until)
            or (self._reports and "on_flush" not in self._busy)
        )

    def is_reported_elsewhere(self) -> bool:
        """Whether another thread calls `on_error` or the log now, or is about to."""
        running = [thread for listener, (thread, _) in [*self._busy.items()] if listener != "on_flush"]
        return bool({*self._taken_by, *running} - {threading.get_ident()})

    def idle_seconds(self) -> float:
        """Return seconds until a delayed notice is due; 0 if there is none."""
        return max(0.0, self._quiet_until - time.monotonic()) if self._drops else 0.0

    def drain(self) -> Callable[[], None]:
        """Take all notices for the next listener. Returns the call that hands them out; needs a notice to be there."""
        self._taken_by.add(threading.get_ident())
        if self._lines and "log" not in self._busy:
            lines, self._lines = self._lines, []
            return partial(self._notify, "log", lines)
        if self._drops and "on_error" not in self._busy and time.monotonic() >= self._quiet_until:
            return partial(self._notify, "on_error", self._taken_drops())
        on_flush = self._settings.on_flush
        reports = [*self._reports]
        self._reports.clear()
        return partial(self._notify, "on_flush", [partial(on_flush, report) for report in reports if on_flush])

    # Adding notices

    def dropped(self, items: Sequence[Item], reason: str, detail: str) -> None:
        """These events will never be delivered."""
        detail = detail[: log.TEXT_MAX]
        if self._settings.on_error is not None:
            self._drop(items, reason, detail)
        text, explanation = "telemetry events are being dropped: %s", detail or _EXPLANATIONS.get(reason, "")
        if reason == "unauthorized" and self.destination not in explanation:
            explanation += f" from {self.destination}"
        if explanation:
            text += " %s"
        arguments = [reason, explanation] if explanation else [reason]
        code = f"dropped-{reason}"
        self.log_once(reason, code, text, *arguments, events=len(items), reason=reason, detail=detail)
        self._lost += len(items)

    def unreachable(self, detail: str, events: int) -> None:
        """Note that the backend cannot be reached, and that so many events wait."""
        text = "telemetry cannot be delivered for now; events are kept, and sent later: %s. If this continues, %s"
        detail = detail[: log.TEXT_MAX]
        self.log_once("away", "away", text, detail, self.destination, events=events, reason="away", detail=detail)

    def over(self, kind: str) -> None:
        """Note the end of an episode, such as `away` when the backend can be reached."""
        self._episodes.discard(kind)

    def delivered(self) -> None:
        """Events have been delivered: what goes wrong from now on is another episode, and is logged again."""
        lost, self._lost = self._lost, 0
        if not self._episodes:
            return
        if not self._episodes.isdisjoint(_OUTAGES):
            text = "telemetry is delivered again to %s, after %s s; events dropped meanwhile: %s"
            seconds = f"{max(0.0, time.time() - self._outage_at):.0f}"
            self.log_once("back", "delivered-again", text, self.destination, seconds, str(lost), reason="back")
        self._episodes &= _OWN_ENDS

    def journal(self, trouble: str) -> None:
        """Note that the journal cannot be written; or, with an empty text, that it can be again."""
        if trouble:
            self.log_once("journal", "journal-failed", "telemetry is kept in memory only, the journal in %s", trouble)
        elif "journal" in self._episodes:
            self.log_once("journal-back", "journal-back", "telemetry is kept in the journal again")
            self._episodes -= {"journal", "journal-back"}

    def flushed(self, report: FlushReport) -> None:
        """Note the end of a flush."""
        if self._settings.on_flush is None or self._is_called_here("on_flush"):  # it would call itself for ever
            return
        self._reports.append(report)
        self._note_hang("on_flush")

    def log_once(self, kind: str, code: str, text: str, *args: str, **fields: object) -> None:
        """Queue one line for each episode; `fields` are for logs in JSON."""
        if kind in self._episodes:
            return
        now = time.time()
        if kind in _OUTAGES and self._episodes.isdisjoint(_OUTAGES):
            self._outage_at = now
        since, count = self._logged.get(kind, (now, 0))
        if not 0 <= now - since < LINES_PERIOD:
            since, count = now, 0
        if count < LINES_MAX:
            self._episodes.add(kind)
            self._logged[kind] = (since, count + 1)
            if self._name:
                text, args, fields = f"%s: {text}", (self._name, *args), {**fields, "destination": self._name}
            self._lines.append(partial(_log, code, text, args, fields))

    def _drop(self, items: Sequence[Item], reason: str, detail: str) -> None:
        kind = (reason, detail)
        if kind not in self._drops and len(self._drops) >= NOTICES_MAX:
            kind = (reason, "")
        self._drops[kind] = self._drops.get(kind, 0) + len(items)
        for item in items:
            if item.data:
                self._payloads.append((kind, item.data))
                self._size += item.size
        while len(self._payloads) > NOTICES_MAX or self._size > self._settings.max_bytes:
            self._size -= len(self._payloads.popleft()[1])
        if self._is_called_here("on_error"):
            self._quiet_until = time.monotonic() + ECHO_PAUSE
        else:
            self._note_hang("on_error")

    def _is_called_here(self, listener: str) -> bool:
        """Whether this thread runs the listener."""
        busy = self._busy.get(listener)
        return busy is not None and busy[0] == threading.get_ident()

    def _note_hang(self, listener: str) -> None:
        """Log that a listener has not returned for long, if that is so. Its notices are kept until it has."""
        busy = self._busy.get(listener)
        if busy is not None and time.monotonic() - busy[1] >= HANGS_AFTER:
            text = "%s has not returned from an earlier call; it is not called until it does"
            self.log_once(listener, "listener-hangs", text, listener)

    # Calling listeners

    def _taken_drops(self) -> list[Callable[[], object]]:
        drops, payloads = self._drops, self._payloads
        self._drops, self._payloads, self._size = {}, deque(), 0
        payloads_of: dict[tuple[str, str], list[bytes]] = {kind: [] for kind in drops}
        for kind, data in payloads:
            payloads_of[kind].append(data)
        on_error = self._settings.on_error
        return [
            partial(on_error, Dropped(count, *kind, tuple(payloads_of[kind]), self._name))
            for kind, count in drops.items()
            if on_error
        ]

    def _notify(self, listener: str, calls: Sequence[Callable[[], object]]) -> None:
        """Call one listener, without the lock."""
        users: BaseException | None = None
        self._busy[listener] = (threading.get_ident(), time.monotonic())
        try:
            self._taken_by.discard(threading.get_ident())
            for call in calls:
                try:
                    with threads.as_main_thread():
                        call()
                except BaseException as error:  # also SystemExit, which would end the sender's thread
                    if _belongs_to_callers_thread(error):
                        users = error
                    else:
                        log.warn_once("listener-failed", "%s failed: %s", listener, log.describe(error))
        finally:
            self._busy.pop(listener, None)
            self._episodes.discard(listener)
        if users is not None:
            raise users


def _log(code: str, text: str, args: tuple[str, ...], fields: dict[str, object]) -> None:
    """Log one line. That of an outage gets the code of its cause, and what to do, which is chosen only here."""
    if code == "away":
        from .._base.forks import importing

        with importing():
            from .outages import advice
        code, todo = advice(*args[-2:])
        args = (*args[:-1], todo)
    log.logger.warning(text, *args, extra={**fields, "zespan_code": code})


def _belongs_to_callers_thread(error: BaseException) -> bool:
    """Whether an exception is meant for the main thread that runs the listener, and not raised by the listener."""
    if threading.current_thread() is not threading.main_thread():
        return False
    return isinstance(error, KeyboardInterrupt) or is_from_signal(error)
