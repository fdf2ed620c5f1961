"""Handles SIGTERM: flushes what is buffered, then lets the signal do what it would have done without this package.

What happens depends on who has SIGTERM when it arrives:

    nobody (SIG_DFL)           our thread flushes for at most `GRACE` seconds; then the process is killed by
                               signal 15, as it would have been. `signal.getsignal` keeps returning SIG_DFL.
    the user's handler         it runs in the main thread as usual, but up to `HEAD_START` seconds later, because the
                               flush begins first. It decides what happens to the process.
    SIG_IGN                    it stays ignored, also in programs that the process starts.
    the first process of a     our thread flushes; the process continues, because the kernel spares it if it has
    container                  no handler (pid_namespaces(7)), and may well finish before SIGKILL comes.
    an event loop              counts as the user's handler; `add_signal_handler`, `remove_signal_handler` work.
    faulthandler, code in C    unchanged (also gevent's signal_handler): this package does not notice the signal.

and on the kind of process:

    Lambda           the signal arrives while the runtime waits in C for the next invocation (Python 3.11), or while the
                     function runs, at its timeout. Our thread runs in both cases.
    a script         as above. At its end, whatever code or exception causes it, it waits for the flush, at most `GRACE`
    a server         its handler stops it; then it raises the signal again, which ends it
    several copies   each copy of this package flushes its own events; the newest one listens
    a forked child   has no handler of this package: `terminate()` ends it with -15. It listens from its first event on

A blocked signal stays pending, because our threads block all signals (see `threads`), and can be waited for. A handler
that is set after ours is found at the end of the next invocation in the main thread; until then it runs alone.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from .._base import log, threads
from .._base.guard import pass_on
from . import listener

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE = 0.25
"""Seconds for the flush: Lambda kills the process 300 to 500 ms after SIGTERM."""

HEAD_START = 0.1
"""Seconds of `GRACE` before the user's handler runs. A reachable backend needs less; the rest is for the handler."""

REPORT_TIMEOUT = 2.0
"""Seconds for `on_error` and log handlers to report losses. On an overloaded machine a thread may pause for 0.2 s."""

SIGTERM = listener.SIGTERM

# Our own messages; the signal's traceback is ASCII. The first two: what follows is of signals that end the process
# after the flush, or whose action follows at once.
_POSTPONED, _CHAINED, _FLUSHED = b"\xf9", b"\xfa", b"\xfb"
_HANDLER_CALLED, _EXITING, _STOP = b"\xfd", b"\xfe", b"\xff"
_NO_SIGNAL = _FLUSHED + _EXITING + _STOP + listener.FOREIGN
_FAILURES_MAX = 20  # times in a row that sockets are opened anew before we give up
_MOMENT = 0.1  # seconds in which a flush whose time is over returns, and a process is killed by its own SIGTERM

_ATTRIBUTE = "_zespan_serverless"  # of the module faulthandler: the watch that listens in this process

_forking = threading.local()
_lock = threads.RLock()
_watch: _Watch | None = None
_expected: dict[int, tuple[Callable[[], object], float]] = {}


def watch(flush: Callable[[float], object], leave: Callable[[], object] = lambda: None) -> None:
    """Call `flush(seconds)` when SIGTERM arrives, and then `leave()` if it ends the process.

    May be called in any thread, but only the main thread can give the flush a head start over the user's handler.
    """
    global _watch
    with _lock:
        if _watch is not None or not _is_free():
            return
        try:
            _watch = _Watch(flush, leave)
        except (OSError, ValueError, RuntimeError) as error:  # no signals, sockets or threads on this platform
            pass_on(error)
            log.line("sigterm-unwatched", "SIGTERM cannot be watched: %r", error, level=log.DEBUG)


def expect(report: Callable[[], object], seconds: float) -> Callable[[], object]:
    """If SIGTERM ends this process, call `report` before the flush, which then may take `seconds`, at least GRACE.

    Returns a function that cancels this.
    """
    key = id(report)
    _expected[key] = report, seconds
    return lambda: _expected.pop(key, None)


def rearm(pause: float = 0.0, *, look: bool = True) -> None:
    """Make SIGTERM reach us again if a handler was set or removed. For the main thread; takes 20 us.

    Does nothing within `pause` seconds of the last call, for processes in which many invocations end in one second.
    With `look=False` only Python's handler is checked, which takes 2 us; call `look_again` later.
    """
    watching, now = _watch, time.monotonic()
    if watching is None or now - watching.armed_at < pause:
        return
    if threading.current_thread() is threading.main_thread():
        watching.armed_at = now
        try:
            watching.arm(look=look)
        except (OSError, ValueError, RuntimeError) as error:
            pass_on(error)
            log.line("sigterm-unwatched", "SIGTERM is not watched any more: %r", error, level=log.DEBUG)


def look_again() -> None:
    """Make SIGTERM reach us again if, for example, an event loop has restored the default action. For any thread."""
    watching = _watch
    if watching is not None:
        try:
            watching.look_again()
        except (OSError, ValueError, RuntimeError) as error:
            pass_on(error)
            log.line("sigterm-unwatched", "SIGTERM is not watched any more: %r", error, level=log.DEBUG)


def terminating() -> bool:
    """Whether SIGTERM has arrived, and the process has not ended yet."""
    return _watch is not None and _watch.terminating


def reset() -> None:
    """Restore signals, and share nothing with the parent: in a forked child, or between tests."""
    global _watch, _lock
    _expected.clear()
    watching, _watch, _lock = _watch, None, threads.RLock()
    if watching is not None:
        watching.disarm()


class _Watch:
    """A thread that waits for SIGTERM. A newer copy of this package uses `arm`, `step_back`, `flush_all`, `leave`."""

    def __init__(self, flush: Callable[[float], object], leave: Callable[[], object]) -> None:
        self._flush, self.leave = flush, leave
        self._pid = os.getpid()
        self._listener = listener.Listener()
        self._waiting: deque[Any] = deque()  # locks, released when the messages before them have been handled
        self.terminating = False
        self.armed_at = 0.0  # monotonic
        self._armed_for: Any = None  # the handler that SIGTERM had when we were armed
        self._ends = False  # whether a signal that is read now is to end the process, which we have postponed
        self._has_stopped = False  # whether the thread has given up
        self._older: Any = _listening()
        try:
            if self._older is not None:
                self._older.step_back()
            _set_listening(self)
            self.arm()
            threads.start("zespan-sigterm", self._run)
        except BaseException:
            self._restore()
            self._listener.close()
            raise
        atexit.register(self._at_exit)

    def arm(self, *, look: bool = True) -> None:
        """Make SIGTERM reach us, whatever handler it has by now. `look`: see `rearm`."""
        if self._has_stopped or self._listener.is_displaced or _listening() is not self:
            return
        handler = signal.getsignal(SIGTERM)
        if not look and handler == signal.SIG_DFL == self._armed_for:
            return
        if not self._needs_arming(handler):
            return
        self._listener.remove()
        if threading.current_thread() is threading.main_thread():
            if callable(handler) and not isinstance(handler, listener.AfterFlush):
                handler = listener.AfterFlush(handler, self.head_start, rearm)
            # Even if it is the same handler: `remove` may have restored one that is older.
            signal.signal(SIGTERM, handler)
        if not self._listener.send(_POSTPONED if handler == signal.SIG_DFL else _CHAINED):
            self._ends = handler == signal.SIG_DFL
        if handler != signal.SIG_IGN:
            self._listener.install(chain=callable(handler))
        self._armed_for = handler  # last: if a signal handler raises before, the next call tries again

    def look_again(self) -> None:
        """Postpone the default action again, if SIGTERM has it."""
        if self._has_stopped or self._listener.is_displaced or _listening() is not self:
            return
        if self._armed_for != signal.SIG_DFL:
            return
        if signal.getsignal(SIGTERM) == signal.SIG_DFL and not listener.is_caught_in_c():
            self._listener.remove()
            self._listener.install(chain=False)

    def _needs_arming(self, handler: Any) -> bool:
        """Whether SIGTERM does not reach us any more, and has no handler in C."""
        if handler is None:
            return False
        if callable(handler):  # a new one: an old one is still wrapped
            return handler is not self._armed_for
        if handler == signal.SIG_IGN:
            return bool(self._armed_for != signal.SIG_IGN)
        return not listener.is_caught_in_c()  # neither our handler, nor a later one such as gevent's

    def disarm(self) -> None:
        """Restore the signal, and end the thread."""
        atexit.unregister(self._at_exit)
        self._restore()
        if self._pid == os.getpid():
            self._listener.send(_STOP)  # the thread closes the listener
        else:
            self._listener.close()

    def flush_all(self, seconds: float) -> None:
        """Flush, and have the older copies of this package flush at the same time."""
        older = None
        if self._older is not None:
            older = threads.start("zespan-sigterm-older", self._older.flush_all, seconds)
        self._flush(seconds)
        if older is not None:
            older.join(seconds)

    def head_start(self) -> None:
        """Wait for the flush, at most HEAD_START seconds: in the main thread, before the user's handler."""
        if self is _watch:
            self._wait(_HANDLER_CALLED, HEAD_START)

    def _restore(self) -> None:
        """Give SIGTERM back to its owner, or to an older copy of this package."""
        self._listener.remove()
        handler = signal.getsignal(SIGTERM)
        if handler is not None and threading.current_thread() is threading.main_thread():
            # Even if it is not ours: `remove` has restored an older one.
            signal.signal(SIGTERM, handler.users if isinstance(handler, listener.AfterFlush) else handler)
        if _listening() is self:
            older = self._older if self._pid == os.getpid() else None  # in a forked child it is the parent's
            _set_listening(older)
            if older is not None:
                older.arm()

    def step_back(self) -> None:
        """Make room for a newer copy of this package."""
        self._listener.remove()

    def _wait(self, message: bytes, seconds: float) -> None:
        """Send a message to the thread, and wait until it has been handled, for at most `seconds`."""
        # Each call has a plain lock of its own: a signal handler may interrupt itself, and an Event would deadlock.
        done = threading.Lock()
        done.acquire()
        self._waiting.append(done)
        if self._listener.send(message):
            done.acquire(timeout=seconds)

    def _run(self) -> None:
        failures = 0  # in a row
        while True:
            received = self._listener.receive()
            failures = 0 if received else failures + 1
            if _STOP in received:
                self._listener.close()
                return
            waiting = list(self._waiting)
            self._waiting.clear()
            if not received:
                try:
                    if failures > _FAILURES_MAX:
                        raise OSError("the sockets cannot be read")
                    self._listener.reopen()
                    self._ends = signal.getsignal(SIGTERM) == signal.SIG_DFL  # the message is lost
                except OSError as error:
                    log.line("sigterm-unwatched", "SIGTERM is not watched any more: %r", error, level=log.DEBUG)
                    self._has_stopped = True
                    self._listener.remove()  # else SIGTERM would have no effect
                    return
            elif self._hear(received):  # all threads that wait by now have waited for the flush
                waiting += self._waiting
                self._waiting.clear()
            while waiting:
                waiting.pop().release()

    def _hear(self, received: bytes) -> bool:
        """Handle signals, each as the action demands that it had when the signal came. Return whether there was one."""
        is_signal = False
        while True:
            part = _up_to_action(received)
            received = received[len(part) :]
            if part.strip(_NO_SIGNAL):
                is_signal = True
                received += self._terminate(self._ends)
                received = received[len(_up_to_action(received)) :]  # without the rest of the traceback
            if not received:
                return is_signal
            self._ends, received = received[:1] == _POSTPONED, received[1:]

    def _terminate(self, ends: bool) -> bytes:
        """Flush, and end the process if the signal does. Return what has arrived meanwhile."""
        self.terminating = True
        expected = list(_expected.values()) if ends and os.getpid() != 1 else []  # the kernel spares process 1
        seconds = max([GRACE, *(allowed for _, allowed in expected)])
        arrived, deadline = b"", time.monotonic() + seconds + _MOMENT
        try:  # in a thread, because user code may hang
            thread = threads.start("zespan-sigterm-flush", self._report_and_flush, expected, seconds)
        except RuntimeError:  # no more threads
            self._report_and_flush(expected, seconds)
        else:  # read meanwhile: a long traceback fills the sockets, and the main thread has something to say
            arrived = self._listener.receive_until(_FLUSHED, deadline)
            thread.join(max(0.0, deadline - time.monotonic()))
        if ends and signal.getsignal(SIGTERM) == signal.SIG_DFL and os.getpid() != 1:
            self._report_losses()
            self._end_process()
        return arrived

    def _report_and_flush(self, expected: list[tuple[Callable[[], object], float]], seconds: float) -> None:
        try:
            for report, _ in expected:
                report()
            self.flush_all(seconds)
        except Exception as error:
            log.line("sigterm-unwatched", "the flush on SIGTERM failed: %r", error, level=log.DEBUG)
        finally:
            self._listener.send(_FLUSHED)

    def _report_losses(self) -> None:
        """Call `leave`, again if runs begin meanwhile. In daemon threads: user code may hang, for REPORT_TIMEOUT."""
        deadline, begun, again = time.monotonic() + REPORT_TIMEOUT, [*_expected.values()], True
        with contextlib.suppress(RuntimeError):  # no more threads
            while again and time.monotonic() < deadline:
                running, copy = [threads.start("zespan-sigterm-report", self._leave, begun)], self._older
                while copy is not None:
                    running.append(threads.start("zespan-sigterm-report", copy.leave))
                    copy = copy._older
                for thread in running:
                    thread.join(max(0.0, deadline - time.monotonic()))
                before, begun = begun, [*_expected.values()]
                again = begun != before

    def _leave(self, begun: list[tuple[Callable[[], object], float]]) -> None:
        for report, _ in begun:
            report()
        self.leave()

    def _end_process(self) -> None:
        """Let the signal take its postponed effect."""
        self._listener.remove()
        os.kill(os.getpid(), SIGTERM)
        time.sleep(_MOMENT)
        self._listener.install(chain=False)  # all threads block the signal: it stays pending, and arrives later

    def _at_exit(self) -> None:
        """Wait for the flush of a SIGTERM that has arrived: the exit may be a handler's sys.exit."""
        self._wait(_EXITING, GRACE + _MOMENT)
        self.disarm()


def _up_to_action(received: bytes) -> bytes:
    """Return what has been received before the next message about the action of signals."""
    return received.partition(_POSTPONED)[0].partition(_CHAINED)[0]


def _is_free() -> bool:
    """Whether we can listen for SIGTERM without taking it from its owner."""
    handler = signal.getsignal(SIGTERM)
    if handler is None:  # set by C code before Python started
        return False
    return callable(handler) or _listening() is not None or not listener.is_caught_in_c()


def _listening() -> Any:
    """Return the watch that SIGTERM reaches in this process: ours, or that of another copy of this package."""
    return getattr(sys.modules.get("faulthandler"), _ATTRIBUTE, None)


def _set_listening(watching: Any) -> None:
    setattr(sys.modules["faulthandler"], _ATTRIBUTE, watching)


def _before_fork() -> None:
    """Block SIGTERM until the child has its own handlers: the parent's would notify the parent's sockets."""
    _forking.blocked = _watch is not None and not threads.is_blocked(SIGTERM)
    if _forking.blocked:
        threads.block(SIGTERM)


def _in_parent() -> None:
    if getattr(_forking, "blocked", False):
        threads.unblock(SIGTERM)


def _in_child() -> None:
    reset()
    _in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
