"""SIGTERM: send what is buffered, then let happen what would have happened without us.

While awslambdaric blocks in C waiting for the next invocation, a Python signal handler does not run, but the byte
that the interpreter writes to the wakeup fd is there at once. So a thread reads that byte. A Python handler has to be
set all the same, or the default action would end the process first; it tells the thread too, because the fd may just
be somebody else's (an event loop's).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from . import _threads
from ._log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE = 0.25
"""Seconds to send in: Lambda kills 300 to 500 ms after SIGTERM."""

HEAD_START = 0.1
"""Seconds of it before a user's own handler runs; a backend that is there needs less, and the rest is the user's."""

LAST_WORDS = 0.1
"""Seconds to say what could not be sent, in code of the user's: `on_error`, handlers of the log."""

_ASKED, _LEAVING = b"\0", b"\xff"  # what we write beside the interpreter; no signals have these numbers

SIGTERM = signal.SIGTERM.value

_watch: _Watch | None = None
_expected: dict[int, tuple[Callable[[], object], float]] = {}


def watch(flush: Callable[[float], object], leave: Callable[[], object] = lambda: None) -> None:
    """Call `flush(seconds)` when SIGTERM comes, and `leave()` if that is the end: nothing of ours runs after it.

    Does nothing outside the main thread, where signals cannot be set.
    """
    global _watch
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not None:  # None: set by C code, which we could not hand it back to
        try:
            _watch = _Watch(flush, leave)
        except (OSError, ValueError, RuntimeError) as error:  # no signals, sockets or threads on this platform
            logger.debug("no SIGTERM watch: %r", error)


def expect(say: Callable[[], object], seconds: float) -> Callable[[], object]:
    """Should SIGTERM end this process, call `say` before the flush, and give that `seconds`, GRACE at least.

    Gives what takes it back.
    """
    key = id(say)
    _expected[key] = say, seconds
    return lambda: _expected.pop(key, None)


def rearm(pause: float = 0.0) -> None:
    """Take back what something took from us: asyncio's signal handlers leave neither fd nor handler behind. 3 us.

    Not again within `pause` seconds: where many invocations end in one second, not each has to look.
    """
    watching, now = _watch, time.monotonic()
    if watching is None or now - watching.armed_at < pause:
        return
    if threading.current_thread() is threading.main_thread():
        watching.armed_at = now
        try:
            watching.arm()
        except (OSError, ValueError) as error:  # the user closed every file there is
            logger.debug("no SIGTERM watch any more: %r", error)
            forget()


def terminating() -> bool:
    """Whether SIGTERM has come, and what it is going to end has not ended yet."""
    return _watch is not None and _watch.terminating


def forget() -> None:
    """In a forked child, or between tests: signals as they were before us, and nothing shared with the parent."""
    global _watch
    _expected.clear()
    if _watch is not None and threading.current_thread() is threading.main_thread():
        watching, _watch = _watch, None
        watching.disarm()


class _Watch:
    def __init__(self, flush: Callable[[float], object], leave: Callable[[], object]) -> None:
        self._flush, self._leave = flush, leave
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        self._other_fd = -1  # who would have the bytes without us: gets a copy
        self._previous: Any = signal.SIG_DFL  # what SIGTERM would do without us
        self._first: Any = signal.getsignal(signal.SIGTERM)  # and what it did when we came
        self._passed_on = False
        self.terminating = False
        self.armed_at = 0.0  # monotonic
        self._flushed, self._idle = threading.Event(), threading.Event()
        _threads.start("zespan-sigterm", self._run, self._read)
        self.arm()
        atexit.register(self._hold)

    def arm(self) -> None:
        """Be the first to hear of SIGTERM, and remember who was: asyncio, or a handler that the function has set."""
        if self._passed_on:
            return
        handler = signal.getsignal(signal.SIGTERM)
        if handler is not None and handler != self._handle:
            self._previous = signal.signal(signal.SIGTERM, self._handle)
        fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        if fd != self._write.fileno():
            self._other_fd = fd  # also if that is nobody: the number of a closed fd may be anybody's by now

    def disarm(self) -> None:
        atexit.unregister(self._hold)
        if signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, self._previous)
        fd = signal.set_wakeup_fd(-1)
        for undo in (
            lambda: signal.set_wakeup_fd(self._other_fd if fd == self._write.fileno() else fd),
            self._write.close,
            self._read.close,
        ):
            with contextlib.suppress(OSError, ValueError):  # closed meanwhile
                undo()

    def _run(self, read: socket.socket) -> None:
        while True:
            try:
                signals = read.recv(64)
            except OSError:
                return
            if not signals:
                return
            theirs = signals.translate(None, _ASKED + _LEAVING)
            if theirs and self._other_fd >= 0:
                try:
                    os.write(self._other_fd, theirs)
                except OSError:
                    self._other_fd = -1
            if _ASKED in signals or signal.SIGTERM in signals:
                self._terminate()
            if _LEAVING in signals:
                self._idle.set()

    def _terminate(self) -> None:
        self.terminating = True
        expected = list(_expected.values()) if self._is_the_end() else []
        seconds = max([GRACE, *(allowed for _, allowed in expected)])
        try:
            for say, _ in expected:
                say()
            self._flush(seconds)
        except Exception as error:
            logger.debug("flush on SIGTERM: %r", error)
        self._flushed.set()
        if self._is_the_end():
            self._say_the_last()
            os._exit(128 + signal.SIGTERM)  # what the default action would have come to

    def _say_the_last(self) -> None:
        """In a thread that can be left behind."""
        with contextlib.suppress(RuntimeError):  # no more threads
            _threads.start("zespan-last-words", self._leave).join(LAST_WORDS)

    def _is_the_end(self) -> bool:
        """Whether the process would be ended without us. The kernel spares the first one of a container, which has no
        handler: it goes on until SIGKILL (pid_namespaces(7)), and may well finish until then."""
        ours = signal.getsignal(signal.SIGTERM) == self._handle
        return ours and self._previous == signal.SIG_DFL and os.getpid() != 1

    def _handle(self, number: int, frame: Any) -> None:
        """Runs in the main thread, if and when it runs Python; the user's own handler has its turn after the flush."""
        if self._passed_on:
            self._come_back(number, frame)
            return
        try:
            if not self.terminating:
                self._write.send(_ASKED)
        except OSError:  # the user closed every file there is
            self._terminate()
        if callable(self._previous):
            self._flushed.wait(HEAD_START)
            self._passed_on = True  # from here on all is as it would be without us
            signal.signal(signal.SIGTERM, self._previous)
            self._previous(number, frame)

    def _come_back(self, number: int, frame: Any) -> None:
        """Somebody who had our place has ended in peace, put back whom it found there, and raised the signal again, as
        uvicorn does: for us that is over, and what there was before us has its turn."""
        if callable(self._first):
            self._first(number, frame)
        elif self._first == signal.SIG_DFL:
            self._say_the_last()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)

    def _hold(self) -> None:
        """At exit: a handler that leaves with sys.exit does not cut a flush short that may not even have begun."""
        with contextlib.suppress(OSError):
            self._write.send(_LEAVING)
            self._idle.wait(GRACE)
