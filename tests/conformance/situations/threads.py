"""The user's threads, which serve, capture and outlive the main one."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from functools import partial

from tests.conformance.program import LONG, Door, event, flush, linger, say, send, steps
from tests.conformance.situations.children import say_how_it_ends
from tests.conformance.situations.table import situation


@situation("threads")
def threads_of_the_users(door: Door) -> None:
    """They may serve, capture and outlive the main one; no thread of the package has to be waited for."""
    from concurrent.futures import ThreadPoolExecutor

    def in_threads() -> str:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(20):
                pool.submit(event)
        return "result"

    door.serve()
    say(door.serve(in_threads))
    waits = [t.name for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    say("to be waited for:", waits)

    def outlive() -> None:
        threading.main_thread().join()
        event()
        say("the last thread ends")

    threading.Thread(target=outlive).start()
    sys.exit(8)


@situation("threads", few=True, fits=lambda room: not room.keeps_loop)
def served_in_threads(door: Door) -> None:
    """Invocations in other threads than the main one, the first included; SIGTERM ends the process all the same."""
    for _ in range(3):
        thread = threading.Thread(target=lambda: say(door.serve()))
        thread.start()
        thread.join()
    event()
    flush()
    send(signal.SIGTERM)
    linger()


@situation("threads", few=True)
def forks_while_all_are_busy(door: Door) -> None:
    """Children that are forked while threads capture, flush and send find no lock held."""
    over = threading.Event()

    def busy() -> None:
        while not over.is_set():
            event()
            flush()
            time.sleep(0.001)

    door.serve()
    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        signal.alarm(0)
        say_how_it_ends(steps(partial(signal.alarm, 5), event, flush, partial(os._exit, 0)))
    over.set()
    for thread in threads:
        thread.join(LONG)
    say(door.serve())
