"""Flushes other SDKs together with our events, within the same time: the setting `flush`.

Their flushes may have no limit, or exceed the one that they are given. So each runs in its own daemon thread, at the
same time as ours, and is abandoned when the time of our flush is over. It is called again at the next flush once it has
returned. A flush that took too long is not waited for until it has been fast again, or a pause is over (5 s, then 10 s
... up to 60 s). Nothing is ever shut down.

    called at      every flush that a thread waits for: the end of an invocation, `flush()`, SIGTERM, the exit
    not called at  a background flush: there the process continues, and with it the threads of the other SDKs
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from .._base import forks, log, threads
from .._base.guard import pass_on
from .._base.other_flush import OtherFlush
from .._delivery.budget import probe_delay, waited

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from ..settings._flush import Flushable

FLUSH_MAX = 86_400.0
"""Maximum seconds of a flush, because a lock accepts no more than a few hundred years."""

_USED_UP = 0.95
"""Share of its time after which a flush counts as late: some give up just before the end without reporting it."""


class Round:
    """One flush of all other SDKs. `done` is called, in any thread, when there is nothing left to wait for.

    It has no lock: a signal handler may raise in any line, and a set and a dict change in one step each.
    """

    def __init__(self, timeout: float, done: Callable[[], object] = bool) -> None:
        self.began = time.monotonic()
        self.timeout = min(timeout, FLUSH_MAX)
        self.outcomes: dict[Other, OtherFlush] = {}
        self._left: set[object] = {self}  # removed by `begun`, so that the round cannot end before all have been called
        self._done, self._over = done, threading.Lock()
        self._over.acquire()

    def time_left(self) -> float:
        """Return the seconds until its time is over."""
        return self.began + self.timeout - time.monotonic()

    def wait_for(self, party: object) -> None:
        """Do not end before this entry has been settled."""
        self._left.add(party)

    def begun(self) -> None:
        """Note that all have been called."""
        self.settle(self)

    def settle(self, party: object, outcome: OtherFlush | None = None) -> None:
        """Note that this entry has ended."""
        if isinstance(party, Other) and outcome is not None:
            self.outcomes.setdefault(party, outcome)
        if party not in self._left:  # no thread waits for it
            return
        self._left.discard(party)
        if not self._left:
            with contextlib.suppress(RuntimeError):  # two threads were the last ones at the same time
                self._over.release()
            self._done()

    def wait(self) -> None:
        """Wait until all have ended, or the time is over."""
        if self._left:
            self._over.acquire(timeout=max(self.time_left(), 0.0))


class Other:
    """One entry of the setting, with the thread that flushes it."""

    def __init__(self, name: str, find: Callable[[], Iterable[Flushable]]) -> None:
        self.name, self._find = name, find
        self.forget()

    def forget(self) -> None:
        """Start again: in a forked child, and between tests."""
        self._inbox: SimpleQueue[Round | None] | None = None  # of the thread; None if there is none
        self._thread: threading.Thread | None = None
        self._until = 0.0  # monotonic: deadline of the current flush; 0 if there is none
        self._late, self._late_at = 0, 0.0  # flushes in a row that took too long; the last one's end (wall clock)

    @property
    def is_me(self) -> bool:
        """Whether the flush itself calls this."""
        return self._thread is threading.current_thread()

    def start(self) -> bool:
        """Start the thread, unless it runs. Return False if none can be started."""
        if self._inbox is None or self._thread is None or not self._thread.is_alive():  # a log handler may end a thread
            inbox: SimpleQueue[Round | None] = SimpleQueue()
            try:
                self._thread = threads.start(f"zespan-flush-{self.name}", self._run, inbox)
            except RuntimeError as error:
                pass_on(error)
                return False
            self._inbox = inbox
        return True

    def dismiss(self) -> threading.Thread | None:
        """Let the thread end when the flush has returned, and return the thread. The next flush starts another."""
        inbox, thread = self._inbox, self._thread
        self.forget()
        if inbox is not None:
            inbox.put(None)
        return thread

    def ask(self, flush: Round, *, probe: bool) -> None:
        """Start a flush, and let this round wait for it, unless it is known to be slow.

        With `probe` the round waits even if an earlier flush took too long.
        """
        if not self.start() or self._inbox is None:
            flush.settle(self, OtherFlush(self.name, "failed", detail="no thread can be started"))
        elif self._until and time.monotonic() > self._until:
            flush.settle(self, OtherFlush(self.name, "skipped", detail="an earlier flush has not returned yet"))
        else:
            if probe or not self._late or waited(time.time(), self._late_at, probe_delay(self._late - 1)):
                flush.wait_for(self)
            else:
                flush.settle(self, OtherFlush(self.name, "skipped", detail="an earlier flush took too long"))
            self._inbox.put(flush)

    def _run(self, inbox: SimpleQueue[Round | None]) -> None:
        pid = os.getpid()
        while True:
            asked = [inbox.get()]
            with contextlib.suppress(Empty):
                while True:
                    asked.append(inbox.get_nowait())
            flushes = [one for one in asked if one is not None]
            if flushes:
                outcome = self._flush(max(one.time_left() for one in flushes))
                if os.getpid() != pid:  # it has forked, and this is the child, which ends with its only thread
                    return
                for one in flushes:
                    one.settle(self, outcome)
            if len(flushes) < len(asked):
                return

    def _flush(self, seconds: float) -> OtherFlush:
        began = time.monotonic()
        self._until = began + max(seconds, 0.0)
        detail, is_found = "", False
        try:
            with threads.as_main_thread():
                for flushable in self._find():
                    detail, is_found = _failure(flushable, self._until - time.monotonic()) or detail, True
        except BaseException as error:  # SystemExit as well, which would end this thread
            detail = log.describe(error)
        took = time.monotonic() - began
        is_late = took >= seconds * _USED_UP
        if seconds > 0:
            self._late, self._late_at = self._late + 1 if is_late else 0, time.time()
        self._until = 0.0
        if detail:
            with threads.as_main_thread():
                log.warn_once("other-flush-failed", "the flush of %s failed: %s", self.name, detail)
        if is_late and not detail:
            return OtherFlush(self.name, "timeout", took, f"not over after {took:.2f} s")
        return OtherFlush(self.name, "failed" if detail else "done" if is_found else "absent", took, detail)


class Others:
    """All other SDKs. `begin` and `end` are called around our own flush."""

    def __init__(self, entries: Iterable[Flushable | str]) -> None:
        self._all = [_other(entry) for entry in entries]
        self.start()

    def start(self) -> None:
        """Start the threads now, because none can be started while the process exits."""
        for other in self._all:
            other.start()

    def begin(
        self, timeout: float, done: Callable[[], object] = bool, *, ours: object = None, probe: bool = False
    ) -> Round | None:
        """Start all flushes. Return None if there is no time, or if one of them calls this flush itself.

        `ours`: another entry that `done` waits for, settled by the caller. `probe`: see `Other.ask`.
        """
        if not timeout > 0 or any(other.is_me for other in self._all):
            return None
        flush = Round(timeout, done)
        if ours is not None:
            flush.wait_for(ours)
        for other in self._all:
            other.ask(flush, probe=probe)
        flush.begun()
        return flush

    def end(self, flush: Round) -> tuple[OtherFlush, ...]:
        """Return the outcome of each so far."""
        took = time.monotonic() - flush.began
        for other in self._all:
            if other not in flush.outcomes:
                late = OtherFlush(other.name, "timeout", took, f"not over after {took:.2f} s")
                # Skip a flush that was cut short, because the task that awaits it was cancelled.
                if flush.outcomes.setdefault(other, late) is late and took >= flush.timeout * _USED_UP:
                    text = "the flush of %s took too long, and is not waited for until it has been quick again"
                    log.warn_once("other-flush-slow", text, other.name)
        return tuple(flush.outcomes[other] for other in self._all)

    def dismiss(self, timeout: float = 0.0) -> None:
        """Dismiss the threads, and wait for their end, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        for thread in [other.dismiss() for other in self._all]:
            if thread is not None and timeout > 0 and thread is not threading.current_thread():
                thread.join(max(deadline - time.monotonic(), 0.0))

    def forget(self) -> None:
        """Reset in a forked child, whose threads are the parent's."""
        for other in self._all:
            other.forget()


def _other(entry: Flushable | str) -> Other:
    if isinstance(entry, str):
        from .known_sdks import find

        return Other(entry, lambda: find(entry))
    return Other(entry.name, lambda: [entry])


def _failure(flushable: Flushable, seconds: float) -> str:
    """Call the flush. Return what went wrong, or an empty string."""
    try:
        result: Any = flushable(max(seconds, 0.001))
        if hasattr(result, "__await__"):
            result = _awaited(result)
    except BaseException as error:
        return log.describe(error)
    return "it returned False" if result is False else ""


def _awaited(result: Any) -> object:
    with forks.importing():
        import asyncio

    async def wait() -> object:
        return await result

    coroutine: Coroutine[Any, Any, object] = wait()
    return asyncio.run(coroutine)
