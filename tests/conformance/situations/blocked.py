"""Signals that are blocked, waited for, or read from a descriptor."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from functools import partial

from tests.conformance.program import LONG, Door, event, linger, say, send, sends, steps, until
from tests.conformance.situations.table import as_many, situation

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


@situation("blocked", twice=True)
def critical_section(door: Door) -> None:
    """What is blocked waits, whatever it is; SIGTERM ends the process at the end of the section."""
    door.here()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    door.serve(steps(event, *map(sends, STOPS)))
    time.sleep(0.03)
    say("pending", sorted(signal.sigpending()), "blocked", sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    door.serve()
    for number in STOPS[1:]:
        taken = signal.sigtimedwait([number], LONG)
        say("taken", taken and taken.si_signo)
    say("the end of the section")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    linger()


@situation("blocked", few=True)
def critical_section_to_the_end(door: Door) -> None:
    """A process that exits while SIGTERM is blocked and pending exits as it wants to."""
    door.serve()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    send(signal.SIGTERM)
    event()
    sys.exit(4)


@situation("blocked", twice=True)
def thread_that_waits_for_signals(door: Door) -> None:
    """`sigwait` in a thread, as POSIX recommends to programs with threads."""
    heard: list[int] = []

    def wait() -> None:
        while signal.SIGTERM not in heard:
            number = signal.sigwait(STOPS)
            say("heard", int(number))
            heard.append(number)

    door.here()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    thread = threading.Thread(target=wait)
    thread.start()
    for count, number in enumerate((signal.SIGUSR1, signal.SIGINT, signal.SIGUSR2), 1):
        door.serve(steps(event, sends(number)))
        until(partial(as_many, heard, count))
    send(signal.SIGTERM)
    thread.join(LONG)
    door.serve()


@situation("blocked", twice=True, few=True)
def signalfd(door: Door) -> None:
    """Signals that are read from a descriptor, as event loops in C do."""
    import ctypes
    import select

    door.here()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    libc = ctypes.CDLL(None, use_errno=True)
    mask = (ctypes.c_uint8 * 128)()
    for number in STOPS:
        mask[(number - 1) // 8] |= 1 << (number - 1) % 8
    fd = libc.signalfd(-1, mask, os.O_CLOEXEC)
    for number in STOPS:
        door.serve(steps(event, sends(number)))
        ready, _, _ = select.select([fd], [], [], LONG)
        say("read", int.from_bytes(os.read(fd, 128)[:4], sys.byteorder) if ready else None)
