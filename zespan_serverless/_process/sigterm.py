"""SIGTERM: send what is buffered, then let happen what would have happened without us.

What happens, by what has SIGTERM when it comes:

    nobody (SIG_DFL)           a thread of ours sends, for `GRACE` seconds at most; then the process ends as it would
                               have, killed by signal 15. `signal.getsignal` says SIG_DFL all the while.
    a handler of the user's    it runs in the main thread, when and if it would without us, up to `HEAD_START` later:
                               sending comes first. It decides what becomes of the process.
    SIG_IGN                    it stays ignored, as it does in programs that the process starts.
    the first process of a     a thread of ours sends; the process goes on, because the kernel spares it where it has no
    container                  handler (pid_namespaces(7)), and may well finish until SIGKILL comes.
    an event loop              it is a handler of the user's: `add_signal_handler` works, and `remove_signal_handler`.
    faulthandler, code in C    theirs (gevent's signal_handler, too): we keep away, and do not hear of the signal.

and by the kind of process:

    Lambda           the signal comes while the runtime waits in C for the next invocation (Python 3.11), or while the
                     function runs, at its timeout: the thread of ours runs in either case
    a script         as above. At its end, by whatever code or exception, sending is waited for, `GRACE` at most
    a server         its handler stops it, and what it raises again when it has stopped ends it
    a reloader, a    each copy of this package sends what it has; the newest listens
    second copy
    a forked child   nothing of ours is left in it: `terminate()` ends it, with exit code -15. It listens anew from the
                     first event that it captures itself

A signal that is blocked stays pending, for threads of ours block all (see `_threads`), and can be waited for. A handler
that is set later than ours is found at the end of the next invocation in the main thread; until then it is alone.
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

from .._base import threads as _threads
from .._base.guard import pass_on
from .._base.log import logger
from . import listener

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE = 0.25
"""Seconds to send in: Lambda kills 300 to 500 ms after SIGTERM."""

HEAD_START = 0.1
"""Seconds of it before a user's own handler runs; a backend that is there needs less, and the rest is the user's."""

LAST_WORDS = 0.1
"""Seconds to say what could not be sent, in code of the user's: `on_error`, handlers of the log."""

SIGTERM = listener.SIGTERM

_ASKED, _LEAVING, _STOP = b"\xfd", b"\xfe", b"\xff"  # what we send beside the signal, whose traceback is ASCII
_DEAF_MAX = 20  # times that sockets are opened anew before we give up
_DYING = 0.1  # seconds after which a process that has killed itself is still there because something spares it

_LISTENS = "_zespan_serverless"  # the attribute of the module faulthandler that says who listens in this process

_forking = threading.local()
_lock = threading.Lock()
_watch: _Watch | None = None
_expected: dict[int, tuple[Callable[[], object], float]] = {}


def watch(flush: Callable[[float], object], leave: Callable[[], object] = lambda: None) -> None:
    """Call `flush(seconds)` when SIGTERM comes, and `leave()` if that is the end: nothing of ours runs after it.

    From any thread. Only the main thread can give the flush a head start on a handler of the user's.
    """
    global _watch
    with _lock:
        if _watch is not None or not _is_free():
            return
        try:
            _watch = _Watch(flush, leave)
        except (OSError, ValueError, RuntimeError) as error:  # no signals, sockets or threads on this platform
            pass_on(error)
            logger.debug("no SIGTERM watch: %r", error)


def expect(say: Callable[[], object], seconds: float) -> Callable[[], object]:
    """Should SIGTERM end this process, call `say` before the flush, and give that `seconds`, GRACE at least.

    Gives what takes it back.
    """
    key = id(say)
    _expected[key] = say, seconds
    return lambda: _expected.pop(key, None)


def rearm(pause: float = 0.0, *, look: bool = True) -> None:
    """See that SIGTERM still reaches us, in the main thread: a handler may have been set, or taken away. 20 us.

    Not again within `pause` seconds: where many invocations end in one second, not each has to look. Without `look`
    only what Python knows is looked at, which takes 2 us: there will be a `look_again`.
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
            logger.debug("no SIGTERM watch any more: %r", error)


def look_again() -> None:
    """See that SIGTERM still reaches us where nobody has a handler for it, from any thread: an event loop may have had
    one, and left the default action behind."""
    watching = _watch
    if watching is not None:
        try:
            watching.look_again()
        except (OSError, ValueError, RuntimeError) as error:
            pass_on(error)
            logger.debug("no SIGTERM watch any more: %r", error)


def terminating() -> bool:
    """Whether SIGTERM has come, and what it is going to end has not ended yet."""
    return _watch is not None and _watch.terminating


def forget() -> None:
    """In a forked child, or between tests: signals as they were before us, and nothing shared with the parent."""
    global _watch, _lock
    _expected.clear()
    watching, _watch, _lock = _watch, None, threading.Lock()
    if watching is not None:
        watching.disarm()


class _Watch:
    """One thread that waits for SIGTERM. `flush_all` and `leave` are also called by a newer copy of this package."""

    def __init__(self, flush: Callable[[float], object], leave: Callable[[], object]) -> None:
        self._flush, self.leave = flush, leave
        self._pid = os.getpid()
        self._listener = listener.Listener()
        self._waiting: deque[Any] = deque()  # locks, released when all that was sent before has been seen to
        self.terminating = False
        self.armed_at = 0.0  # monotonic
        self._armed_for: Any = None  # the handler of SIGTERM
        self._ends = False  # whether SIGTERM is the end, but for us
        self._is_over = False  # whether nobody listens any more
        self._older: Any = _listening()
        try:
            if self._older is not None:
                self._older.step_back()
            _set_listening(self)
            self.arm()
            _threads.start("zespan-sigterm", self._run)
        except BaseException:
            self._put_back()
            self._listener.close()
            raise
        atexit.register(self._at_exit)

    def arm(self, *, look: bool = True) -> None:
        """Be told of SIGTERM, whoever has it by now."""
        if self._is_over or self._listener.is_displaced or _listening() is not self:
            return
        handler = signal.getsignal(SIGTERM)
        if not look and handler == signal.SIG_DFL == self._armed_for:
            return
        if not self._is_to_be_armed(handler):
            return
        self._listener.remove()
        if threading.current_thread() is threading.main_thread():
            if callable(handler) and not isinstance(handler, _AfterFlush):
                handler = _AfterFlush(self, handler)
            # Even if it is the same: what `remove` has put back may be older than what the user has set since.
            signal.signal(SIGTERM, handler)
        self._armed_for, self._ends = handler, handler == signal.SIG_DFL
        if handler != signal.SIG_IGN:
            self._listener.install(chain=callable(handler))

    def look_again(self) -> None:
        """Take the default action's place again."""
        if self._is_over or self._listener.is_displaced or _listening() is not self:
            return
        if self._armed_for != signal.SIG_DFL:
            return
        if signal.getsignal(SIGTERM) == signal.SIG_DFL and not listener.is_caught_in_c():
            self._listener.remove()
            self._listener.install(chain=False)

    def _is_to_be_armed(self, handler: Any) -> bool:
        """Whether SIGTERM does not reach us any more, and is nobody's in C."""
        if handler is None:
            return False
        if callable(handler):  # a new one; the old one is still wrapped, whatever has been set in between
            return handler is not self._armed_for
        if handler == signal.SIG_IGN:
            return bool(self._armed_for != signal.SIG_IGN)
        return not listener.is_caught_in_c()  # neither by us, nor by who came later, such as gevent

    def disarm(self) -> None:
        atexit.unregister(self._at_exit)
        self._put_back()
        if self._pid == os.getpid():
            self._listener.send(_STOP)  # the thread closes what it listens to
        else:
            self._listener.close()

    def flush_all(self, seconds: float) -> None:
        """Send what there is; and what older copies of this package have, at the same time."""
        older = None
        if self._older is not None:
            older = _threads.start("zespan-sigterm-older", self._older.flush_all, seconds)
        self._flush(seconds)
        if older is not None:
            older.join(seconds)

    def head_start(self) -> None:
        """In the main thread: wait until the flush is done, or has had its head start."""
        if self is _watch:
            self._wait(_ASKED, HEAD_START)

    def _put_back(self) -> None:
        """Leave SIGTERM to whom it belongs, or to an older copy of this package."""
        self._listener.remove()
        handler = signal.getsignal(SIGTERM)
        if handler is not None and threading.current_thread() is threading.main_thread():
            # Even one that is not ours: what `remove` has put back is older than what was set since.
            signal.signal(SIGTERM, handler.users if isinstance(handler, _AfterFlush) else handler)
        if _listening() is self:
            older = self._older if self._pid == os.getpid() else None  # of a parent nothing is left
            _set_listening(older)
            if older is not None:
                older.arm()

    def step_back(self) -> None:
        """A newer copy of this package takes our place."""
        self._listener.remove()

    def _wait(self, message: bytes, seconds: float) -> None:
        # A bare lock of its own for each: a signal handler may interrupt itself, which no Event endures.
        done = threading.Lock()
        done.acquire()
        self._waiting.append(done)
        if self._listener.send(message):
            done.acquire(timeout=seconds)

    def _run(self) -> None:
        deaf = 0  # times in a row that nothing could be heard
        while True:
            heard = self._listener.hear()
            deaf = 0 if heard else deaf + 1
            if _STOP in heard:
                self._listener.close()
                return
            waiting = list(self._waiting)
            self._waiting.clear()
            if not heard:
                try:
                    if deaf > _DEAF_MAX:
                        raise OSError("sockets cannot be read")
                    self._listener.reopen()
                except OSError as error:
                    logger.debug("no SIGTERM watch any more: %r", error)
                    self._is_over = True
                    self._listener.remove()  # else nobody would end the process
                    return
            elif heard.strip(_LEAVING + listener.FOREIGN):
                self._terminate()
                # A traceback comes in pieces; and whoever waits was in time for this.
                self._listener.ignore()
                waiting += self._waiting
                self._waiting.clear()
            _release(waiting)

    def _terminate(self) -> None:
        self.terminating = True
        ends = self._ends  # now: the user's handler may leave SIG_DFL behind, which is not for the signal that it had
        expected = list(_expected.values()) if ends and os.getpid() != 1 else []  # which the kernel spares
        seconds = max([GRACE, *(allowed for _, allowed in expected)])
        _left_behind(self._say_and_flush, expected, seconds, timeout=seconds + LAST_WORDS)
        if ends and signal.getsignal(SIGTERM) == signal.SIG_DFL and os.getpid() != 1:
            self._say_the_last()
            self._die()

    def _say_and_flush(self, expected: list[tuple[Callable[[], object], float]], seconds: float) -> None:
        try:
            for say, _ in expected:
                say()
            self.flush_all(seconds)
        except Exception as error:
            logger.debug("flush on SIGTERM: %r", error)

    def _say_the_last(self) -> None:
        """In threads that can be left behind."""
        with contextlib.suppress(RuntimeError):  # no more threads
            threads = []
            copy: Any = self
            while copy is not None:
                threads.append(_threads.start("zespan-last-words", copy.leave))
                copy = copy._older
            until = time.monotonic() + LAST_WORDS
            for thread in threads:
                thread.join(max(0.0, until - time.monotonic()))

    def _die(self) -> None:
        """Have the signal do what we have put off."""
        self._listener.remove()
        os.kill(os.getpid(), SIGTERM)
        time.sleep(_DYING)
        self._listener.install(chain=False)  # all threads block it by now; it will come again

    def _at_exit(self) -> None:
        """An exit, such as a handler's sys.exit, does not cut a flush short that may not even have begun."""
        self._wait(_LEAVING, GRACE + LAST_WORDS)
        self.disarm()


class _AfterFlush:
    """A handler of the user's, as it is called while we watch: when sending has had its head start.

    Equal to the handler itself, and has its attributes.
    """

    def __init__(self, watching: _Watch, users: Any) -> None:
        self.watching, self.users = watching, users

    def __call__(self, number: int, frame: Any) -> Any:
        self.watching.head_start()
        return self.users(number, frame)

    def __getattr__(self, name: str) -> Any:
        if name == "users":  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.users, name)

    def __eq__(self, other: object) -> bool:
        return self.users == (other.users if isinstance(other, _AfterFlush) else other)  # type: ignore[no-any-return]

    def __hash__(self) -> int:
        return hash(self.users)


def _is_free() -> bool:
    """Whether SIGTERM is anybody's whom we can be in front of without taking it from them."""
    handler = signal.getsignal(SIGTERM)
    if handler is None:  # set by code in C, before Python was there
        return False
    return callable(handler) or _listening() is not None or not listener.is_caught_in_c()


def _listening() -> Any:
    """The watch that SIGTERM reaches in this process: ours, or that of another copy of this package."""
    return getattr(sys.modules.get("faulthandler"), _LISTENS, None)


def _set_listening(watching: Any) -> None:
    setattr(sys.modules["faulthandler"], _LISTENS, watching)


def _left_behind(work: Callable[..., object], *args: Any, timeout: float) -> None:
    """Do it in a thread that is left behind after so many seconds: it may run code of the user's that hangs."""
    try:
        _threads.start("zespan-last-flush", work, *args).join(timeout)
    except RuntimeError:  # no more threads
        work(*args)


def _before_fork() -> None:
    """Until a child has forgotten us, what it hears would be its parent's: it has to wait."""
    _forking.blocked = _watch is not None and not _threads.is_blocked(SIGTERM)
    if _forking.blocked:
        _threads.block(SIGTERM)


def _in_parent() -> None:
    if getattr(_forking, "blocked", False):
        _threads.unblock(SIGTERM)


def _in_child() -> None:
    forget()
    _in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)


def _release(waiting: list[Any]) -> None:
    while waiting:
        waiting.pop().release()
