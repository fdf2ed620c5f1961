"""One sender thread, one job at a time. A job that hangs is abandoned with its thread."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .._base import threads
from .._base.guard import pass_on
from .._base.log import describe, warn_once
from .._base.reports import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

ABORT_GRACE = 0.05
"""Seconds that a job which is cut off gets to come to an end before its thread is given up as stuck (in name
resolution, which nothing can cut off)."""
MOMENT = 0.01
"""Seconds between two looks at what is about to change."""
_STUMBLED = 0.05
"""Seconds before the next try, when we have failed ourselves."""
_NEW, _RUNS, _OVER = range(3)


class Bells:
    """Wakes the threads that wait for a change. All methods with the lock held.

    In place of threading.Condition, whose `wait` and `with` are Python functions: an exception that a signal handler
    raises in them can leave the lock held for ever. A thread hangs up its bell (a plain lock) with the delivery's lock
    held, and waits for it to be rung, by acquiring it, when it has let go of that.
    """

    def __init__(self) -> None:
        self._hung: dict[threading.Lock, None] = {}

    def hang(self, bell: threading.Lock) -> None:
        """Have this one rung at the next change."""
        bell.acquire(blocking=False)
        self._hung[bell] = None

    def take_down(self, bell: threading.Lock) -> None:
        """Nobody waits for it any more."""
        self._hung.pop(bell, None)

    def ring(self) -> None:
        """Something has changed."""
        for bell in self._hung:
            if bell.locked():  # else it was rung in an earlier call, which a signal handler has ended
                bell.release()
        self._hung.clear()


class Job:
    """What one thread does while it holds no lock.

    `sends`: events are in flight, within `timeout` seconds; `slow`: one that gets more time than others, as long as
    nobody waits. `tells`: somebody may wait for it.
    """

    __slots__ = ("_began", "is_cut", "run", "sends", "slow", "state", "tells", "thread", "timeout")

    def __init__(
        self,
        run: Callable[[], Outcome | None],
        *,
        sends: bool = False,
        tells: bool = False,
        slow: bool = False,
        timeout: float = 0.0,
    ) -> None:
        self.run, self.sends, self.tells, self.slow, self.timeout = run, sends, tells, slow, timeout
        self.thread = threading.current_thread()
        self.state, self.is_cut = _NEW, False
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began


class Worker:
    """All methods with the lock held, except `staff`, `cut` and `do`, which others' code may run in.

    A thread that hangs is given up: what its job comes to is ignored from then on, and another thread takes its place,
    unless one that was given up before it is still about. Where no thread can be had, others `do` what they wait for.
    """

    def __init__(
        self,
        lock: threading.RLock,
        bells: Bells,
        *,
        begin: Callable[[], object],
        next_job: Callable[[bool], Job | None],
        rest: Callable[[], float],
        settle: Callable[[Outcome, Job], object],
        cancel: Callable[[], object],
        failed: Callable[[], object],
        released: Callable[[], object],
    ) -> None:
        """Where jobs come from, and what is done around them; all but `begin`, `cancel` and `released` with the lock
        held.

        `begin`: at the start of a thread. `next_job(fresh)`: what is to be done now, if anything; by a thread that has
        just started? `rest`: seconds until there may be something to do that nobody notifies us of. `settle`: what has
        come of a job that sends. `cancel`: cut off what the job under way is blocked in. `failed`: we have, ourselves.
        `released`: do what must not be done with the lock held.
        """
        self._lock, self._bells = lock, bells
        self._begin, self._next_job, self._rest = begin, next_job, rest
        self._settle, self._cancel, self._failed, self._released = settle, cancel, failed, released
        self.job: Job | None = None
        self.thread: threading.Thread | None = None
        self.stuck: list[threading.Thread] = []
        self._shift: object = None  # what the thread that is on duty, or has been sent for, was given at its start
        self._retired = self.is_held = False  # no other thread from now on; for now

    @property
    def is_stuck(self) -> bool:
        """Whether its thread hangs, and cannot be replaced."""
        return self.thread in self.stuck

    @property
    def is_me(self) -> bool:
        """Whether the calling thread is the one that sends: for itself it would wait in vain."""
        me, job = threading.current_thread(), self.job
        return me is self.thread or (job is not None and job.state == _RUNS and me is job.thread)

    @property
    def is_free(self) -> bool:
        """Whether no job is under way; one that this very thread has taken and was kept from is none."""
        job = self.job
        return job is None or (job.state != _RUNS and job.thread is threading.current_thread())

    @property
    def is_staffed(self) -> bool:
        """Whether there is a thread that does the jobs."""
        return self._shift is not None

    def staff(self) -> bool:
        """See that there is a thread; False where none can be had. Without the lock: to start a thread runs code of
        others, such as a patched `Thread.start` and audit hooks."""
        if not self._is_vacant:
            return self._shift is not None
        shift = object()
        try:
            with self._lock:
                if not self._is_vacant:
                    return self._shift is not None
                self._shift, self.thread = shift, None
            thread = threads.start("zespan-sender", self._run, shift)
            if self._shift is shift:
                self.thread = thread
        except BaseException as error:
            if self._shift is shift:
                self._shift = None
            if not isinstance(error, RuntimeError):
                raise
            pass_on(error)
            with self._lock:  # no threads on this platform, or no more, or the interpreter is shutting down
                self._bells.ring()
            return False
        return True

    @property
    def _is_vacant(self) -> bool:
        if self._retired or self.is_held:
            return False
        return self._shift is None or (self.thread is not None and self.stuck == [self.thread])

    def forget(self) -> None:
        """In a forked child: there is no thread but the one that has forked. If that is the sender, it ends with what
        it is doing, and nobody will release the lock if another held it."""
        self._lock, self._bells = threading.RLock(), Bells()
        self.job = self.thread = self._shift = None

    def dismiss(self) -> threading.Thread | None:
        """Let the thread end when its job has; the next `staff` starts another. Gives the thread."""
        thread, self.thread, self._shift = self.thread, None, None
        self._bells.ring()
        return thread

    def retire(self) -> threading.Thread | None:
        """Dismiss the thread for good."""
        self._retired = True
        return self.dismiss()

    def take(self, *, fresh: bool = False) -> Job | None:
        """The next job, for the thread that asks; None if there is nothing to do, or somebody is at it."""
        job = self.job
        if job is not None:
            if not self.is_free:
                return None
            if job.state == _NEW:  # a signal handler has ended what was about to do it
                return job
            self.job = None
            if job.sends:
                self._settle(Outcome("retry", "interrupted"), job)
        self.job = self._next_job(fresh)
        return self.job

    def cut(self) -> None:
        """End what is under way: its thread hands back what is in flight, or it is taken from it. Without the lock."""
        job, until, waited, bell = self.job, time.monotonic() + ABORT_GRACE, 0.0, threading.Lock()
        while job is not None and self.job is job:
            job.is_cut = True
            self._cancel()  # more than once: it may come before there is anything to cut off
            with self._lock:
                if self.job is not job:
                    break
                left = min(until - time.monotonic(), ABORT_GRACE - waited)  # the clock may stand still
                if not left > 0:
                    self.job = None
                    self.stuck.append(job.thread)
                    if job.sends:
                        self._settle(Outcome("retry", "stuck"), job)
                    self._bells.ring()
                    break
                self._bells.hang(bell)
            if not bell.acquire(timeout=min(left, MOMENT)):
                waited += MOMENT
        with self._lock:
            self._bells.take_down(bell)
        self._released()

    def do(self, job: Job) -> None:
        """Do it, with no lock held. What it comes to is ignored if it was given up as stuck meanwhile."""
        outcome = None
        try:
            job.state = _RUNS
            outcome = job.run()
        finally:
            job.state = _OVER
            with self._lock:
                self.stuck = [thread for thread in self.stuck if thread is not job.thread]
                self._bells.ring()
                if self.job is job:
                    self.job = None
                    if job.sends:
                        self._settle(outcome or Outcome("retry", "interrupted"), job)
            self._released()

    def _run(self, shift: object) -> None:
        bell, fresh = threading.Lock(), True
        try:
            with self._lock:
                if self._shift is not shift:
                    return
                self.thread = threading.current_thread()
            self._begin()
            while True:
                try:
                    with self._lock:
                        if self._shift is not shift:
                            return
                        job = self.take(fresh=fresh)
                        fresh, pause = False, 0.0
                        if job is None:
                            pause = self._rest()
                            self._bells.hang(bell)
                    self._released()
                    if job is not None:
                        self.do(job)
                    else:
                        bell.acquire(timeout=pause)
                except Exception as error:
                    # To end here would have every flush start a thread, and again, until its time is over.
                    warn_once("telemetry failed while it was sending: %s", describe(error))
                    with self._lock:
                        self._failed()
                        self._bells.ring()
                    self._released()
                    time.sleep(_STUMBLED)
        finally:
            with self._lock:
                self._bells.take_down(bell)
                if self._shift is shift:  # SystemExit or the like, from an exporter
                    self._shift = self.thread = None
                    self._bells.ring()
