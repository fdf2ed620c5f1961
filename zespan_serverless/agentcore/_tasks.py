"""Keeps the runtime busy while events are sent after a response."""

from __future__ import annotations

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


class Task:
    """A thread that flushes, as one of the tasks by which the runtime is busy.

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
            threads.start("zespan-agentcore", self._work, flush)
            is_started = True
        except RuntimeError as error:
            pass_on(error)
        finally:
            if not is_started:  # on any error: a session that stays busy costs money
                self._tasks.pop(self, None)
        return is_started

    def _work(self, flush: Callable[[], object]) -> None:
        try:
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
