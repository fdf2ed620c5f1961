"""Timeouts by SIGALRM, which strike anywhere."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from tests.conformance.program import LONG, Door, event, flush, say, steps, until
from tests.conformance.situations.table import is_sync, situation


class Alarm(Exception):
    """A timeout's."""


class Alarms:
    """How many have gone off, and how many have reached their owner.

    Apart from those that the interpreter itself swallows, in finalizers and callbacks of weak references.
    """

    def __init__(self) -> None:
        self.fired = self.seen = 0
        signal.signal(signal.SIGALRM, self._strike)
        sys.unraisablehook = self._swallowed_by_python

    def _swallowed_by_python(self, unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, Alarm):
            self.seen += 1
        else:
            sys.__unraisablehook__(unraisable)

    def _strike(self, number: int, frame: object) -> None:
        self.fired += 1
        raise Alarm

    def during(self, does: Callable[[], object], longest: float) -> None:
        """Do it with an alarm within so many seconds, if it takes so long."""
        import random

        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00005, longest))
            does()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Alarm:
            self.seen += 1
            raise


def _capture_much() -> None:
    import zespan_serverless

    for _ in range(4):
        zespan_serverless.capture({"operation": "long", "prompt_text": "x" * 50_000})


def _go_on(door: Door) -> None:
    """What comes after is as if nothing had been: other threads find no lock held, and invocations are complete."""
    thread = threading.Thread(target=steps(event, flush), daemon=True)
    thread.start()
    thread.join(LONG / 2)
    say("other threads hang" if thread.is_alive() else "other threads go on")
    for _ in range(3):
        say(door.serve())


@situation("alarms")
def alarms_while_it_captures(door: Door) -> None:
    """An alarm that goes off while the function captures comes out of the function, and of the invocation."""
    alarms = Alarms()

    fired = 0

    def captures() -> None:
        _capture_much()
        until(lambda: alarms.fired > fired)

    door.serve()
    for _ in range(20):
        fired = alarms.fired  # now: the interpreter may swallow one that strikes before anything is captured
        with contextlib.suppress(Alarm):
            door.serve(lambda: alarms.during(captures, 0.002))
    say(alarms.fired, "fired", alarms.seen, "seen")
    _go_on(door)


@situation("alarms", fits=is_sync)
def alarms_at_any_time(door: Door) -> None:
    """So does one that goes off before the function is called, or after it has returned.

    Not with asyncio around, which itself swallows what strikes its own callbacks.
    """
    alarms = Alarms()
    door.serve()
    for _ in range(40):
        with contextlib.suppress(Alarm):
            alarms.during(lambda: door.serve(_capture_much), 0.003)
    say(alarms.fired - alarms.seen, "swallowed")
    _go_on(door)
