"""Ends of the process: by an exit code, an exception, or a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from functools import partial
from typing import Any

from tests.conformance.program import Door, event, fails, flush, linger, say, send, sends, steps
from tests.conformance.situations.table import Play, is_sync, situation


def _exits(code: Any) -> Play:
    def play(door: Door) -> None:
        door.serve()
        door.serve(steps(event, partial(sys.exit, code)))

    return play


for _name, _code in {"0": 0, "3": 3, "256": 256, "text": "the end", "nothing": None}.items():
    situation("ends", f"exit with {_name}", few=_name != "3")(_exits(_code))


@situation("ends", twice=True)
def exit_between(door: Door) -> None:
    """What is captured after the last invocation is sent, or said to be lost."""
    door.here()
    door.serve()
    event()
    sys.exit(9)


@situation("ends")
def exception(door: Door) -> None:
    """An uncaught one ends the process with its own traceback."""
    door.serve()
    door.serve(fails)


@situation("ends", few=True)
def exit_at_once(door: Door) -> None:
    """`os._exit`, after a flush by hand."""
    door.serve()
    event()
    flush()
    os._exit(7)


@situation("ends", twice=True)
def sigterm_between(door: Door) -> None:
    """The process is killed by SIGTERM, as its parent sees it."""
    door.here()
    door.serve()
    event()
    send(signal.SIGTERM)
    linger()


@situation("ends")
def sigterm_in_an_invocation(door: Door) -> None:
    """In the midst of one, too."""
    door.serve()
    door.serve(steps(event, sends(signal.SIGTERM), linger))


@situation("ends", few=True)
def sigterm_while_blocked_in_c(door: Door) -> None:
    """While the main thread is in C code that looks at no signals."""
    import hashlib

    door.serve()
    event()
    threading.Timer(0.03, send, (signal.SIGTERM,)).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 30_000_000)
    say("lived on")


@situation("ends")
def sigint_between(door: Door) -> None:
    """Ctrl-C ends the process with a KeyboardInterrupt."""
    door.serve()
    event()
    send(signal.SIGINT)
    linger()


@situation("ends", few=True, fits=is_sync)
def sigint_in_an_invocation(door: Door) -> None:
    """Which the function may catch. Not with asyncio around, which cancels it instead."""

    def catches() -> str:
        event()
        try:
            send(signal.SIGINT)
            linger()
        except KeyboardInterrupt:
            say("caught")
        return "result"

    say(door.serve(catches))
    say(door.serve())


@situation("ends", few=True)
def default_action_by_hand(door: Door) -> None:
    """SIGTERM by `signal.raise_signal` with the default action set again, as shells do at their end."""
    door.serve()
    flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
    linger()


@situation("ends", twice=True, few=True)
def faulthandler_that_hands_on(door: Door) -> None:
    """A traceback on SIGTERM, and then the default action."""
    import faulthandler

    door.here()
    faulthandler.register(signal.SIGTERM, all_threads=False, chain=True)
    door.serve()
    flush()  # only faulthandler handles the next one
    send(signal.SIGTERM)
    linger()


@situation("ends", few=True, twice=True)
def faulthandler_that_stays(door: Door) -> None:
    """A traceback on SIGTERM, and no more."""
    import faulthandler

    door.here()
    faulthandler.register(signal.SIGTERM, all_threads=False)
    for _ in range(2):
        door.serve(steps(event, sends(signal.SIGTERM)))
        time.sleep(0.03)
    say("lives")
