"""Reactions of the container to the end or a new start of its process: SIGTERM, exit, fork, snapshot."""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import partial
from typing import Any

from .. import _trace
from .._base import log
from .._base.guard import Guarded
from .._record.noted import timed_out
from . import listener, sigterm
from .container import current

AT_DEADLINE = 0.1
"""If an invocation has at most this many seconds left when SIGTERM arrives, the signal is attributed to its timeout."""

FRAMES_MAX = 50
"""How many of the innermost frames of the main thread's stack are noted at a deadline."""

_is_known_to_multiprocessing = False
_flushes_at_exit: bool | None = None  # False: pending events are only reported as dropped. None: undecided
has_ended = False  # whether SIGTERM or `_at_exit` has closed the delivery; other threads may go on for a while


def watch() -> None:
    """Watch for SIGTERM. Call it early, in the main thread: hosts may run requests in other threads."""
    sigterm.watch(_flush_on_sigterm, _close_on_sigterm)


def _flush_on_sigterm(seconds: float) -> None:
    """Report the invocation that its timeout is about to end, and flush."""
    container, root = current(), _trace.root()
    time_left = container.left() if container is not None else None
    if container is not None and root is not None and time_left is not None and time_left <= AT_DEADLINE:
        note = _deadline_note(time.time())
        for begun in container.delivery.mark_deadline(root.trace_id, note):
            container.capture(partial(timed_out, begun, note), begun.span_id)
    if container is not None:
        with Guarded("the flush on SIGTERM"):
            container.delivery.flush(seconds, probe=True, last=True)


def _close_on_sigterm() -> None:
    """Report events that could not be sent before the process ends, unless a journal keeps them for the next one."""
    global has_ended
    container, has_ended = current(), True
    if container is not None:
        container.delivery.close_at_exit(0)


def mark_deadline(deadline: float) -> None:
    """Record that the invocation has reached its deadline (seconds since the epoch), in case the process is killed."""
    container, root = current(), _trace.root()
    if container is not None and root is not None:
        container.delivery.mark_deadline(root.trace_id, _deadline_note(deadline))


def _deadline_note(deadline: float) -> dict[str, Any]:
    """Return the note for an invocation at its `deadline` (epoch seconds): the main thread's stack, innermost last."""
    lines: list[str] = []
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and len(lines) < FRAMES_MAX:
        code = frame.f_code
        if code.co_filename in (sigterm.__file__, listener.__file__):
            lines.clear()  # our frames in a signal handler: what it interrupted is below them
        else:
            lines.append(f"{code.co_filename}:{frame.f_lineno} in {code.co_name}")
        frame = frame.f_back
    return {"deadline": deadline, "noted": time.time(), "stack": "\n".join(reversed(lines))}


def pause() -> None:
    """Before a snapshot of this process: flush, and give up threads and connections."""
    container = current()
    if container is not None:
        container.delivery.pause(container.settings.flush_timeout)


def resume() -> None:
    """Start again in a process restored from a snapshot; the next invocation counts as the first."""
    log.reset()
    container = current()
    if container is not None:
        container.invocations, container.is_restored = 0, True
        container.delivery.resume()


def reset() -> None:
    """Return to the state after import (between tests): SIGTERM is not watched, and the action at exit is undecided."""
    global _flushes_at_exit, has_ended
    _flushes_at_exit, has_ended = None, False
    sigterm.reset()


def _after_fork() -> None:
    """Reset in a forked child: threads, locks, signals, sockets and buffered events are the parent's."""
    global _flushes_at_exit, has_ended
    has_ended = False
    _flushes_at_exit = True  # no decorator or `init` will
    container = current()
    if container is not None:
        container.delivery.reset()
        container.forget_held()
        container.first_in_child = watch  # multiprocessing's pools end their workers with SIGTERM
        for active in container.under_way():
            active.disown()
        _register_with_multiprocessing()


def at_exit(*, send: bool | None = True) -> None:
    """Close the delivery when the process exits, after a flush within flush_timeout.

    With `send=False` pending events are reported as dropped, unless another call asks for a flush; None leaves it open.
    """
    import atexit

    global _flushes_at_exit
    if send is not None:
        _flushes_at_exit = _flushes_at_exit or send
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    _register_with_multiprocessing()


def _register_with_multiprocessing() -> None:
    """Register with multiprocessing, whose children run its finalizers, but no atexit functions.

    They clear the finalizers when they start. Some import the main module before that, others are forked from a process
    that has imported it. So this registers a finalizer in a child that runs already, and for each later child.
    """
    global _is_known_to_multiprocessing
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is None or util is None:
        return
    if process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=100)
    if not _is_known_to_multiprocessing:
        _is_known_to_multiprocessing = True
        util.register_after_fork(_at_exit, lambda _: util.Finalize(None, _at_exit, exitpriority=100))


def _at_exit() -> None:
    """Flush and close; events that cannot be sent are reported, or kept in the journal for the next process."""
    global has_ended
    container, has_ended = current(), True
    if container is not None:
        try:
            container.delivery.close_at_exit(0 if _flushes_at_exit is False else container.settings.flush_timeout)
        except BaseException:  # of a signal handler: a second signal, which says that the process is to end now
            _close_on_sigterm()
            raise


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
