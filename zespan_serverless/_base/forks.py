"""Forks wait for imports in threads of ours.

A child that is forked while another thread imports a module inherits the module's lock, and nobody who would release
it: it would hang as soon as it imports the same.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 5.0  # seconds, at most, that a fork waits: an import may hang
_LOOK = 0.005  # seconds between two looks

# Forks happen in the user's threads, where a signal handler may raise in any line of ours: nothing may be left held or
# counted by that. So the lock is one of C's, with which `with` cannot be interrupted halfway, and what is in the set
# names its thread.
_lock = threading.RLock()
_importing: set[tuple[int, object]] = set()  # threads' ids, each with a mark of its own


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """In a thread of ours, around the import of what may not be there yet."""
    mark = threading.get_ident(), object()
    try:
        with _lock:
            _importing.add(mark)
        yield
    finally:
        _importing.discard(mark)  # in a child that was forked in here there is nothing to discard


def _before_fork() -> None:
    me = threading.get_ident()
    for _ in range(int(_PATIENCE / _LOOK)):
        _lock.acquire()  # and none begins until the fork is over
        if all(thread == me for thread, _ in _importing):
            return
        _lock.release()
        time.sleep(_LOOK)
    _lock.acquire()


def _in_parent() -> None:
    with contextlib.suppress(RuntimeError):  # it is not ours, or not any more
        while True:
            _lock.release()


def _in_child() -> None:
    global _lock, _importing
    _lock, _importing = threading.RLock(), set()  # those who import are not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_in_parent)  # twice: a signal handler may end it before it has begun
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
