"""Receives SIGTERM without a Python handler and without a wakeup fd, so that other code does not notice it.

faulthandler has a signal handler written in C. It runs at once and in any thread, also while the main thread is in C
code that does not let Python handlers run, as awslambdaric is while it waits for the next invocation. The handler
writes a traceback to a file. We give it a socket, so that bytes on this socket mean that SIGTERM has come. The signal's
previous action is then postponed (`chain=False`), or follows at once (`chain=True`).

`signal.getsignal` and `signal.set_wakeup_fd` return what they would without us. So everything that looks at these
(handlers that call the previous one, asyncio, trio, servers) works as without us.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from .._base import identity, threads
from .._base.guard import pass_on

if TYPE_CHECKING:
    from collections.abc import Callable

SIGTERM = signal.SIGTERM.value

FOREIGN = b"\xfc"
"""What `receive` returns for bytes of other processes."""

_HIGH = 48
"""Descriptors are moved up to this number, because code that closes a number twice closes low ones. Not to 64 or above:
the kernel would have to enlarge its table, which takes 7 ms in a process with threads."""

_READ_SIZE = 65_536  # bytes
_LONGEST_SEND = 0.1  # seconds: a traceback may have filled the sockets
_HAS_CREDENTIALS = hasattr(socket, "SO_PASSCRED")  # Linux: unix(7)
_SCM_CREDENTIALS = getattr(socket, "SCM_CREDENTIALS", 2)
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


class Listener:
    """A pair of sockets that faulthandler's handler for SIGTERM writes to.

    Raises OSError where there are no sockets, and RuntimeError where faulthandler cannot register signals: on
        Windows, and in isolated sub-interpreters.
    """

    def __init__(self) -> None:
        try:
            import faulthandler
        except ImportError as error:  # of an isolated sub-interpreter, which has no signals of its own either
            raise RuntimeError(str(error)) from None
        if not hasattr(faulthandler, "register"):
            raise RuntimeError("faulthandler cannot register signals on this platform")
        self._faulthandler: Any = faulthandler
        self._chain = False
        self._target: weakref.ref[_Target] | None = None  # alive for as long as faulthandler writes to us
        self._identities: dict[socket.socket, tuple[int, int] | None] = {}
        self._open()

    def install(self, *, chain: bool) -> None:
        """Make SIGTERM write to our socket; with `chain`, its previous action follows."""
        target = _Target(self._write)
        # First with `chain`: then a handler that other code registers later with `chain` works as well.
        for chained in (True, chain):
            self._faulthandler.register(SIGTERM, file=target, all_threads=False, chain=chained)
        self._target, self._chain = weakref.ref(target), chain

    def remove(self) -> None:
        """Restore the action that SIGTERM had before `install`."""
        if self.is_installed:
            self._faulthandler.unregister(SIGTERM)
        self._target = None

    @property
    def is_installed(self) -> bool:
        """Whether faulthandler still writes to us."""
        return self._target is not None and self._target() is not None

    @property
    def is_displaced(self) -> bool:
        """Whether other code has registered SIGTERM with faulthandler after `install`, and so owns the signal."""
        return self._target is not None and self._target() is None

    def send(self, message: bytes) -> bool:
        """Wake the thread in `receive`, as SIGTERM would. Return False if that fails.

        A message is one byte above 127, which no traceback contains.
        """
        try:
            return self._is_ours(self._write) and self._write.send(message) > 0
        except OSError as error:
            pass_on(error)
            return False

    def receive(self, seconds: float | None = None) -> bytes:
        """Wait for bytes, and return them; empty if other code has closed the sockets, or after so many seconds.

        Returns FOREIGN for the bytes of another process: a child that C code has forked has our handler, but our fork
        hooks did not run in it.
        """
        try:
            if not self._is_ours(self._read):
                return b""
            self._read.settimeout(seconds)  # overrides socket.setdefaulttimeout
            if not _HAS_CREDENTIALS:
                return self._read.recv(_READ_SIZE)
            data, ancillary, _, _ = self._read.recvmsg(_READ_SIZE, socket.CMSG_SPACE(_CREDENTIALS.size))
            senders = [_CREDENTIALS.unpack(item)[0] for _, kind, item in ancillary if kind == _SCM_CREDENTIALS]
            return FOREIGN if any(sender != os.getpid() for sender in senders) else data
        except (OSError, struct.error):
            return b""

    def receive_until(self, message: bytes, deadline: float) -> bytes:
        """Return what arrives up to this message, or up to the deadline (monotonic)."""
        arrived = b""
        while message not in arrived and (left := deadline - time.monotonic()) > 0 and (more := self.receive(left)):
            arrived += more
        return arrived

    def reopen(self) -> None:
        """Continue with new sockets. Raises OSError if there are none."""
        old = self._read, self._write
        self._open()
        if self.is_installed:
            self.install(chain=self._chain)
        self._close(*old)

    def close(self) -> None:
        """Close the sockets whose descriptors are still ours."""
        self._close(self._read, self._write)

    def _open(self) -> None:
        read, write = (_moved_up(end) for end in socket.socketpair())
        try:
            if _HAS_CREDENTIALS:
                read.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            write.settimeout(_LONGEST_SEND)  # faulthandler's own writes do not block
        except BaseException:
            read.close()
            write.close()
            raise
        self._read, self._write = read, write
        self._identities |= {end: identity(end.fileno()) for end in (self._read, self._write)}

    def _close(self, *ends: socket.socket) -> None:
        for end in ends:
            if self._is_ours(end):
                end.close()
            else:
                end.detach()
            self._identities.pop(end, None)

    def _is_ours(self, end: socket.socket) -> bool:
        """Whether the descriptor still stands for this socket. After other code has closed it, it may be any file."""
        return self._identities.get(end) == identity(end.fileno()) is not None


class _Target:
    """Pretends to be a file for faulthandler. Its methods are C functions: faulthandler calls `flush`, and would
    swallow what the user's signal handler raises in Python code."""

    flush = bool  # does nothing

    def __init__(self, end: socket.socket) -> None:
        self.fileno = end.fileno


class AfterFlush:
    """Calls the user's handler when the flush has had its head start. It equals that handler, and has its attributes.

    If the handler restores the default action, as that of Celery's processes does so that a second signal kills, it
    calls `rearm`: that signal, too, is to be heard.
    """

    def __init__(self, users: Any, head_start: Callable[[], object], rearm: Callable[[], object]) -> None:
        self.users, self.head_start, self.rearm = users, head_start, rearm

    def __call__(self, number: int, frame: Any) -> Any:
        self.head_start()
        try:
            return self.users(number, frame)
        finally:
            if signal.getsignal(SIGTERM) == signal.SIG_DFL:
                self.rearm()

    def __getattr__(self, name: str) -> Any:
        if name == "users":  # copy.copy looks it up before it exists
            raise AttributeError(name)
        return getattr(self.users, name)

    def __eq__(self, other: object) -> bool:
        return self.users == (other.users if isinstance(other, AfterFlush) else other)  # type: ignore[no-any-return]

    def __hash__(self) -> int:
        return hash(self.users)


def is_caught_in_c() -> bool:
    """Whether SIGTERM has a handler that is not Python's: the user's faulthandler, or one of a C library.

    https://man7.org/linux/man-pages/man5/proc_pid_status.5.html; False on platforms without /proc.
    """
    try:
        is_main = threading.current_thread() is threading.main_thread()
        status = threads.undisturbed(_read_status) if is_main else _read_status()
        place = status.index(b"SigCgt:")
        return bool(int(status[place:].split(None, 2)[1], 16) >> (SIGTERM - 1) & 1)
    except (OSError, ValueError, IndexError) as error:
        pass_on(error)
        return False


def _read_status() -> bytes:
    number = os.open("/proc/self/status", os.O_RDONLY)  # not `open`, which asks for more
    try:
        return os.read(number, 4096)
    finally:
        os.close(number)


def _moved_up(end: socket.socket) -> socket.socket:
    """Return the same socket with a descriptor of at least _HIGH, if the limit allows that."""
    try:
        import fcntl

        number = fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except (ImportError, OSError) as error:  # Windows; or the limit of open files is lower
        pass_on(error)
        return end
    moved = socket.socket(end.family, end.type, end.proto, fileno=number)
    end.close()
    return moved
