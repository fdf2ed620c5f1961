"""Starts threads that block all signals, and runs user code in them as the main thread would.

The kernel delivers a signal to any thread that does not block it. If one of our threads did not, it would receive the
signals that the user's threads have blocked: to protect a critical section, or to wait for one with `sigwait`,
`sigtimedwait` or a signalfd. Our threads need no signals, because Python runs handlers in the main thread only.

Child processes inherit the signal mask. So a child that is forked in one of our threads gets the mask of the main
thread back, and user code (`on_error`, an exporter, a log handler) runs with the main thread's mask (`as_main_thread`),
because it may start processes in ways that no fork hook sees.
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

# Caused by the thread itself. If it blocks them, the process is killed without a message, even from faulthandler.
_SYNCHRONOUS_NAMES = {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS", "SIGABRT"}

# The C functions: those in `signal` convert each of 64 numbers to an enum, which takes 0.05 ms a call.
_c: Any = sys.modules.get("_signal", signal)
_change_mask: Callable[..., set[int]] | None = getattr(_c, "pthread_sigmask", None)

# A signal handler may raise in any user thread. It must not leave a lock taken between its `with` statement and the
# protected block. Up to Python 3.13 it cannot. Since then a handler may run as soon as an `__enter__` that is written
# in C has returned. The one here records in C that it has taken the lock, and undoes it. `__exit__` is still C's.
if TYPE_CHECKING or sys.version_info < (3, 14):
    RLock = threading.RLock
else:

    class RLock(type(threading.RLock())):
        __slots__ = ()

        def __enter__(self) -> bool:
            taken: list[bool] = []
            try:
                taken.extend(map(self.acquire, (True,)))
            except BaseException:
                if taken:
                    self.release()
                raise
            return True


_here = threading.local()
"""`mask`: in one of our threads, the signals that its creator blocked."""


def start(name: str, target: Callable[..., object], *args: Any) -> threading.Thread:
    """Run `target(*args)` in a daemon thread that blocks all signals.

    Raises RuntimeError if no thread can be started: on some platforms, in sub-interpreters, at the limit of threads,
    while the interpreter is shutting down.
    """
    if _is_subinterpreter():  # Py_EndInterpreter aborts the process if a daemon thread is left
        raise RuntimeError("no threads in a sub-interpreter")
    if _change_mask is None or _is_green():  # on Windows only the main thread gets signals
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
    """Wraps user code in one of our threads: it blocks only the signals that the main thread blocks.

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
    """Call `work` with all signals blocked, because an exception of a handler would leave a file or thread behind.

    A signal that another of the user's threads receives can still interrupt it.
    """
    if _change_mask is None:
        return work()
    before = _change_mask(signal.SIG_BLOCK, ())  # read first: a handler may raise in a call that changes it
    try:
        try:
            _change_mask(signal.SIG_BLOCK, _asynchronous())
            return work()
        finally:
            _change_mask(signal.SIG_SETMASK, before)
    finally:  # a signal that another thread received may have interrupted the first attempt
        _change_mask(signal.SIG_SETMASK, before)


def is_blocked(number: int) -> bool:
    """Whether this thread blocks the signal; true if this platform cannot block signals."""
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
    """Whether threads are greenlets (gevent), which share the main thread's mask. Starting one runs others."""
    starts = getattr(threading, "_start_joinable_thread", None) or getattr(threading, "_start_new_thread", len)
    return type(starts) is not type(len)


@functools.cache
def _is_subinterpreter() -> bool:
    """Whether this is not the main interpreter of the process (under mod_wsgi, uWSGI, pools of interpreters)."""
    is_main = getattr(sys.modules.get("_thread"), "_is_main_interpreter", None)  # from Python 3.12 on
    if is_main is not None:
        return not is_main()
    if hasattr(sys.modules.get("__main__"), "__file__"):  # most programs: saves the import below
        return False
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return False
    return bool(interpreters.get_current() != interpreters.get_main())


@functools.cache
def _asynchronous() -> frozenset[int]:
    return frozenset(number for number in _c.valid_signals() if number not in _SYNCHRONOUS)


def _mask_of_main_thread(otherwise: set[int]) -> set[int]:
    """Return the signals that the main thread blocks; https://man7.org/linux/man-pages/man5/proc_pid_status.5.html."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/status", "rb") as status:  # noqa: PTH123 (pathlib is an import)
            blocked = next(line for line in status if line.startswith(b"SigBlk:"))
        bits = int(blocked.split()[1], 16)
        return {number for number in _c.valid_signals() if bits >> (number - 1) & 1}
    except (OSError, StopIteration, ValueError, IndexError):
        return otherwise


def _in_child() -> None:
    """Restore the creator's mask in a child that was forked in one of our threads, its main thread now."""
    inherited = getattr(_here, "mask", None)
    if inherited is not None and _change_mask is not None:
        del _here.mask
        _change_mask(signal.SIG_SETMASK, inherited)


_SYNCHRONOUS = {getattr(signal, name).value for name in _SYNCHRONOUS_NAMES if hasattr(signal, name)}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
