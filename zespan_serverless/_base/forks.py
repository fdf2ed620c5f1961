"""Makes a fork wait until none of our threads is importing a module.

A child that is forked while another thread imports a module inherits the locked import lock of that module, but not the
thread that would release it. It would hang when it imports the same module.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from . import threads

if TYPE_CHECKING:
    from collections.abc import Iterator

_WAIT_MAX = 5.0  # seconds that a fork waits at most: an import may hang
_POLL = 0.005  # seconds between two checks

# Forks happen in the user's threads, where a signal handler may raise in any line here, which must leave neither a held
# lock nor a wrong count behind. See `threads.RLock`. Each entry of the set names its thread.
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
    for _ in range(int(_WAIT_MAX / _POLL)):
        _lock.acquire()  # no import begins until the fork is over
        if all(thread == me for thread, _ in _importing):
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
