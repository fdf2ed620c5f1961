"""Notifies watchers of changes by server-sent events, at most ten per second for each of them."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from ..store.change import Change

_KEPT = 2000  # changes that a watcher can be behind
_PAUSE = 0.1  # seconds between two events
_HEARTBEAT = 15.0
WATCHERS_MAX = 32


class Stream:
    """The changes of the current run, numbered."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._number = 0
        self._changes: deque[tuple[int, Change]] = deque(maxlen=_KEPT)
        self._changed = threading.Condition()
        self._is_closed = False
        self._watchers = 0

    def publish(self, change: Change) -> None:
        """Notify the watchers of a change."""
        if not (change.events or change.lifecycle or change.sandboxes or change.traces):
            return
        with self._changed:
            self._number += 1
            self._changes.append((self._number, change))
            self._changed.notify_all()

    def close(self) -> None:
        """End what the watchers read."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def watch(self, last_id: str | None, has_left: Callable[[], bool]) -> Iterator[bytes]:
        """Return the events for one watcher, from `last_id` on or from now on, until it has left.

        Raises OverflowError if there are too many watchers.
        """
        with self._changed:
            if self._watchers >= WATCHERS_MAX:
                raise OverflowError
            self._watchers += 1
        return self._events(last_id, has_left)

    def _events(self, last_id: str | None, has_left: Callable[[], bool]) -> Iterator[bytes]:
        try:
            at, is_whole = self._position(last_id)
            yield b"retry: 1000\n\n" if is_whole else self._event(at, "reset", "{}")
            while not has_left():
                at, missed = self._behind(at)
                if self._is_closed:
                    return
                if not missed:
                    yield b": still here\n\n"
                    continue
                merged = Change()
                for change in missed:
                    merged.add(change)
                yield self._event(at, "change", json.dumps(merged.document()))
                time.sleep(_PAUSE)
        finally:
            with self._changed:
                self._watchers -= 1

    def _behind(self, at: int) -> tuple[int, list[Change]]:
        """Wait for changes behind a number; gives the latest number, and the changes."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._number > at, _HEARTBEAT)
            return self._number, [change for number, change in self._changes if number > at]

    def _position(self, last_id: str | None) -> tuple[int, bool]:
        """Return where a watcher goes on, and whether nothing between is lost to it."""
        run, _, number = (last_id or "").rpartition(".")
        with self._changed:
            if not last_id:
                return self._number, True
            oldest = self._changes[0][0] if self._changes else self._number + 1
            if run != self._run or not number.isdecimal() or not oldest - 1 <= int(number[:15]) <= self._number:
                return self._number, False
            return int(number), True

    def _event(self, at: int, name: str, data: str) -> bytes:
        return f"id: {self._run}.{at}\nevent: {name}\ndata: {data}\n\n".encode()
