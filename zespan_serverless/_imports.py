"""Forks wait for imports in threads of ours.

A child that is forked while another thread imports a module inherits the module's lock, and nobody who would release
it: it would hang as soon as it imports the same.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 5.0  # seconds, at most, that a fork waits: an import may hang

_state = threading.Condition()
_importing = 0  # threads


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """In a thread of ours, around the import of what may not be there yet."""
    global _importing
    state = _state
    with state:
        _importing += 1
    try:
        yield
    finally:
        with state:
            _importing -= state is _state  # not in a child that was forked in here
            state.notify_all()


def _before_fork() -> None:
    _state.acquire()  # and none begins until the fork is over
    _state.wait_for(lambda: not _importing, _PATIENCE)


def _in_parent() -> None:
    _state.release()


def _in_child() -> None:
    global _state, _importing
    _state, _importing = threading.Condition(), 0  # those who import are not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
