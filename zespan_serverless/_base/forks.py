"""Makes a fork wait until no other thread is importing a module of this package, nor one of our threads any module.

A child inherits the import lock of that module, and would wait for it when it imports the same module.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from importlib import _bootstrap
from typing import TYPE_CHECKING

from . import threads

if TYPE_CHECKING:
    from collections.abc import Iterator

_WAIT_MAX = 5.0  # seconds that a fork waits at most: an import may hang
_POLL = 0.005  # seconds between two checks

# Forks happen in the user's threads, where a signal handler may raise in any line: no lock may stay held, see
# `threads.RLock`, nor a wrong count. Each entry of the set names its thread.
_lock = threads.RLock()
_importing: set[tuple[int, object]] = set()  # thread ids, each with a unique mark


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Wraps an import, in one of our threads, of a module that may not have been imported yet."""
    mark = threading.get_ident(), object()
    try:
        with _lock:
            _importing.add(mark)
        yield
    finally:
        _importing.discard(mark)  # in a child that was forked in here it is not in the set


def _before_fork() -> None:
    me = threading.get_ident()
    locks = getattr(_bootstrap, "_module_locks", {})  # of current imports
    for _ in range(int(_WAIT_MAX / _POLL)):
        _lock.acquire()  # no import begins until the fork is over
        busy: dict[int, object] = dict(_importing)
        for name, lock in list(locks.items()):
            if name[:7] == "zespan_":
                busy[getattr(lock(), "owner", me)] = lock
        if not busy.keys() & sys._current_frames().keys() - {me}:  # the parent's threads do not exist here
            return
        _lock.release()
        time.sleep(_POLL)
    _lock.acquire()


def _in_parent() -> None:
    with contextlib.suppress(RuntimeError):  # this thread does not hold it, or has released it
        while True:
            _lock.release()


def _in_child() -> None:
    global _lock, _importing
    _lock, _importing = threads.RLock(), set()  # the threads that import do not exist in the child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_in_parent)  # twice, because a signal handler may end the first call
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
