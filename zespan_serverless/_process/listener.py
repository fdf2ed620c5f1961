"""Hear SIGTERM without being seen: no handler of Python's, no wakeup fd.

faulthandler's handler for a signal is written in C. It runs at once, in whichever thread, also while the main thread is
in C code that lets no Python handler run, as awslambdaric is while it waits for the next invocation. It prints a
traceback to a file; ours is a socket, and that anything arrives there says that SIGTERM has come. What the signal would
do otherwise is put off (`chain=False`), or done at once (`chain=True`).

`signal.getsignal` and `signal.set_wakeup_fd` go on telling what they would without us, and so whatever looks at these
(handlers that hand on to the one before them, asyncio, trio, servers) does what it would without us.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import weakref
from typing import Any

from .._base import threads
from .._base.guard import pass_on

SIGTERM = signal.SIGTERM.value

_HIGH = 48
"""Descriptors are moved up to here: who closes a number twice meets others. Not to 64 or above: to have the kernel make
its table larger takes 7 ms where there are threads."""


FOREIGN = b"\xfc"
"""What is heard of other processes."""

_AT_ONCE = 65_536  # bytes
_HAS_CREDENTIALS = hasattr(socket, "SO_PASSCRED")  # Linux: unix(7)
_SCM_CREDENTIALS = getattr(socket, "SCM_CREDENTIALS", 2)
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


class Listener:
    """A pair of sockets that SIGTERM writes to. Raises OSError where there are no sockets, and RuntimeError where
    faulthandler registers no signals, which is on Windows."""

    def __init__(self) -> None:
        import faulthandler

        if not hasattr(faulthandler, "register"):
            raise RuntimeError("this platform has no signals to listen to")
        self._faulthandler: Any = faulthandler
        self._chain = False
        self._target: weakref.ref[_Target] | None = None  # alive for as long as faulthandler writes to us
        self._identities: dict[socket.socket, tuple[int, int] | None] = {}
        self._open()

    def install(self, *, chain: bool) -> None:
        """Have SIGTERM write to us; `chain`: and then do what it would do without us."""
        target = _Target(self._write)
        # With `chain` first: whoever else registers the signal later with `chain` gets a handler that is fit for it.
        for chained in (True, chain):
            self._faulthandler.register(SIGTERM, file=target, all_threads=False, chain=chained)
        self._target, self._chain = weakref.ref(target), chain

    def remove(self) -> None:
        """Have SIGTERM do again what it did before `install`."""
        if self.is_installed:
            self._faulthandler.unregister(SIGTERM)
        self._target = None

    @property
    def is_installed(self) -> bool:
        """Whether faulthandler still writes to us."""
        return self._target is not None and self._target() is not None

    @property
    def is_displaced(self) -> bool:
        """Whether somebody else has registered SIGTERM with faulthandler since: then it is theirs."""
        return self._target is not None and self._target() is None

    def send(self, message: bytes) -> bool:
        """Wake whoever `hear`s, as SIGTERM would. Any byte above 127 will do: no traceback has one."""
        try:
            return self._is_ours(self._write) and self._write.send(message) > 0
        except OSError as error:
            pass_on(error)
            return False

    def hear(self) -> bytes:
        """Wait for what comes; empty if the sockets have been closed behind our back.

        What other processes send is `FOREIGN`: a child that code in C has forked has our handler, and no hook of ours.
        """
        try:
            if not self._is_ours(self._read):
                return b""
            if not _HAS_CREDENTIALS:
                return self._read.recv(_AT_ONCE)
            heard, said, _, _ = self._read.recvmsg(_AT_ONCE, socket.CMSG_SPACE(_CREDENTIALS.size))
            senders = [_CREDENTIALS.unpack(data)[0] for _, kind, data in said if kind == _SCM_CREDENTIALS]
            return FOREIGN if any(sender != os.getpid() for sender in senders) else heard
        except (OSError, struct.error):
            return b""

    def ignore(self) -> None:
        """Skip what has come already."""
        with contextlib.suppress(OSError):  # nothing, as a rule
            while self._is_ours(self._read) and self._read.recv(_AT_ONCE, socket.MSG_DONTWAIT):
                pass

    def reopen(self) -> None:
        """Go on with new sockets. Raises OSError if there are none to be had."""
        old = self._read, self._write
        self._open()
        if self.is_installed:
            self.install(chain=self._chain)
        self._close(*old)

    def close(self) -> None:
        """Close what is still ours."""
        self._close(self._read, self._write)

    def _open(self) -> None:
        read, write = (_moved_up(end) for end in socket.socketpair())
        try:
            read.settimeout(None)  # whatever socket.setdefaulttimeout says
            if _HAS_CREDENTIALS:
                read.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            write.setblocking(False)
        except BaseException:
            read.close()
            write.close()
            raise
        self._read, self._write = read, write
        self._identities |= {end: _identity(end) for end in (self._read, self._write)}

    def _close(self, *ends: socket.socket) -> None:
        for end in ends:
            if self._is_ours(end):
                end.close()
            else:
                end.detach()
            self._identities.pop(end, None)

    def _is_ours(self, end: socket.socket) -> bool:
        """Whether its number still stands for this very socket: a closed one may be anybody's by now."""
        return self._identities.get(end) == _identity(end) is not None


class _Target:
    """What faulthandler takes for a file. Its methods are in C: what a signal handler of the user's raises in `flush`
    would be swallowed."""

    flush = bool  # does nothing

    def __init__(self, end: socket.socket) -> None:
        self.fileno = end.fileno


def is_caught_in_c() -> bool:
    """Whether something else than Python has a handler for SIGTERM: faulthandler for the user, or a library in C.

    https://man7.org/linux/man-pages/man5/proc_pid_status.5.html; False where there is no /proc.
    """
    try:
        status = threads.undisturbed(_status)
        place = status.index(b"SigCgt:")
        return bool(int(status[place:].split(None, 2)[1], 16) >> (SIGTERM - 1) & 1)
    except (OSError, ValueError, IndexError) as error:
        pass_on(error)
        return False


def _status() -> bytes:
    with open("/proc/self/status", "rb", buffering=0) as status:  # noqa: PTH123 (pathlib is an import)
        return status.read(4096)


def _moved_up(end: socket.socket) -> socket.socket:
    try:
        import fcntl

        number = fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except (ImportError, OSError) as error:  # Windows; or fewer files are allowed than that
        pass_on(error)
        return end
    moved = socket.socket(end.family, end.type, end.proto, fileno=number)
    end.close()
    return moved


def _identity(end: socket.socket) -> tuple[int, int] | None:
    try:
        found = os.fstat(end.fileno())
    except OSError as error:
        pass_on(error)
        return None
    return found.st_dev, found.st_ino
