"""Parks events in the fallback, a second exporter that takes what the backend cannot have. It is given the same bytes.

Events are parked when

    the process ends        and the backend is unavailable, or half of the time of the last flush is over; or little is
                            left of it, and the last attempt at the backend has failed
    the buffer fills up     it is half full and the backend is unavailable, or almost full although it is not
    an outage is long       the backend has been unavailable for `fallback_after` seconds, and a flush waits

The sender does this in the time of the flush that waits, if one does. A parked event is settled, as a delivered one.
While the fallback fails it is left alone for 1 s, 2 s ... up to 60 s, and events wait or are dropped as without it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from .._base import log
from ..settings.exporters import destination_of
from .budget import waited
from .buffer import Buffer, Item
from .sending import IN_TIME, ExporterCalls
from .worker import Job

if TYPE_CHECKING:
    from .._base.exporter import Exporter
    from .._base.reports import Outcome
    from ..settings import Settings
    from .accounts import Accounts
    from .journal import Journal
    from .waiters import FlushWaiter

FULL_IF_AWAY, FULL = 0.5, 0.9
"""How full the buffer is when its oldest events are parked: while the backend is unavailable, and while it is not. The
rest is for events that are captured meanwhile."""

NEEDED = 0.25
"""Seconds at the end of a process that the fallback gets if the last attempt at the backend has failed. That is all of
the time that Lambda leaves: half of it is too short for a disk or a service that is slow, and what waits is lost."""

_PAUSE_FIRST, _PAUSE_MAX = 1.0, 60.0  # seconds between two attempts after a failure
_SHORT = 0.2
"""Seconds that an attempt may have been too short for: if it was cut off before, the fallback may be all right."""
_FIRST_SHARE = 0.75
"""Share of a flush's time that the backend gets while a fallback that has to be prepared is not: importing an SDK takes
the rest. The process may be frozen after this flush, and end without another one."""
_SETTLED_IN = 0.1
"""Seconds after the first delivery until the fallback is prepared. A process that only lives for one flush is not to
import an SDK for nothing."""


def park_in(fallback: Exporter, accounts: Accounts, exporter: Exporter) -> ExporterCalls:
    """Give a delivery a fallback. Returns what makes the calls of its exporter."""
    calls = ExporterCalls(fallback)
    accounts.parking = Parking(accounts, calls, destination_of(fallback) or "the fallback")
    accounts.parking.needs_time = getattr(fallback, "needs_time", False) is True
    return _CallsOfBoth(exporter, calls, accounts)


class _CallsOfBoth(ExporterCalls):
    """Calls an exporter, and when something is to be interrupted or closed its fallback as well."""

    __slots__ = ("_accounts", "_fallback")

    def __init__(self, exporter: Exporter, fallback: ExporterCalls, accounts: Accounts) -> None:
        super().__init__(exporter)
        self._fallback, self._accounts = fallback, accounts
        self.is_ours = self.is_ours and fallback.is_ours

    def cancel(self) -> None:
        """Make a call in another thread return, of the one that is at work."""
        job = self._accounts.worker.job
        if job is not None and job.parks:
            self._fallback.cancel()
        else:
            super().cancel()

    def close(self) -> None:
        """Close the connections of both."""
        super().close()
        self._fallback.close()


class ParkingBuffer(Buffer):
    """A buffer whose events may be in flight to the fallback, too. `refused`: numbers of those that it refuses."""

    def __init__(self, settings: Settings, journal: Journal | None) -> None:
        super().__init__(settings, journal)
        self.refused: set[int] = set()

    @property
    def fullness(self) -> float:
        """How much of its room is taken: above 1.0 the oldest events are dropped."""
        events, size = len(self._waiting) + len(self._slow), self._bytes + self._slow_bytes
        return max(events / self._settings.max_events, size / self._settings.max_bytes)

    @property
    def has_parkable(self) -> bool:
        """Whether there are events that the fallback has not refused."""
        return any(item.number not in self.refused for item in chain(self.in_flight, self._waiting, self._slow))

    def next_to_park(self, count: int) -> None:
        """Put up to `count` of the oldest events in flight, without those that the fallback has refused.

        A slow event is alone.
        """
        if self.in_flight:  # an error of our own has prevented the last attempt
            return
        batch: list[Item] = []
        left, room = deque[Item](), self._settings.batch_bytes
        for item in self._waiting:
            fits = item.number not in self.refused and len(batch) < count and (room >= item.size or not batch)
            (batch if fits else left).append(item)
            room -= item.size if fits else 0
        slow = deque(self._slow)
        if not batch:
            batch = [next(item for item in slow if item.number not in self.refused)]
            slow.remove(batch[0])
        size, slow_size = sum(item.size for item in left), sum(item.size for item in slow)
        # No call from here on
        self._waiting, self._bytes, self._slow, self._slow_bytes, self.in_flight = left, size, slow, slow_size, batch

    def refuse(self) -> None:
        """Never offer the one event in flight to the fallback again."""
        pending = {item.number for item in self._items()}
        self.refused = {number for number in self.refused if number in pending} | {self.in_flight[0].number}

    def take_back(self) -> None:
        """Put the events in flight to the fallback back where they were."""
        if self.in_flight and self.in_flight[0].slow:
            self.set_aside(self.in_flight[0].at)
        else:
            self.put_back()


class Parking:
    """All methods are called with the lock held, except `late_job`.

    `calls` makes the calls of the fallback, whose name for the log is `where`. `needs_time`: to be prepared.
    """

    __slots__ = (
        "_accounts",
        "_began_at",
        "_buffer",
        "_calls",
        "_count",
        "_count_max",
        "_failed_at",
        "_pause",
        "_prepared",
        "_where",
        "needs_time",
    )

    def __init__(self, accounts: Accounts, calls: ExporterCalls, where: str) -> None:
        self._accounts, self._calls, self._where, self.needs_time = accounts, calls, where, False
        self._count_max = max(accounts.settings.max_events // 2, accounts.settings.batch_size)
        self.new_buffer()

    def new_buffer(self) -> Buffer:
        """Begin anew, with an empty buffer."""
        self._buffer = ParkingBuffer(self._accounts.settings, self._accounts.journal)
        self._count = self._count_max  # events in a batch at most
        self._failed_at = self._pause = 0.0  # wall clock, seconds
        self._prepared = False
        self._began_at = math.inf  # monotonic: when the sender has first seen that the backend takes events
        return self._buffer

    # Whether to park

    def is_due(self) -> bool:
        """Whether to park a batch now."""
        accounts, now = self._accounts, time.time()
        if not self._is_possible(now):
            return False
        blocked = bool(accounts.unreachable(now))
        is_away = blocked or time.monotonic() < accounts.retry_at
        if self._buffer.fullness > (FULL_IF_AWAY if is_away else FULL):
            return True
        needed = NEEDED if accounts.breaker.failures else 0.0
        if accounts.waiters.time_left_of_last(1.0 if is_away else 0.5, needed):
            return True
        return blocked and accounts.waiters.time_left() > 0 and self._is_outage_long(now)

    def last_chance(self) -> bool:
        """Try again although the last attempt has failed, because the process ends.

        Returns whether there are events to park. They need their time more than a probe of the backend does.
        """
        self._pause = 0.0
        return self._is_possible(time.time())

    def time_to_send(self, seconds: float) -> float:
        """Return the part of a flush's `seconds` for an attempt at the backend: half, if the fallback follows."""
        now = time.time()
        accounts = self._accounts
        follows = accounts.waiters.time_left_of_last(1.0) or self._is_outage_long(now) or self._is_to_be_prepared()
        if not self._is_possible(now):
            return seconds
        return seconds * (0.5 if follows else _FIRST_SHARE if self.needs_time and not self._prepared else 1.0)

    def patience(self, waiter: FlushWaiter) -> float:
        """Return the seconds until attempts at the backend must end for this flush to park; infinite if never.

        For exporters that do not keep to their time, and connections that are opened in advance, which have a time of
        their own. It is 0 or less only if such an attempt is under way.
        """
        job, now = self._accounts.worker.job, time.time()
        if not (waiter.is_last or self._is_outage_long(now)) or not (waiter.pending and self._is_possible(now)):
            return math.inf
        seconds = waiter.time_left() - waiter.timeout / 2
        return seconds if seconds > 0 or not (job is None or job.parks or job.notifies) else math.inf

    def late_job(self, waiter: FlushWaiter) -> Job | None:
        """Return the current attempt at the backend, if it leaves this flush no time to park. Needs no lock."""
        with self._accounts.lock:
            return None if self.patience(waiter) > 0 else self._accounts.worker.job

    def _is_possible(self, now: float) -> bool:
        accounts = self._accounts
        return not accounts.closed and self._buffer.has_parkable and waited(now, self._failed_at, self._pause)

    def _is_outage_long(self, now: float) -> bool:
        return self._accounts.breaker.is_away_for(now, self._accounts.settings.fallback_after)

    # What the sender does

    def has_job(self) -> bool:
        """Whether the sender is to be woken for `next_job`."""
        return self.is_due() or self._is_to_be_prepared()

    def next_job(self) -> Job | None:
        """Put the next batch in flight to the fallback, if one is due.

        Else prepare the fallback, because the last flush may be short: at once if the backend has failed, although a
        flush waits, which may be followed by nothing but the last one; otherwise soon after the first delivery.
        """
        accounts = self._accounts
        if self.is_due():
            self._buffer.next_to_park(self._count)
            timeout = accounts.waiters.time_left() or accounts.settings.flush_timeout
            send = partial(self._calls.send, self._buffer.in_flight, timeout)
            return Job(send, sends=True, parks=True, timeout=timeout)
        if not self._is_to_be_prepared() and (accounts.waiters.time_left() or self.idle_seconds() > 0):
            return None
        self._prepared = True
        return Job(partial(self._calls.prepare, accounts.settings.flush_timeout), parks=True)

    def idle_seconds(self) -> float:
        """Return the seconds until the fallback is prepared without a failure of the backend; infinite if never."""
        if self._prepared or self._accounts.closed or not self._accounts.delivered:
            return math.inf
        now = time.monotonic()
        self._began_at = min(self._began_at, now)
        return max(self._began_at + _SETTLED_IN - now, 0.0)

    def _is_to_be_prepared(self) -> bool:
        """Whether the backend has failed, and the fallback is not ready for it."""
        return self._accounts.breaker.failures > 0 and not (self._prepared or self._accounts.closed)

    def settle(self, outcome: Outcome, job: Job) -> None:
        """Account for the batch that was in flight to the fallback."""
        accounts, buffer = self._accounts, self._buffer
        if outcome.verdict == "delivered":
            accounts.drop_rejected(outcome.rejected, outcome.detail)
        batch = buffer.in_flight
        count = len(batch)
        if outcome.verdict == "delivered":
            # No call from here on, see `accounts`
            buffer.in_flight = []
            accounts.parked += count
            # to here.
            self._pause = 0.0
            self._count = min(self._count + self._count // 4 + 1, self._count_max)
            accounts.waiters.credit(batch, "parked")
            self._log_parked(count)
            return
        if outcome.verdict != "refused":
            if not self._was_too_short(job):
                self._failed_at, self._pause = time.time(), min(max(2 * self._pause, _PAUSE_FIRST), _PAUSE_MAX)
                self._log_refusal(outcome)
        elif count > 1:
            self._count = count // 2
        elif batch:
            buffer.refuse()
            self._log_refusal(outcome)
        buffer.take_back()

    def _was_too_short(self, job: Job) -> bool:
        """Whether an attempt has ended because a flush had so little time, which says nothing of the fallback."""
        limit = min(_SHORT, self._accounts.settings.flush_timeout / 2)
        return job.seconds < limit and (job.aborted or job.seconds >= IN_TIME * job.timeout)

    def _log_parked(self, events: int) -> None:
        text, notices = "telemetry that %s cannot have now is being parked in %s", self._accounts.notices
        arguments = [notices.destination, self._where]
        if isinstance(self._accounts.settings.fallback, str):  # otherwise it is the user's exporter
            text += ". To send it later: zespan-serverless replay %s"
            arguments.append(self._where)
        notices.over("fallback")
        notices.log_once("parked", "parked", text, *arguments, events=events, reason="parked")

    def _log_refusal(self, outcome: Outcome) -> None:
        text, detail = "telemetry cannot be parked in %s for now: %s", outcome.detail[: log.TEXT_MAX]
        self._accounts.notices.log_once("fallback", "fallback-failed", text, self._where, detail, reason="fallback")
