"""One thread that does one job at a time, and can be left behind in it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .. import _threads
from .._log import describe, warn_once
from ..exporters import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

ABORT_GRACE = 0.05
"""Seconds that a job which is cut off gets to come to an end before its thread is given up as stuck (in name
resolution, which nothing can cut off)."""
MOMENT = 0.01
"""Seconds between two looks at what is about to change."""
_STUMBLED = 0.05
"""Seconds before the next try, when we have failed ourselves."""


class Job:
    """What one thread does while it holds no lock. `sends`: events are in flight; `tells`: somebody may wait for it."""

    __slots__ = ("run", "sends", "tells", "thread")

    def __init__(self, run: Callable[[], Outcome | None], *, sends: bool = False, tells: bool = False) -> None:
        self.run, self.sends, self.tells = run, sends, tells
        self.thread = threading.current_thread()


class Worker:
    """All methods with the lock held, except `do`.

    A thread that hangs is given up: what its job comes to is ignored from then on, and another thread takes its place,
    unless one that was given up before it is still about. Where no thread can be had, others `do` what they wait for.
    """

    def __init__(
        self,
        lock: threading.Condition,
        *,
        begin: Callable[[], object],
        next_job: Callable[[bool], Job | None],
        rest: Callable[[], float],
        settle: Callable[[Outcome], object],
        cancel: Callable[[], object],
        failed: Callable[[], object],
    ) -> None:
        """Where jobs come from, and what is done around them; all but `begin` and `cancel` with the lock held.

        `begin`: at the start of a thread. `next_job(fresh)`: what is to be done now, if anything; by a thread that has
        just started? `rest`: seconds until there may be something to do that nobody notifies us of. `settle`: what has
        come of a job that sends. `cancel`: cut off what the job under way is blocked in. `failed`: we have, ourselves.
        """
        self._lock = lock
        self._begin, self._next_job, self._rest = begin, next_job, rest
        self._settle, self._cancel, self._failed = settle, cancel, failed
        self.job: Job | None = None
        self.thread: threading.Thread | None = None
        self.stuck: list[threading.Thread] = []
        self._retired = False

    @property
    def is_stuck(self) -> bool:
        """Whether its thread hangs, and cannot be replaced."""
        return self.thread in self.stuck

    @property
    def is_me(self) -> bool:
        """Whether the calling thread is the one that sends: for itself it would wait in vain."""
        me = threading.current_thread()
        return me is self.thread or (self.job is not None and me is self.job.thread)

    def staff(self) -> bool:
        """See that there is a thread; False where none can be had."""
        if (self.thread is None or self.stuck == [self.thread]) and not self._retired:
            try:
                self.thread = _threads.start("zespan-sender", self._run)
            except RuntimeError:  # no threads on this platform, or no more, or the interpreter is shutting down
                self.thread = None
        return self.thread is not None

    def dismiss(self) -> threading.Thread | None:
        """Let the thread end when its job has; the next `staff` starts another. Gives the thread."""
        thread, self.thread = self.thread, None
        self._lock.notify_all()
        return thread

    def retire(self) -> None:
        """Dismiss the thread for good."""
        self._retired = True
        self.dismiss()

    def take(self, *, fresh: bool = False) -> Job | None:
        """The next job, for the thread that asks; None if there is nothing to do, or somebody is at it."""
        if self.job is not None:
            return None
        self.job = self._next_job(fresh)
        return self.job

    def cut(self) -> None:
        """End what is under way: its thread hands back what is in flight, or it is taken from it."""
        job, until, waited = self.job, time.monotonic() + ABORT_GRACE, 0.0
        while job is not None and self.job is job:
            left = min(until - time.monotonic(), ABORT_GRACE - waited)  # the clock may stand still
            if not left > 0:
                self.job = None
                self.stuck.append(job.thread)
                if job.sends:
                    self._settle(Outcome("retry", "stuck"))
                self._lock.notify_all()
                return
            self._cancel()  # more than once: it may come before there is anything to cut off
            if not self._lock.wait(min(left, MOMENT)):
                waited += MOMENT

    def do(self, job: Job) -> None:
        """Do it, with no lock held. What it comes to is ignored if it was given up as stuck meanwhile."""
        outcome = None
        try:
            outcome = job.run()
        finally:
            with self._lock:
                self.stuck = [thread for thread in self.stuck if thread is not job.thread]
                self._lock.notify_all()
                if self.job is job:
                    self.job = None
                    if job.sends:
                        self._settle(outcome or Outcome("retry", "interrupted"))

    def _run(self) -> None:
        me, fresh = threading.current_thread(), True
        try:
            self._begin()
            while True:
                try:
                    with self._lock:
                        if self.thread is not me:
                            return
                        job = self.take(fresh=fresh)
                        fresh = False
                        if job is None:
                            self._lock.wait(self._rest())
                            continue
                    self.do(job)
                except Exception as error:
                    # To end here would have every flush start a thread, and again, until its time is over.
                    warn_once("telemetry failed while it was sending: %s", describe(error))
                    with self._lock:
                        self._failed()
                        self._lock.notify_all()
                    time.sleep(_STUMBLED)
        finally:
            with self._lock:
                if self.thread is me:  # SystemExit or the like, from on_error or an exporter
                    self.thread = None
                    self._lock.notify_all()
