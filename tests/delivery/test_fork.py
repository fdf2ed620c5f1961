"""A forked child has a delivery of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORK = """
import os, threading, time
import zespan_serverless
from tests.delivery.support import lock_of
from zespan_serverless._process import container as _container
from zespan_serverless.testing import Backend

with Backend() as backend:
    zespan_serverless.init(base_url=backend.url, flush_interval=60, batch_size=500)
    delivery = _container.current().delivery
    zespan_serverless.capture({"operation": "sent by the parent"})
    assert zespan_serverless.flush().delivered == 1

    # At the moment of the fork a request is under way, an event is waiting, and a thread holds the lock.
    backend.mode = "hang"
    zespan_serverless.capture({"operation": "being sent by the parent"})
    reports = []
    flushing = threading.Thread(target=lambda: reports.append(zespan_serverless.flush(10)))
    flushing.start()
    while len(backend.requests) < 2:
        time.sleep(0.01)
    zespan_serverless.capture({"operation": "waiting in the parent"})
    entered, leave = threading.Event(), threading.Event()
    def hold():
        with lock_of(delivery):
            entered.set()
            leave.wait()
    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()

    child = os.fork()
    if child == 0:
        assert (delivery.captured, delivery.pending) == (0, 0)
        zespan_serverless.capture({"operation": "of the child"})
        os._exit(0 if zespan_serverless.flush(10).delivered == 1 else 1)
    leave.set()
    while len(backend.requests) < 3:
        time.sleep(0.01)
    backend.mode = "ok"
    flushing.join()
    assert reports[0].delivered == 1
    assert zespan_serverless.flush().delivered == 1
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    print(sorted(event["operation"] for event in backend.events), backend.connections)
"""
OPERATIONS = ["being sent by the parent", "of the child", "sent by the parent", "waiting in the parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_forked_child_has_its_own_lock_sender_and_events() -> None:
    """The child has a lock, a connection and a sender of its own, no event of the parent's; and that one goes on."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == ""
    assert done.stdout == f"{OPERATIONS} 2\n"
