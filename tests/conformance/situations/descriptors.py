"""Descriptors that are closed once too often, or all at once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from functools import partial

from tests.conformance.program import Door, event, say, send, steps
from tests.conformance.situations.table import is_sync, situation


class Files:
    """Files that the user opens, which take the free numbers."""

    def __init__(self, count: int = 24) -> None:
        self._fds = [os.memfd_create(f"file {n}") for n in range(count)]
        for n, fd in enumerate(self._fds):
            os.write(fd, self._content(n))

    def check(self) -> None:
        """Say what has become of them."""
        for n, fd in enumerate(self._fds):
            try:
                found = os.pread(fd, 100_000, 0)
            except OSError as error:
                say("file", n, error.strerror)
                continue
            if found != self._content(n):
                say("file", n, "has changed:", len(found), "bytes")
        say("all looked at")

    @staticmethod
    def _content(n: int) -> bytes:
        return b"%4d" % n * 1000


@contextlib.contextmanager
def _kept_whole() -> Iterator[None]:
    files = Files()
    yield
    files.check()
    event()
    signal.signal(signal.SIGTERM, lambda number, frame: say("handler"))
    send(signal.SIGTERM)
    time.sleep(0.01)
    files.check()
    import atexit

    atexit.register(files.check)  # runs before what was registered earlier, ours included
    atexit.register(event)


@situation("descriptors", fits=is_sync)
def all_closed(door: Door) -> None:
    """A function that closes every descriptor it finds, and opens files, has these files for itself."""
    door.serve()
    door.serve(steps(event, partial(os.closerange, 3, 256)))
    with _kept_whole():
        for _ in range(3):
            door.serve()
        say(door.serve())


@situation("descriptors")
def closed_twice(door: Door) -> None:
    """A descriptor that is closed once too often: harmless unless other code has its number."""
    theirs = [os.open(os.devnull, os.O_RDONLY) for _ in range(16)]
    for fd in theirs:
        os.close(fd)
    door.serve()
    for fd in theirs:
        if not (door.room.keeps_loop and _is_loops(fd)):
            with contextlib.suppress(OSError):
                os.close(fd)
    with _kept_whole():
        for _ in range(3):
            door.serve()


def _is_loops(fd: int) -> bool:
    """Without us the loop's would be broken, too."""
    try:
        kind = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 (pathlib takes long to import)
    except OSError:
        return False
    return "eventpoll" in kind or "socket" in kind
