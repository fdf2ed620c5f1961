"""What the programs of the situations are written with. Runs in their processes, not in pytest's.

`say` writes the transcript, which has to be the same with and without us. What the backend has to get is written to the
ledger: `event ID`, and `root` for an invocation whose root event is due.
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Callable
from typing import Any

from tests.conformance.rooms import Room, Serve, Work

LONG = 10.0
"""Seconds that take longer than anything here: what waits for so long has failed."""

FOLDER = os.environ.get("CONFORMANCE_FOLDER") or "/tmp"
"""For this program's files; it is deleted later."""

_CASE, _LEDGER = os.environ.get("CONFORMANCE_CASE", "by hand"), f"{FOLDER}/ledger"
_number = itertools.count()


def say(*words: object) -> None:
    """One line of the transcript."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def event() -> None:
    """Capture an event, which has to arrive."""
    import zespan_serverless

    name = f"{_CASE}-{os.getpid()}-{next(_number)}"
    zespan_serverless.capture({"operation": name})
    note("event", name)


def work() -> str:
    """Return what most invocations do."""
    event()
    return "result"


def fails() -> object:
    """Return an invocation that does not return."""
    event()
    raise LookupError("mine")


def flush() -> None:
    """Before the end of a process that runs no more code of anybody's."""
    import zespan_serverless

    zespan_serverless.flush()


def note(*words: object) -> None:
    """One line of the ledger. The file is open for no longer than that: situations close every descriptor there is."""
    ledger = os.open(_LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, (" ".join(map(str, words)) + "\n").encode())
    os.close(ledger)


def send(number: int) -> None:
    """A signal for this process, as from outside: any thread may take it that does not block it."""
    os.kill(os.getpid(), number)


def sends(number: int) -> Work:
    """Return what sends it."""
    return functools.partial(send, number)


def steps(*todo: Work) -> Work:
    """Return what does one after the other, and returns what the first has returned."""

    def do() -> object:
        first, *_ = [step() for step in todo]
        return first

    return do


def until(condition: Callable[[], object]) -> None:
    """Wait for what happens elsewhere."""
    end = time.monotonic() + LONG
    while not condition():
        if time.monotonic() > end:
            say("timed out waiting")
            return
        time.sleep(0.001)


def linger() -> None:
    """For a process that is about to be ended."""
    end = time.monotonic() + 4
    while (left := end - time.monotonic()) > 0:
        time.sleep(left)
    say("lived on")


class Door:
    """The way into a room, entered when it is first used."""

    def __init__(self, room: Room, *, traced: bool, early: bool = False) -> None:
        self.room, self.traced = room, traced
        self._early = early
        self._work: Work = work
        self._serve: Serve | None = None

    def here(self) -> None:
        """Where "us first" comes in, if that is asked for: decorated and called before what follows."""
        if self._early:
            self.serve()

    def decorate(self) -> None:
        """As the import of the user's module does."""
        self._serve = self.room.start(lambda: self._work())

    def another(self) -> Door:
        """Into the same room, decorated anew."""
        return Door(self.room, traced=self.traced)

    def serve(self, doing: Work = work) -> Any:
        """Return one invocation that does this; gives what came out."""
        if self._serve is None:
            self.decorate()
        assert self._serve is not None
        self._work = doing
        result = self._serve()
        if self.room.roots:
            note("root")
        return result

    def serve_async(self, main: Callable[[], Any]) -> Any:
        """One invocation that runs a coroutine: on the room's loop if there is one, else on a loop of its own."""
        import asyncio

        return self.serve(main if self.room.awaits else lambda: asyncio.run(main()))
