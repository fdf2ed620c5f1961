"""Children, and other programs that a process starts."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.conformance.program import Door, event, flush, linger, say, send, sends, steps
from tests.conformance.situations.table import Play, situation


@situation("children")
def forked(door: Door) -> None:
    """A child of `os.fork` serves, exits with its code, and is killed by SIGTERM, whatever the parent is doing."""
    door.serve()
    event()

    def child() -> None:
        say(door.serve())
        event()
        flush()

    say_how_it_ends(steps(child, partial(os._exit, 3)))
    say_how_it_ends(steps(child, sends(signal.SIGTERM), linger))
    door.serve(steps(event, partial(say_how_it_ends, partial(os._exit, 4))))
    door.serve(steps(event, partial(say_how_it_ends, steps(sends(signal.SIGTERM), linger))))
    send(signal.SIGTERM)
    linger()


@situation("children", twice=True, few=True)
def forked_with_a_handler(door: Door) -> None:
    """A child has the handlers and the mask that its parent has set."""
    door.here()

    def handler(number: int, frame: object) -> None:
        say("handler")
        os._exit(5)

    signal.signal(signal.SIGTERM, handler)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    door.serve()
    say_how_it_ends(steps(partial(say, _blocked()), sends(signal.SIGTERM), linger))
    say_how_it_ends(steps(lambda: say(door.serve()), flush, sends(signal.SIGTERM), linger))
    door.serve()


def _blocked() -> list[int]:
    return sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def say_how_it_ends(does: Callable[[], object]) -> None:
    """Fork a child that does this and does not return."""
    import warnings

    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of forks in processes with threads
        pid = os.fork()
    if not pid:
        try:
            does()
        finally:
            os._exit(99)
    say("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _multiprocessing(method: Any) -> Play:
    def play(door: Door) -> None:
        import multiprocessing
        import warnings

        door.serve()
        context: Any = multiprocessing.get_context(method)
        for ends in ("returns", "exits", "raises", "is terminated") if method == "fork" else ("exits", "is terminated"):
            ready, readies = context.Pipe(duplex=False)
            child = context.Process(target=_child, args=(ends, sys.argv, readies))
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                child.start()
            readies.close()
            if ends == "is terminated":
                ready.recv()
                child.terminate()
            child.join()
            say(ends, child.exitcode)
        door.serve()

    return play


def _child(ends: str, argv: list[str], readies: Any) -> None:
    from tests.conformance import bare, rooms

    if "--bare" in argv:
        bare.install()
    child = Door(rooms.ROOMS[argv[1]], traced="--bare" not in argv)
    say(child.serve())
    event()
    if ends == "exits":
        sys.exit(3)
    if ends == "raises":
        raise LookupError
    if ends == "is terminated":
        readies.send("ready")
        linger()


for _method in ("fork", "spawn", "forkserver"):
    situation("children", f"multiprocessing by {_method}", few=True)(_multiprocessing(_method))

_TELLS = """
import os, signal
blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))
handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGPIPE)]
print("mask", blocked, "handlers", handlers, "descriptors", len(os.listdir("/proc/self/fd")), flush=True)
"""


@situation("children", few=True)
def other_programs(door: Door) -> None:
    """A started program inherits nothing from this package: no mask, no handler, no descriptor."""
    import subprocess

    command = [sys.executable, "-S", "-E", "-c", _TELLS]
    for _ in range(2):
        door.serve(steps(event, partial(subprocess.run, command, check=True, close_fds=False)))
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    subprocess.run(command, check=True, close_fds=False)
    event()
    flush()
    os.execv(sys.executable, command)
