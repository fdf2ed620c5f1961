"""Lambda's row of the table of hosts."""

from __future__ import annotations

import statistics
from typing import Literal

import pytest

from tests.aws_lambda.support import StartFunction, calls, roots
from tests.hosts import Cell, after, later
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host


HOST = "AWS Lambda"
ROUNDS = 12


def added(start: StartFunction, handler: str) -> float:
    """Return what telemetry adds to a response, in milliseconds, the sandbox frozen between the calls."""
    ours, bare = start(handler), start(handler, env={"ZESPAN_ENABLED": "0"})
    took = []
    for _ in range(ROUNDS):
        pair = []
        for sandbox in (ours, bare):
            pair.append(sandbox.invoke().response_ms or 0)
            sandbox.freeze()
        took.append(pair[0] - pair[1])
    return statistics.median(took[2:])


@pytest.mark.parametrize(
    ("situation", "handler"), [("sync", "sync"), ("async", "asynchronous"), ("exception", "exception")]
)
def test_one_at_a_time(
    start: StartFunction,
    backend: Backend,
    cell: Cell,
    situation: Literal["sync", "async", "exception"],
    handler: str,
) -> None:
    """Every invocation's events are there when the sandbox takes the next one, and none waits for the backend."""
    backend.latency = 0.03
    more = added(start, f"situations.{handler}")
    assert (len(calls(backend.events)), len(roots(backend.events))) == (ROUNDS, ROUNDS)
    assert {root["status"] for root in roots(backend.events)} == {"error" if handler == "exception" else "success"}
    seen = f"{after(more)} The backend is 30 ms away."
    cell(HOST, situation, seen, sent="after the response", later=later(more))


def test_model_calls_in_threads_belong_to_the_invocation(start: StartFunction, backend: Backend, cell: Cell) -> None:
    """Concurrent model calls in threads are in the invocation's trace."""
    start("situations.threads").invoke()
    assert len({event["trace_id"] for event in backend.events}) == 1
    assert len(calls(backend.events)) == 16
    cell(HOST, "concurrent", "Lambda gives a sandbox one invocation at a time. Its 16 threads are in one trace.")
    cell(HOST, "stream", "Lambda's Python runtime streams no response.")


def test_sigterm_sends_pending_events(start: StartFunction, backend: Backend, cell: Cell) -> None:
    """Events that could not be sent before are sent at SIGTERM."""
    sandbox = start("situations.sync", env={"ZESPAN_FLUSH_TIMEOUT": "0.1"})
    backend.mode = "refuse"
    sandbox.invoke()
    backend.mode = "ok"
    sandbox.stop()
    assert len(backend.events) == 2
    seen = "Everything in memory arrives; the process ends as without the package."
    cell(HOST, "SIGTERM", seen, stopped="everything in memory is sent")


def test_a_dead_backend_delays_no_response(start: StartFunction, backend: Backend, cell: Cell) -> None:
    """No response waits for the backend, and all events arrive when it is available again."""
    sandbox = start("situations.sync", env={"ZESPAN_FLUSH_TIMEOUT": "0.3"})
    backend.mode = "hang"
    responses = [sandbox.invoke().response_ms or 0 for _ in range(5)][1:]
    backend.mode = "ok"
    sandbox.stop()
    assert len({event["event_id"] for event in backend.events}) == 10
    seen = f"Everything arrives once it is back; the slowest of 4 responses took {max(responses):.0f} ms (work: 20)."
    cell(HOST, "dead backend", seen, outage="kept, then sent")


def test_a_flush_leaves_the_reserve_and_timeouts_are_reported(
    start: StartFunction, backend: Backend, cell: Cell
) -> None:
    """A flush ends before the reserve, and an invocation that times out is reported."""
    sandbox = start("steps.handler", timeout=1, env={"ZESPAN_FLUSH_TIMEOUT": "60"})
    sandbox.invoke()
    backend.mode = "hang"
    held = sandbox.invoke({"sleep": 0.2})
    assert not held.timed_out
    backend.mode = "ok"
    assert sandbox.invoke({"sleep": 5}).timed_out
    statuses = {root["status"] for root in roots(backend.events)}
    assert statuses == {"success", "timeout"}
    seen = f"A hung flush ended after {held.wall_ms:.0f} of 1,000 ms. A timeout arrives, as `timeout`."
    cell(HOST, "deadline", seen)
