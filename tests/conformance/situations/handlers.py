"""The user's handlers of signals: one, several, set early or late."""

from __future__ import annotations

import signal
import sys
import time
from functools import partial
from typing import Any

from tests.conformance.program import Door, event, flush, linger, say, send, sends, steps, until, work
from tests.conformance.situations.table import as_many, situation


class Stop(Exception):
    """Raised by a handler."""


@situation("handlers", twice=True)
def handler_that_returns_raises_and_exits(door: Door) -> None:
    """A handler for SIGTERM does what it does, between invocations and in them, and decides about the process."""
    door.here()
    calls: list[int] = []

    def handler(number: int, frame: object) -> None:
        calls.append(number)
        say("call", len(calls), "signal", number)
        if len(calls) == 3:
            raise Stop
        if len(calls) == 4:
            sys.exit(5)

    signal.signal(signal.SIGTERM, handler)
    say(door.serve())
    send(signal.SIGTERM)
    until(partial(as_many, calls, 1))
    say(door.serve(steps(work, sends(signal.SIGTERM), partial(until, partial(as_many, calls, 2)))))
    event()
    try:
        send(signal.SIGTERM)
        linger()
    except Stop:
        say("caught")
    say(door.serve())
    event()
    send(signal.SIGTERM)
    linger()


@situation("handlers", twice=True, few=True)
def handler_that_raises_in_an_invocation(door: Door) -> None:
    """What it raises comes out of the invocation, once."""
    door.here()

    def handler(number: int, frame: object) -> None:
        raise Stop

    signal.signal(signal.SIGTERM, handler)
    for _ in range(2):
        try:
            door.serve(steps(event, sends(signal.SIGTERM), linger))
        except Stop:
            say("caught")
        say(door.serve())


@situation("handlers", twice=True, few=True)
def handlers_of_other_signals(door: Door) -> None:
    """Every other signal is none of our business."""
    door.here()
    for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda number, frame: say("signal", number))
        door.serve(steps(event, sends(number)))
        send(number)
    flush()
    send(signal.SIGUSR2)
    linger()


@situation("handlers", twice=True)
def libraries_that_hand_on(door: Door) -> None:
    """Two libraries that clean up and hand on to whom they found: in the end the process is killed by SIGTERM."""
    _clean_up_and_hand_on("one")
    door.here()
    _clean_up_and_hand_on("two")
    door.serve()
    event()
    send(signal.SIGTERM)
    linger()


@situation("handlers", few=True)
def libraries_above_us_that_hand_on(door: Door) -> None:
    """The same, set in an invocation and after it."""
    door.serve(steps(event, partial(_clean_up_and_hand_on, "one")))
    _clean_up_and_hand_on("two")
    event()
    send(signal.SIGTERM)
    linger()


@situation("handlers", twice=True, few=True)
def libraries_that_hand_on_to_a_handler(door: Door) -> None:
    """With a handler at the bottom that returns, all go on to their ends, each time, and the process, too."""
    calls: list[int] = []

    def handler(number: int, frame: object) -> None:
        calls.append(number)
        say("handler")

    signal.signal(signal.SIGTERM, handler)
    door.here()
    _clean_up_and_hand_on("one")
    door.serve()
    door.serve(steps(event, partial(_clean_up_and_hand_on, "two")))
    for count in (1, 2):
        door.serve(steps(event, sends(signal.SIGTERM), partial(until, partial(as_many, calls, count))))
        event()
    door.serve()


def _clean_up_and_hand_on(name: str) -> None:
    def handler(number: int, frame: Any) -> None:
        say(name, "cleans up")
        if callable(previous):
            previous(number, frame)
            say(name, "has handed on")
        elif previous == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            send(number)

    previous = signal.signal(signal.SIGTERM, handler)


@situation("handlers", few=True)
def handler_that_comes_and_goes(door: Door) -> None:
    """Code that restores the handler that it found has what it would have without this package."""
    door.serve()
    found = signal.signal(signal.SIGTERM, lambda number, frame: say("mine"))
    door.serve(steps(event, sends(signal.SIGTERM)))
    signal.signal(signal.SIGTERM, found)
    door.serve()
    send(signal.SIGTERM)
    linger()


@situation("handlers", few=True, twice=True)
def ignored(door: Door) -> None:
    """SIG_IGN ignores; SIG_DFL, set again, ends."""
    door.here()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    door.serve(steps(event, sends(signal.SIGTERM)))
    send(signal.SIGTERM)
    time.sleep(0.03)
    say("lives")
    door.serve()
    flush()  # only the kernel handles the next one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    send(signal.SIGTERM)
    linger()


@situation("handlers", twice=True)
def callbacks_at_exit(door: Door) -> None:
    """They run in their order, after a handler that exits, and what they capture is sent, or said to be lost."""
    import atexit

    atexit.register(say, "registered first")
    atexit.register(event)
    door.here()
    atexit.register(say, "registered second")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(3))
    door.serve()
    atexit.register(say, "registered third")
    atexit.register(event)
    send(signal.SIGTERM)
    linger()
