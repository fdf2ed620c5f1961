"""The end of a worker's process without a disk, which a second SIGTERM interrupts: what is lost is counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support import ROOT, until
from zespan_serverless.testing import Backend

PROGRAM = """
import signal, sys, time
from zespan_serverless import _worker, capture, init

def like_billiard(number, frame):  # the pool of Celery
    signal.signal(number, signal.SIG_DFL)
    sys.exit(1)

def like_dramatiq(number, frame):
    sys.exit(1)

handler, ends_by_exit = (like_billiard, False) if sys.argv[1] == "celery" else (like_dramatiq, True)
signal.signal(signal.SIGTERM, handler)
init(journal="off", flush_timeout=60, on_error=lambda dropped: print(dropped.events, dropped.reason, flush=True))
for _ in range(3):
    capture({"operation": "one"})
try:
    print("ready", flush=True)
    time.sleep(60)
finally:
    print("ending", flush=True)
    if not ends_by_exit:
        _worker.finish()
"""


@pytest.mark.host(seconds=2)
@pytest.mark.parametrize("queue", ["celery", "dramatiq"])
def test_a_second_signal_during_the_last_flush(queue: str, backend: Backend) -> None:
    """The signal ends the flush, and the process as it would have; on_error is told of every event first."""
    backend.mode = "hang"
    env = {**os.environ, "ZESPAN_API_KEY": "zsp_test", "ZESPAN_BASE_URL": backend.url, "ZESPAN_ENABLED": "1"}
    command = [sys.executable, "-c", PROGRAM, queue]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "ending\n"
        until(lambda: backend.requests)
        time.sleep(1)  # the first signal has its flush for up to 0.35 s, before the last one
        process.send_signal(signal.SIGTERM)
        printed, log = process.communicate(timeout=30)
    assert printed == "3 closed\n", log
    assert process.returncode == (-signal.SIGTERM if queue == "celery" else 1), log
