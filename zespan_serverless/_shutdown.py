"""SIGTERM: send what is buffered, then let happen what would have happened without us.

While awslambdaric blocks in C waiting for the next invocation, a Python signal handler does not run, but the byte
that the interpreter writes to the wakeup fd is there at once. So a thread reads that byte. A Python handler has to be
set all the same, or the default action would end the process first.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

from ._log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE = 0.25
"""Seconds to send in: Lambda kills 300 to 500 ms after SIGTERM."""

_watch: _Watch | None = None


def watch(flush: Callable[[float], object]) -> None:
    """Call `flush(seconds)` when SIGTERM comes. Does nothing outside the main thread, where signals cannot be set."""
    global _watch
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not None:  # None: set by C code, which we could not hand it back to
        try:
            _watch = _Watch(flush)
        except (OSError, ValueError, RuntimeError) as error:  # no signals, sockets or threads on this platform
            logger.debug("no SIGTERM watch: %r", error)


def rearm() -> None:
    """Take the wakeup fd back if something took it (asyncio's signal handlers leave none behind). 0.7 us."""
    if _watch is not None and threading.current_thread() is threading.main_thread():
        _watch.arm()


def forget() -> None:
    """In a forked child, or between tests: signals as they were before us, and nothing shared with the parent."""
    global _watch
    watching, _watch = _watch, None
    if watching is not None:
        watching.disarm()


class _Watch:
    def __init__(self, flush: Callable[[float], object]) -> None:
        self._flush = flush
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        self._other_fd = -1  # whose bytes we took: they get a copy of everything
        self._flushed = threading.Event()
        self._previous: Any = signal.signal(signal.SIGTERM, self._handle)
        self.arm()
        threading.Thread(target=self._run, args=(self._read,), name="zespan-sigterm", daemon=True).start()

    def arm(self) -> None:
        fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        if fd not in (-1, self._write.fileno()):
            self._other_fd = fd

    def disarm(self) -> None:
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGTERM) == self._handle:
                signal.signal(signal.SIGTERM, self._previous)
            fd = signal.set_wakeup_fd(-1)
            if fd != self._write.fileno() and fd != -1:
                signal.set_wakeup_fd(fd)
        self._write.close()
        self._read.close()

    def _run(self, read: socket.socket) -> None:
        while True:
            try:
                signals = read.recv(64)
            except OSError:
                return
            if not signals:
                return
            if self._other_fd >= 0:
                try:
                    os.write(self._other_fd, signals)
                except OSError:
                    self._other_fd = -1
            if signal.SIGTERM in signals:
                self._terminate()

    def _terminate(self) -> None:
        try:
            self._flush(GRACE)
        except Exception as error:
            logger.debug("flush on SIGTERM: %r", error)
        self._flushed.set()
        if signal.getsignal(signal.SIGTERM) == self._handle and self._previous == signal.SIG_DFL:
            os._exit(128 + signal.SIGTERM)  # what the default action would have come to

    def _handle(self, number: int, frame: Any) -> None:
        """Runs in the main thread, if and when that runs Python: the user's own handler has its turn after the flush."""
        if callable(self._previous):
            self._flushed.wait(GRACE)
            self._flushed.clear()
            self._previous(number, frame)
