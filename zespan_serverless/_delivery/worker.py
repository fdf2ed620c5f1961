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
"""Seconds that an aborted job gets to end before its thread is given up as stuck. Name resolution, for example, cannot
be interrupted."""
MOMENT = 0.01
"""Seconds between two checks of what is about to change."""
_FAILURE_PAUSE = 0.05
"""Seconds before the next try after an error of our own."""
_NEW, RUNNING, _DONE = range(3)  # states of a job


class Wakeups:
    """Wakes the threads that wait for a change. All methods are called with the lock held.

    Replaces threading.Condition, whose `wait` and `with` are Python functions: if a signal handler raises an exception
    in them, the lock may be held for ever. Here a thread registers a wakeup (a plain lock) with the delivery's lock
    held, and waits by acquiring the wakeup after it has released that.
    """

    def __init__(self) -> None:
        self._registered: dict[threading.Lock, None] = {}

    def register(self, wakeup: threading.Lock) -> None:
        """Wake its thread at the next change."""
        wakeup.acquire(blocking=False)
        self._registered[wakeup] = None

    def unregister(self, wakeup: threading.Lock) -> None:
        """Remove a wakeup, because no thread waits for it any more."""
        self._registered.pop(wakeup, None)

    def notify_all(self) -> None:
        """Wake all registered threads."""
        for wakeup in self._registered:
            if wakeup.locked():  # else an earlier call has released it before a signal handler ended that call
                wakeup.release()
        self._registered.clear()


class Job:
    """What one thread does without the lock.

    `sends`: it sends the batch in flight, in `timeout` seconds. `parks`: it calls the fallback, not the exporter.
    `slow`: it sends a batch that is slow, which gets more time as long as no flush waits. `notifies`: it calls
    `on_error`, `on_flush` or the log, and a flush may wait for that.
    """

    __slots__ = ("_began", "aborted", "notifies", "parks", "run", "sends", "slow", "state", "thread", "timeout")

    def __init__(
        self,
        run: Callable[[], Outcome | None],
        *,
        sends: bool = False,
        notifies: bool = False,
        slow: bool = False,
        parks: bool = False,
        timeout: float = 0.0,
    ) -> None:
        self.run: Callable[[], Outcome | None] = run
        self.sends: bool = sends
        self.notifies: bool = notifies
        self.slow: bool = slow
        self.timeout: float = timeout
        self.parks: bool = parks
        self.thread: threading.Thread = threading.current_thread()
        self.state: int = _NEW
        self.aborted: bool = False
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since it was created."""
        return time.monotonic() - self._began


class Worker:
    """All methods are called with the lock held, except `ensure_thread`, `abort`, `run_job`, which run code of others.

    A thread that hangs is given up: the outcome of its job is ignored from then on, and another thread takes its place,
    unless `hung_max` earlier ones still hang. Where no thread can be started, the threads that wait for a job run it.
    """

    def __init__(
        self,
        lock: threading.RLock,
        wakeups: Wakeups,
        *,
        begin: Callable[[], object],
        next_job: Callable[[bool], Job | None],
        idle_seconds: Callable[[], float],
        settle: Callable[[Outcome, Job], object],
        cancel: Callable[[], object],
        sender_failed: Callable[[], object],
        after_release: Callable[[], object],
    ) -> None:
        """Callbacks; all but `begin`, `cancel` and `after_release` are called with the lock held.

        `begin`: a thread has started. `next_job(fresh)`: the next job, or None; `fresh` if the thread has just
        started. `idle_seconds`: how long there will be nothing to do, unless a wakeup comes. `settle`: account for
        the outcome of a job that sends. `cancel`: interrupt what the current job is blocked in. `sender_failed`: there
        was an error of our own. `after_release`: do what must not be done with the lock held.
        """
        self._lock, self._wakeups = lock, wakeups
        self._begin, self._next_job, self._idle_seconds = begin, next_job, idle_seconds
        self._settle, self._cancel = settle, cancel
        self._sender_failed, self._after_release = sender_failed, after_release
        self.job: Job | None = None
        self.thread: threading.Thread | None = None
        self.stuck: list[threading.Thread] = []
        self.hung_max = 1
        self._shift: object = None  # identifies the thread that is on duty, or is being started
        self._retired = self.is_held = False  # no thread is started: ever again; for now

    @property
    def is_stuck(self) -> bool:
        """Whether the thread hangs, and cannot be replaced."""
        return self.thread in self.stuck

    @property
    def is_me(self) -> bool:
        """Whether the calling thread is the one that sends, which must not wait for itself."""
        me, job = threading.current_thread(), self.job
        return me is self.thread or (job is not None and job.state == RUNNING and me is job.thread)

    @property
    def is_free(self) -> bool:
        """Whether no job is under way. A job that this thread has taken, but could not run, does not count."""
        job = self.job
        return job is None or (job.state != RUNNING and job.thread is threading.current_thread())

    @property
    def has_thread(self) -> bool:
        """Whether there is a thread that runs the jobs."""
        return self._shift is not None

    def ensure_thread(self) -> bool:
        """Start the thread, unless there is one. False where no thread can be started.

        Called without the lock, because starting a thread runs code of others: a patched `Thread.start`, audit hooks.
        """
        if not self.needs_thread:
            return self._shift is not None
        shift = object()
        try:
            with self._lock:
                if not self.needs_thread:
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
                self._wakeups.notify_all()
            return False
        return True

    @property
    def needs_thread(self) -> bool:
        """Whether `ensure_thread` has one to start."""
        if (self._shift is not None and not self.stuck) or self._retired or self.is_held:
            return False
        return self._shift is None or (self.is_stuck and len(self.stuck) <= self.hung_max)

    def reset_in_child(self) -> None:
        """Reset in a forked child, where only the thread that forked exists. If that is the sender, it ends with its
        job.

        The lock is replaced, because another thread of the parent may have held it, and cannot release it.
        """
        self._lock, self._wakeups = threads.RLock(), Wakeups()
        self.job = self.thread = self._shift = None

    def dismiss(self) -> threading.Thread | None:
        """Let the thread end after its job, and return it. The next `ensure_thread` starts another."""
        thread, self.thread, self._shift = self.thread, None, None
        self._wakeups.notify_all()
        return thread

    def retire(self) -> threading.Thread | None:
        """Dismiss the thread, and start no other."""
        self._retired = True
        return self.dismiss()

    def take(self, *, fresh: bool = False) -> Job | None:
        """Return the next job for the calling thread; None if there is none, or another thread is doing it."""
        job = self.job
        if job is not None:
            if not self.is_free:
                return None
            if job.state == _NEW:  # a signal handler has prevented this thread from running it
                return job
            self.job = None
            if job.sends:
                self._settle(Outcome("retry", "interrupted"), job)
        self.job = self._next_job(fresh)
        return self.job

    def abort(self, job: Job | None = None) -> None:
        """End the current job: its thread hands back what is in flight, or is given up. Called without the lock.

        If a `job` is given, end no other.
        """
        job, deadline, waited, wakeup = job or self.job, time.monotonic() + ABORT_GRACE, 0.0, threading.Lock()
        while job is not None and self.job is job:
            job.aborted = True
            self._cancel()  # repeatedly: the first call may come before there is anything to interrupt
            with self._lock:
                if self.job is not job:
                    break
                time_left = min(deadline - time.monotonic(), ABORT_GRACE - waited)  # the clock may stand still
                if not time_left > 0:
                    self.job = None
                    self.stuck.append(job.thread)
                    if job.sends:
                        self._settle(Outcome("retry", "stuck"), job)
                    self._wakeups.notify_all()
                    break
                self._wakeups.register(wakeup)
            if not wakeup.acquire(timeout=min(time_left, MOMENT)):
                waited += MOMENT
        with self._lock:
            self._wakeups.unregister(wakeup)
        self._after_release()

    def run_job(self, job: Job, *, wakes: bool = True) -> None:
        """Run it without the lock. The outcome is ignored if the thread was given up as stuck meanwhile.

        `wakes`: also wake the threads that wait for it, and call what is queued.
        """
        outcome = None
        try:
            job.state = RUNNING
            outcome = job.run()
        finally:
            job.state = _DONE
            with self._lock:
                try:
                    if self.stuck:
                        self.stuck = [thread for thread in self.stuck if thread is not job.thread]
                    if self.job is job:
                        self.job = None
                        if job.sends:
                            self._settle(outcome or Outcome("retry", "interrupted"), job)
                finally:  # last, because a thread that wakes before the lock is free has to wait again
                    if wakes:
                        self._wakeups.notify_all()
            if wakes:
                self._after_release()

    def _run(self, shift: object) -> None:
        wakeup = threading.Lock()
        try:
            with self._lock:
                if self._shift is not shift:
                    return
                self.thread = threading.current_thread()
            self._begin()
            self._job_loop(shift, wakeup)
        finally:
            with self._lock:
                self._wakeups.unregister(wakeup)
                if self._shift is shift:  # an exporter has raised SystemExit or the like
                    self._shift = self.thread = None
                self._wakeups.notify_all()

    def _job_loop(self, shift: object, wakeup: threading.Lock) -> None:
        """Run jobs. Waiting threads are woken with the choice of the next: earlier, they would wait for the lock."""
        fresh, has_run = True, False
        while True:
            try:
                with self._lock:
                    if self._shift is not shift:
                        return
                    job = self.take(fresh=fresh)
                    pause = self._idle_seconds() if job is None else 0.0
                    if has_run:
                        self._wakeups.notify_all()
                    if job is None:
                        self._wakeups.register(wakeup)
                self._after_release()
                fresh, has_run = False, job is not None
                if job is not None:
                    self.run_job(job, wakes=False)
                else:
                    wakeup.acquire(timeout=pause)
            except Exception as error:
                # If the thread ended here, each flush would start one thread after another until its deadline.
                warn_once("telemetry-failed", "telemetry failed at the sending of events: %s", describe(error))
                with self._lock:
                    self._sender_failed()
                    self._wakeups.notify_all()
                self._after_release()
                time.sleep(_FAILURE_PAUSE)
