"""A process that goes on and on, with telemetry by hand: what is sent without anybody asking."""

from __future__ import annotations

import signal
import subprocess

from tests.jobs.conftest import Start
from zespan_serverless.testing import Backend

WORKER = """
import sys, time
from zespan_serverless import init, span
init(batch_size=5, flush_interval={interval})
for number in range({count}):
    with span(str(number)): pass
print("ready", flush=True)
{then}
"""


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_a_full_batch_is_sent(start: Start, backend: Backend) -> None:
    """Every batch_size events; what is less than that waits."""
    ready(start(WORKER.format(interval=60, count=12, then="time.sleep(30)")))
    assert len(backend.wait_for(10, 5)) == 10
    assert {len(request.events) for request in backend.requests} == {5}


def test_what_waits_is_sent_after_the_interval(start: Start, backend: Backend) -> None:
    """Every flush_interval, however few there are."""
    ready(start(WORKER.format(interval=0.3, count=2, then="time.sleep(30)")))
    assert len(backend.wait_for(2, 5)) == 2


def test_sigterm_sends_the_rest(start: Start, backend: Backend) -> None:
    """And the process ends as it would have."""
    process = start(WORKER.format(interval=60, count=7, then="time.sleep(30)"))
    ready(process)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[1] == ""
    assert process.returncode == -signal.SIGTERM
    assert len(backend.events) == 7


def test_the_end_sends_the_rest(start: Start, backend: Backend) -> None:
    """However it comes: by its last line, by sys.exit, or by an exception."""
    for count, then in enumerate(("", "sys.exit(3)", "raise ValueError"), 1):
        process = start(WORKER.format(interval=60, count=1, then=then))
        process.communicate(timeout=10)
        assert len(backend.events) == count


def test_unsent_events_at_the_end_are_logged(start: Start, backend: Backend) -> None:
    """No event is lost without a word."""
    backend.mode = "refuse"
    process = start(WORKER.format(interval=60, count=2, then=""), ZESPAN_FLUSH_TIMEOUT="0.3")
    assert "telemetry events are being dropped: closed" in process.communicate(timeout=10)[1]
    assert process.returncode == 0
