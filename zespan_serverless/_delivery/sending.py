"""What the sender does: choose the next batch, send it, and account for the outcome.

delivered      the batch is counted; batches may grow again
  rejected     so many of its events are dropped
retry          the batch waits again; the breaker counts a failure of the backend
  too slow     the batch was too large for its timeout: batches become smaller, and a single slow event is sent last
  suspect      an event may be to blame: the same, but with far more patience
refused        the batch is halved, until the refused event is alone and is dropped
unauthorized   the batch is dropped

With a fallback, a batch may go there instead: see `parking`.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from .._base import log, threads
from .._base.guard import pass_on
from .._base.reports import Outcome
from .breaker import Breaker
from .budget import backoff, clamp_retry_after
from .worker import MOMENT, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._base.exporter import Exporter
    from .accounts import Accounts
    from .buffer import Item

IN_TIME = 0.9
"""An attempt that fails after this part of its timeout has failed because the time was too short."""
QUICKLY = 0.4
"""An attempt that succeeds within this part of its timeout would have had time for a batch twice as large."""
SLOW_TRIES = 3
"""How often a single event may run out of time, while others are delivered, before it is dropped."""
SUSPECT_TRIES, SUSPECT_PATIENCE = 10, 600.0
"""The same for an event that the backend may fail at; and the seconds since it first did that it is kept at least."""
SLOW_PATIENCE = 10.0
"""The timeout of a slow event while no flush waits, as a multiple of `flush_timeout`."""


class ExporterCalls:
    """Calls the methods of the exporter, which may be the user's, without the lock, and catches their exceptions."""

    __slots__ = ("_exporter", "is_ours")

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self.is_ours = type(exporter).__module__.partition(".")[0] == __name__.partition(".")[0]

    def send(self, batch: Sequence[Item], timeout: float) -> Outcome:
        """Send a batch. An exception counts as the outcome `retry`."""
        try:
            outcome: object = self._call(self._exporter.send, [item.data for item in batch], timeout)
        except Exception as error:
            pass_on(error)
            return Outcome("retry", log.describe(error))
        return outcome if isinstance(outcome, Outcome) else Outcome("retry", f"send() returned {outcome!r}")

    def prepare(self, timeout: float) -> None:
        """Open the connection, if the exporter has a method for that."""
        prepare = getattr(self._exporter, "prepare", None)
        try:
            if prepare is not None:
                self._call(prepare, timeout)
        except Exception as error:  # the first send will fail in the same way, and count it
            pass_on(error)
            log.line("not-connected", "no connection could be opened in advance: %r", error, level=log.DEBUG)

    def cancel(self) -> None:
        """Make a call in another thread return."""
        try:
            self._exporter.cancel()
        except Exception as error:
            pass_on(error)

    def close(self) -> None:
        """Close the connections."""
        try:
            self._call(self._exporter.close)
        except Exception as error:
            pass_on(error)

    def _call(self, method: Callable[..., Any], *args: Any) -> Any:
        """Call a method. A user's exporter may start processes, see `threads`."""
        if self.is_ours:
            return method(*args)
        with threads.as_main_thread():
            return method(*args)


class Sending:
    """The sender's decisions. All methods are called with the lock held.

    `is_stale`: the exporter has connections of the parent process, and is closed before anything is sent. `_luck`: how
    many batches were delivered, less those that the backend may have failed at.
    """

    __slots__ = ("_accounts", "_delivered_before", "_exporter", "_luck", "_took", "is_stale")

    def __init__(self, accounts: Accounts, exporter: ExporterCalls) -> None:
        self._accounts, self._exporter = accounts, exporter
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._delivered_before = 0  # events, when an attempt last ran out of time, or may have failed at an event
        self._luck = 0
        self._took = 0.0  # seconds, the last batch that was delivered
        self.is_stale = False

    # The next job

    def next_job(self, fresh: bool) -> Job | None:
        """Return the next job, or None. `fresh`: for a thread that has just started."""
        accounts = self._accounts
        accounts.drain_intake()
        if self.is_stale:
            self.is_stale = False
            return Job(self._exporter.close)
        if accounts.parking is not None and (job := accounts.parking.next_job()) is not None:
            return job
        if (job := self._batch_job()) is not None:
            return job
        if accounts.notices:
            return Job(accounts.notices.drain(), notifies=True)
        if not fresh or accounts.unreachable(time.time()):
            return None
        return Job(partial(self._exporter.prepare, accounts.settings.flush_timeout))

    def idle_seconds(self) -> float:
        """Return seconds until there may be a job, unless the sender is woken before."""
        accounts = self._accounts
        interval = accounts.settings.flush_interval
        if accounts.worker.job is None and accounts.waiters.time_left():
            # The flush waits for the end of a pause after a failure, or is about to notice that it has ended.
            return min(interval, max(MOMENT, accounts.retry_at - time.monotonic()))
        oldest = accounts.buffer.oldest_at
        seconds = interval if oldest is None else oldest + interval - time.time()
        seconds = seconds if 0 < seconds < interval else interval
        if accounts.parking is not None:
            seconds = min(seconds, max(MOMENT, accounts.parking.idle_seconds()))
        return min(seconds, accounts.notices.idle_seconds() or seconds)

    def _is_due(self, now: float) -> bool:
        """Whether to send a batch although no flush waits."""
        buffer = self._accounts.buffer
        oldest, interval = buffer.oldest_at, self._accounts.settings.flush_interval
        return buffer.is_split or buffer.is_full or (oldest is not None and not 0 <= now - oldest < interval)

    def _batch_job(self) -> Job | None:
        """Return the sending of a batch, if it is time for one."""
        accounts, now = self._accounts, time.time()
        if accounts.closed or not accounts.buffer or time.monotonic() < accounts.retry_at or accounts.unreachable(now):
            return None
        timeout, slow = accounts.waiters.time_left(), False
        if not (timeout or self._is_due(now)):
            return None
        batch = accounts.buffer.next_batch(now)
        if not timeout:
            slow = batch[0].slow
            timeout = accounts.settings.flush_timeout * (SLOW_PATIENCE if slow else 1)
        elif accounts.parking is not None:
            timeout = accounts.parking.time_to_send(timeout)
        return Job(partial(self._exporter.send, batch, timeout), sends=True, slow=slow, timeout=timeout)

    # The outcome of a job

    def settle(self, outcome: Outcome, job: Job) -> None:
        """Account for one attempt. The events are counted first, because what follows may fail."""
        accounts, buffer = self._accounts, self._accounts.buffer
        if job.parks and accounts.parking is not None:
            accounts.parking.settle(outcome, job)
        elif outcome.verdict == "retry":
            self._keep_batch(outcome, job)
        elif outcome.verdict == "refused" and len(buffer.in_flight) > 1:
            buffer.halve()
            self._answered()
        elif outcome.verdict == "delivered":
            accounts.drop_rejected(outcome.rejected, outcome.detail)
            self._delivered(job)
            self._answered()
        else:
            accounts.drop_in_flight(outcome.verdict, outcome.detail)
            self._answered()
        buffer.mark_settled()
        accounts.drop_surplus()
        accounts.end_async_flushes()

    def sender_failed(self) -> None:
        """Count an error of our own while sending as a failure of the backend."""
        self._accounts.breaker.failed(time.time())
        self._accounts.end_async_flushes()

    def _delivered(self, job: Job) -> None:
        accounts, buffer = self._accounts, self._accounts.buffer
        batch = buffer.in_flight
        count, quickly = len(batch), job.seconds < QUICKLY * job.timeout
        # No call from here on, see `accounts`
        buffer.in_flight = []
        accounts.delivered += count
        # to here.
        self._luck += 1
        self._took = job.seconds
        if quickly:
            # An event that has failed alone is delivered after all: it is the backend that fails now and then.
            buffer.grow(absolved=any(item.breaker for item in batch))
        accounts.waiters.credit(batch, "delivered")
        accounts.notices.delivered()

    def _answered(self) -> None:
        self._accounts.breaker.succeeded()
        self._accounts.notices.over("away")

    def _keep_batch(self, outcome: Outcome, job: Job) -> None:
        """Keep a batch that was not delivered: it was too large for its timeout, or the backend is unreachable.

        A batch that is too large, or suspect, is divided, down to single events. An event that is so by itself is sent
        after all others, and with more time if no flush waits.
        """
        accounts, buffer = self._accounts, self._accounts.buffer
        item = buffer.in_flight[0] if len(buffer.in_flight) == 1 else None
        ran_out = job.seconds >= IN_TIME * min(job.timeout, accounts.settings.flush_timeout)
        # At the end of a flush: the last batch would not have been sent in so little time either.
        is_healthy = ran_out and job.timeout < self._took and accounts.delivered > self._delivered_before
        too_slow, fails = ran_out and not is_healthy, outcome.suspect is True
        if is_healthy:
            self._delivered_before = accounts.delivered
        elif too_slow or fails:
            is_healthy = item is not None and accounts.delivered > self._delivered_before
            self._delivered_before = accounts.delivered
            self._luck -= fails and (item is None or item.breaker is None)
            if item is None or too_slow:
                buffer.shrink(suspect=not too_slow)
            else:  # it may be the one to blame, and the others may pass together; or it is the backend
                buffer.restore()
        if item is None or not (too_slow or item.slow or (fails and (buffer.has_others or item.breaker))):
            buffer.put_back()
        elif self._is_given_up(item, too_slow, fails):
            reason, why = "too_large", f"{item.size} bytes, which cannot be sent within flush_timeout"
            if not too_slow:
                reason, why = "refused", f"{outcome.detail} to this event, but not to others"
            accounts.drop_in_flight(reason, f"{why}: tried {item.tries} times")
            return
        else:
            now = time.time()
            buffer.set_aside(now)
            is_healthy = is_healthy or bool(fails and item.blocked(now))  # which is pause enough
        if outcome.retry_after or not (is_healthy or (job.slow and job.aborted)):
            self._unreachable(outcome, _why(outcome, job))

    def _is_given_up(self, item: Item, too_slow: bool, fails: bool) -> bool:
        """Whether a slow or suspect event has used up its tries, each of which may take the whole time of a flush.

        A try counts only if others were delivered since the last one, in most attempts. Otherwise it is the backend
        that hangs, or fails now and then.
        """
        now, luck = time.time(), self._luck
        if fails:
            if item.breaker is None:
                item.breaker, item.luck_before = Breaker(), luck
            item.breaker.failed(now)
        if not (too_slow or fails):
            return False
        item.tries += luck > item.luck_before
        item.luck_before = luck
        if item.breaker is None:
            return item.tries >= SLOW_TRIES
        return item.tries >= SUSPECT_TRIES and item.breaker.is_away_for(now, SUSPECT_PATIENCE)

    def _unreachable(self, outcome: Outcome, why: str) -> None:
        """Count a failure of the backend, or note the pause that it has asked for."""
        accounts, breaker = self._accounts, self._accounts.breaker
        now, pause = time.time(), clamp_retry_after(outcome.retry_after or 0.0)
        if pause:
            breaker.silence(now, pause)
        else:
            breaker.failed(now)
            # An open breaker blocks attempts itself, by a clock that runs while the sandbox is frozen.
            if not breaker.is_open:
                jitter = int.from_bytes(os.urandom(2)) / 65536
                accounts.retry_at = time.monotonic() + backoff(breaker.failures, jitter)
        accounts.notices.unreachable(why, len(accounts.buffer))

    def forget_backend(self) -> None:
        """Assume that the backend is reachable, because what is known of it is old."""
        self._accounts.breaker, self._accounts.retry_at = Breaker(), 0.0


def _why(outcome: Outcome, job: Job) -> str:
    """Say for the log why an attempt failed. An aborted one ends with whatever error the closed socket causes."""
    if outcome.detail == "stuck":
        return "the attempt hangs in name resolution, or where else it cannot be interrupted"
    return f"no answer within {job.timeout:.1f} s" if job.aborted else outcome.detail
