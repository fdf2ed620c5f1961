"""Threads of ours, which take no signals.

The kernel gives a signal to any thread that does not block it. A thread of ours that did not would take what the user's
threads have blocked: to protect a critical section, or to wait for it with `sigwait`, `sigtimedwait` or a signalfd.
Ours need no signals, since Python runs handlers in the main thread only.

What a thread blocks is inherited by its children. So a child that is forked in a thread of ours blocks again what the
main thread did, and code of the user's (`on_error`, an exporter, a handler of the log) runs with the main thread's mask
(`as_main_thread`), because it may start processes in ways that no fork hook sees.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    T = TypeVar("T")

# Synchronous: a thread that blocks them and causes one is killed without a word, faulthandler's included.
_OF_THE_THREAD = {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS", "SIGABRT"}

# The functions in C: those in `signal` turn each of 64 numbers into an enum, for 0.05 ms a call.
_c: Any = sys.modules.get("_signal", signal)
_change_mask: Callable[..., set[int]] | None = getattr(_c, "pthread_sigmask", None)

_here = threading.local()
"""`mask`: in a thread of ours, what its creator blocked."""


def start(name: str, target: Callable[..., object], *args: Any) -> threading.Thread:
    """Run `target(*args)` in a daemon thread that takes no signals.

    Raises RuntimeError where there are no threads, or no more: on some platforms, in sub-interpreters, at the end of
    the interpreter.
    """
    if _is_subinterpreter():  # which ends the whole process if a daemon thread is left in it: Py_EndInterpreter
        raise RuntimeError("no threads in a sub-interpreter")
    if _change_mask is None or _is_green():  # Windows gives signals to nobody but the main thread
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)
        thread.start()
        return thread
    blocked: set[int] = _change_mask(signal.SIG_BLOCK, ())

    def begin() -> threading.Thread:
        thread = threading.Thread(target=_run, args=(blocked, target, *args), name=name, daemon=True)
        thread.start()
        return thread

    return undisturbed(begin)


@contextlib.contextmanager
def as_main_thread() -> Iterator[None]:
    """In a thread of ours, around code of the user's: block what the main thread blocks, as any thread of theirs would.

    Does nothing in other threads.
    """
    inherited = getattr(_here, "mask", None)
    if inherited is None or _change_mask is None:
        yield
        return
    before = _change_mask(signal.SIG_SETMASK, _mask_of_main_thread(inherited))
    try:
        yield
    finally:
        _change_mask(signal.SIG_SETMASK, before)


def _run(inherited: set[int], target: Callable[..., object], *args: Any) -> None:
    _here.mask = inherited
    target(*args)


def undisturbed(work: Callable[[], T]) -> T:
    """Do it while signals wait: what a handler raised in the midst of it would leave an open file behind. (One that
    another thread of the user's takes can still interrupt it.)"""
    if _change_mask is None:
        return work()
    before = _change_mask(signal.SIG_BLOCK, ())  # read first: a change is made even when a handler raises in it
    try:
        try:
            _change_mask(signal.SIG_BLOCK, _asynchronous())
            return work()
        finally:
            _change_mask(signal.SIG_SETMASK, before)
    finally:  # the handler of a signal that another thread has taken may raise in the first attempt
        _change_mask(signal.SIG_SETMASK, before)


def is_blocked(number: int) -> bool:
    """Whether this thread blocks the signal, or nothing can."""
    return _change_mask is None or number in _change_mask(signal.SIG_BLOCK, ())


def block(number: int) -> None:
    """Block a signal in this thread."""
    if _change_mask is not None:
        _change_mask(signal.SIG_BLOCK, (number,))


def unblock(number: int) -> None:
    """Undo `block`."""
    if _change_mask is not None:
        _change_mask(signal.SIG_UNBLOCK, (number,))


def _is_green() -> bool:
    """Whether threads are greenlets (gevent): those of the main thread, whose mask is the user's. Starting one runs
    others."""
    starts = getattr(threading, "_start_joinable_thread", None) or getattr(threading, "_start_new_thread", len)
    return type(starts) is not type(len)


@functools.cache
def _is_subinterpreter() -> bool:
    """Whether this is one of several interpreters in a process (mod_wsgi, uWSGI, pools of interpreters), and not the
    main one."""
    is_main = getattr(sys.modules.get("_thread"), "_is_main_interpreter", None)  # from Python 3.12 on
    if is_main is not None:
        return not is_main()
    if hasattr(sys.modules.get("__main__"), "__file__"):  # saves most programs the import
        return False
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return False
    return bool(interpreters.get_current() != interpreters.get_main())


def _asynchronous() -> set[int]:
    return {number for number in _c.valid_signals() if number not in _SYNCHRONOUS}


def _mask_of_main_thread(otherwise: set[int]) -> set[int]:
    """What the main thread blocks now, as Linux says it: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/status", "rb") as status:  # noqa: PTH123 (pathlib is an import)
            blocked = next(line for line in status if line.startswith(b"SigBlk:"))
        bits = int(blocked.split()[1], 16)
        return {number for number in _c.valid_signals() if bits >> (number - 1) & 1}
    except (OSError, StopIteration, ValueError, IndexError):
        return otherwise


def _in_child() -> None:
    """A child that is forked in a thread of ours: that is its main thread now, and blocks what a main thread did."""
    inherited = getattr(_here, "mask", None)
    if inherited is not None and _change_mask is not None:
        del _here.mask
        _change_mask(signal.SIG_SETMASK, inherited)


_SYNCHRONOUS = {getattr(signal, name).value for name in _OF_THE_THREAD if hasattr(signal, name)}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
