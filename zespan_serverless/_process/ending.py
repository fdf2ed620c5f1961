"""How a process ends, or begins again: SIGTERM, exit, fork, snapshot."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import Any

from .. import _trace
from .._base import log
from .._base.guard import pass_on
from .._record.unfinished import timed_out
from . import sigterm
from .container import current
from .stack import deadline_note

AT_DEADLINE = 0.1
"""Seconds left of an invocation's time, or less, when SIGTERM means that this is its timeout."""

_is_outlasting = False
_sends_at_exit: bool | None = None  # what is left, or only says that it is; None: nobody has asked for either


def watch() -> None:
    """Be ready for SIGTERM before there is anything to send: where requests run in threads, it is too late later."""
    sigterm.watch(_terminated, _left_behind)


def _terminated(seconds: float) -> None:
    """SIGTERM: report what the function's timeout is about to end, and send what there is."""
    container, root = current(), _trace.root()
    left = container.left() if container is not None else None
    if container is not None and root is not None and left is not None and left <= AT_DEADLINE:
        noted = deadline_note(time.time())
        for begun in container.delivery.mark_deadline(root.trace_id, noted):
            container.capture(partial(timed_out, begun, noted), begun.span_id)
    if container is not None:
        try:
            container.delivery.flush(seconds, probe=True)
        except Exception as error:
            pass_on(error)
            log.warn_once("telemetry failed at %s: %r", "flush", error)


def _left_behind() -> None:
    """The process ends here: say what could not be sent, unless there is a journal for the next one."""
    container = current()
    if container is not None:
        container.delivery.close_at_exit(0)


def overdue(deadline: float) -> None:
    """The invocation under way has reached its deadline (seconds since the epoch): note it, in case this is its end."""
    container, root = current(), _trace.root()
    if container is not None and root is not None:
        container.delivery.mark_deadline(root.trace_id, deadline_note(deadline))


def rest() -> None:
    """Before a snapshot of this process: send what there is, and hold on to no thread and no connection."""
    container = current()
    if container is not None:
        container.delivery.pause(container.settings.flush_timeout)


def renew() -> None:
    """In a process restored from a snapshot, one of many: what comes next is its first invocation."""
    log.forget()
    container = current()
    if container is not None:
        container.invocations = 0
        container.delivery.resume()


def forget() -> None:
    """Be as if just imported (between tests): nobody has asked for anything at the end of the process."""
    global _sends_at_exit
    _sends_at_exit = None
    sigterm.forget()


def _after_fork() -> None:
    """In a forked child threads, locks, signals, sockets and buffered events are the parent's; the trace goes on."""
    global _sends_at_exit
    _sends_at_exit = True  # nobody else will
    container = current()
    if container is not None:
        container.delivery.reset()
        container.first_in_child = watch  # multiprocessing's pools end their workers with SIGTERM when the work is done
        for active in container.under_way():
            active.disown()
        _outlast_multiprocessing()


def at_exit(*, send: bool | None = True) -> None:
    """Have what is left sent when the process exits, within flush_timeout. With `send=False` it is only said, unless
    somebody wants it sent; with None it is as others have it."""
    import atexit

    global _sends_at_exit
    if send is not None:
        _sends_at_exit = _sends_at_exit or send
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    _outlast_multiprocessing()


def _outlast_multiprocessing() -> None:
    """Its children skip atexit. They run finalizers instead, and forget those that were there when they began: some
    import the main module before that, others are forked from one that has."""
    global _is_outlasting
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is None or util is None:
        return
    if process.parent_process() is not None:
        _finalize_at_exit(util)
    if not _is_outlasting:
        _is_outlasting = True
        util.register_after_fork(_at_exit, lambda _: _finalize_at_exit(util))


def _finalize_at_exit(util: Any) -> None:
    util.Finalize(None, _at_exit, exitpriority=100)


def _at_exit() -> None:
    """Send what is left, and say what could not be sent; unless there is a journal for the next process."""
    container = current()
    if container is not None:
        container.delivery.close_at_exit(0 if _sends_at_exit is False else container.settings.flush_timeout)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
