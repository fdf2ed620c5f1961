"""The user's settings of sockets."""

from __future__ import annotations

import signal
import time
from functools import partial

from tests.conformance.program import Door, event, linger, say, send, until
from tests.conformance.situations.table import as_many, situation


@situation("sockets", twice=True)
def default_timeout(door: Door) -> None:
    """`socket.setdefaulttimeout` is for the user's sockets; SIGTERM is heard after that time, too."""
    import socket

    door.here()
    socket.setdefaulttimeout(0.02)
    door.serve()
    time.sleep(0.06)
    event()
    send(signal.SIGTERM)
    linger()


@situation("sockets", few=True)
def default_timeout_with_a_handler(door: Door) -> None:
    """The same with the user's handler, and with later ones."""
    import socket

    calls: list[int] = []
    socket.setdefaulttimeout(0.02)
    signal.signal(signal.SIGTERM, lambda number, frame: calls.append(number))
    for count in (1, 2):
        door.serve()
        time.sleep(0.06)
        send(signal.SIGTERM)
        until(partial(as_many, calls, count))
        event()
    with socket.socket() as theirs:
        say(calls, socket.getdefaulttimeout(), theirs.gettimeout())
