"""The thread that writes to a run: it commits everything that arrived meanwhile in one transaction."""

from __future__ import annotations

import queue
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from .change import Change

Step = Callable[[sqlite3.Connection], Change]

_WAITING_MAX = 64  # requests that wait to be written; then their senders wait for their answers
_BATCH_MAX = 100  # requests in one transaction
_SETTLE_MAX = 5.0  # seconds that a reader waits for what came before it


class Writer:
    """Runs steps in order, several in one transaction, and calls `changed` with their changes."""

    def __init__(
        self,
        db: sqlite3.Connection,
        lock: AbstractContextManager[object],
        changed: Callable[[Change], None],
        bounded: Callable[[sqlite3.Connection], None],
    ) -> None:
        self._db, self._lock, self._changed, self._bounded = db, lock, changed, bounded
        self._queue: queue.Queue[Step | threading.Event | None] = queue.Queue(_WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="zespan-dev-writer", daemon=True)
        self._thread.start()

    def put(self, step: Step) -> None:
        """Schedule a step."""
        self._queue.put(step)

    def settle(self) -> None:
        """Wait until all that was put before is written."""
        if self._queue.unfinished_tasks:
            done = threading.Event()
            self._queue.put(done)
            done.wait(_SETTLE_MAX)

    def close(self) -> None:
        """Write the rest, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            steps = [self._queue.get()]
            while len(steps) < _BATCH_MAX and not self._queue.empty():
                steps.append(self._queue.get_nowait())
            change = self._commit([step for step in steps if callable(step)])
            for step in steps:
                self._queue.task_done()
                if isinstance(step, threading.Event):
                    step.set()
            self._changed(change)
            if None in steps:
                return

    def _commit(self, steps: list[Step]) -> Change:
        """Run the steps in one transaction. If one of them fails, each gets its own, and the faulty one is left out."""
        change = Change()
        if not steps:
            return change
        try:
            return self._transaction(steps)
        except Exception as error:
            if len(steps) == 1:
                print(f"zespan-serverless dev: a request could not be kept: {error!r}", file=sys.stderr)
                return change
        for step in steps:
            change.add(self._commit([step]))
        return change

    def _transaction(self, steps: list[Step]) -> Change:
        change = Change()
        with self._lock, self._db:
            self._db.execute("BEGIN")
            for step in steps:
                change.add(step(self._db))
            if change.events or change.lifecycle:
                self._bounded(self._db)
        return change
