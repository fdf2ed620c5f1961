"""Keeps the runtime busy while events are sent after a response."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from .._base import threads
from .._base.guard import Guarded, pass_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._process import Container

_NAME = "zespan_agentcore"
_LOOK = 0.1
"""Seconds between two checks whether the user's tasks are done."""
_HEAD_START = 0.005
"""Seconds that leave the GIL to the response before its events are sent."""
_IDLE_MAX = 4
"""Threads that are kept for later responses. To start one takes longer than the rest of the end of an invocation."""


class Task:
    """A flush in a thread, as one of the tasks by which the runtime is busy.

    While the user's own tasks run, it stays: what they capture is sent before the runtime reports that it is idle.
    """

    def __init__(self, tasks: dict[Any, Any], container: Container) -> None:
        self._tasks, self._container = tasks, container
        self._entry = {"name": _NAME, "start_time": time.time(), "follows": False}

    def run(self, flush: Callable[[], object]) -> bool:
        """False if no thread can be started."""
        is_started = False
        try:
            self._tasks[self] = self._entry
            _in_thread(lambda: self._work(flush))
            is_started = True
        except RuntimeError as error:
            pass_on(error)
        finally:
            if not is_started:  # on any error: a session that stays busy costs money
                self._tasks.pop(self, None)
        return is_started

    def _work(self, flush: Callable[[], object]) -> None:
        try:
            time.sleep(_HEAD_START)
            with Guarded("the flush"):
                flush()
                self._follow()
        finally:
            self._tasks.pop(self, None)

    def _follow(self) -> None:
        if not self.others() or any(entry.get("follows") for entry in list(self._tasks.values())):
            return
        self._entry["follows"] = True
        while self.others():
            time.sleep(_LOOK)
        self._entry["follows"] = False
        delivery = self._container.delivery
        timeout = self._container.settings.flush_timeout
        delivery.notify(delivery.flush(timeout), timeout)

    def others(self) -> bool:
        """Whether tasks of the application itself are running."""
        return any(entry.get("name") != _NAME for entry in list(self._tasks.values()))


class _Worker:
    """A thread that does one piece of work after another, and waits in between."""

    def __init__(self) -> None:
        self.work: Callable[[], object] | None = None
        self.wakeup = threading.Lock()
        self.wakeup.acquire()
        self.thread: threading.Thread | None = None

    def run(self) -> None:
        while self.work is not None:
            self.work()
            self.work = None
            if len(_idle) < _IDLE_MAX:
                _idle.append(self)
                self.wakeup.acquire()


_idle: list[_Worker] = []


def _in_thread(work: Callable[[], object]) -> None:
    """Do the work in a thread that waits for some, or in a new one. Raises RuntimeError if none can be started."""
    while _idle:
        try:
            worker = _idle.pop()
        except IndexError:  # another thread was faster
            break
        if worker.thread is not None and worker.thread.is_alive():  # not after a fork
            worker.work = work
            worker.wakeup.release()
            return
    worker = _Worker()
    worker.work = work
    worker.thread = threads.start("zespan-agentcore", worker.run)
