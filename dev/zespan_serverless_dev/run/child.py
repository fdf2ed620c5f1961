"""Runs a program in the place of this one: its input and output, its signals, its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as shells say it
_PASSED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_FROM_KEYS = ("SIGINT", "SIGQUIT")  # which a terminal sends to all processes in its foreground


class CannotRun(Exception):
    """Why a command cannot be run, for the user."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end. Returns its exit code; that of a process that a signal has ended is 128 + its number.

    Signals that come meanwhile are the command's.
    """
    with _passing() as passing:
        try:
            # It inherits files as from a shell, such as the pipes of make; Python's own are never inherited.
            child = subprocess.Popen(command, env=environment, close_fds=False)
        except FileNotFoundError:
            raise CannotRun(f"there is no command {command[0]!r}", NOT_FOUND) from None
        except OSError as error:
            raise CannotRun(f"{command[0]!r} cannot be run: {error.strerror}", NOT_EXECUTABLE) from None
        passing.to(child)
        waiter = threading.Thread(target=child.wait, daemon=True)
        waiter.start()
        while waiter.is_alive():  # in pieces: a signal that comes just before a wait does not interrupt it
            waiter.join(1.0)
        code = child.wait()
    return 128 - code if code < 0 else code


class _Passing:
    """Passes signals on. One that comes before there is a child is kept for it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def to(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        for number in self._early:
            child.send_signal(number)

    def handle(self, number: int, _: Any) -> None:
        if signal.Signals(number).name in _FROM_KEYS and _in_foreground():
            return  # it has the signal already, and twice would mean more
        if self._child is None:
            self._early.append(number)
        else:
            with suppress(ProcessLookupError):
                self._child.send_signal(number)


@contextmanager
def _passing() -> Iterator[_Passing]:
    """Pass on all signals, except those that are ignored: the child ignores them, too."""
    passing, before = _Passing(), {}
    for name in _PASSED:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, passing.handle)
    try:
        yield passing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether the keys of a terminal reach this process, and so its child."""
    if sys.platform == "win32":
        return True  # Ctrl-C goes to all processes of a console
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
