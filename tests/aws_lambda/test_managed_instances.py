"""Managed Instances: AWS's runtime client forks processes that serve side by side, and are never frozen."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.aws_lambda.runtime_api import RuntimeApi
from tests.aws_lambda.support import calls, roots, until
from zespan_serverless.testing import Backend

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(sys.platform != "linux", reason="Lambda's runtime client is for Linux only"),
]

Start = Callable[..., RuntimeApi]
WORKERS = 3


@pytest.fixture
def start(backend: Backend) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(**env: str) -> RuntimeApi:
            environment = {"AWS_LAMBDA_MAX_CONCURRENCY": str(WORKERS), "ZESPAN_BASE_URL": backend.url, **env}
            return stack.enter_context(RuntimeApi("workers.handler", environment))

        yield start


def serve(api: RuntimeApi, times: int = 1) -> set[int]:
    """Have every worker run so many invocations at the same time as the others. Gives their pids."""
    pids: set[int] = set()
    for _ in range(times):
        asked = [api.invoke({"sleep": 0.3}) for _ in range(WORKERS)]
        pids |= {api.answer(request_id)["pid"] for request_id in asked}
    return pids


def arrived(backend: Backend) -> tuple[int, int]:
    """Return how many model calls and root events the backend has; what a hung request brought twice counts once."""
    events = list({event["event_id"]: event for event in backend.events}.values())
    return len(calls(events)), len(roots(events))


def test_every_worker_delivers(start: Start, backend: Backend) -> None:
    """Each has a sender and a connection of its own, and every event arrives once; none registers an extension."""
    api = start()
    assert len(serve(api, times=3)) == WORKERS
    until(lambda: len(backend.events) == 2 * 3 * WORKERS)
    assert arrived(backend) == (3 * WORKERS, 3 * WORKERS)
    assert backend.connections == WORKERS
    assert api.calls == []
    kinds = sorted(root["metadata"]["start_kind"] for root in roots(backend.events))
    assert kinds == ["provisioned"] * WORKERS + ["warm"] * 2 * WORKERS


def test_no_answer_waits_for_the_backend(start: Start, backend: Backend) -> None:
    """Answers are there while the backend has not even answered the first request, and all is delivered later."""
    backend.mode = "hang"
    api = start(ZESPAN_FLUSH_TIMEOUT="60")
    serve(api, times=3)
    assert backend.events == []
    backend.mode = "ok"
    until(lambda: arrived(backend) == (3 * WORKERS, 3 * WORKERS))


def test_a_request_that_takes_too_long_is_cut_off(start: Start, backend: Backend) -> None:
    """Each attempt ends in its time, and is followed by another, though no invocation comes to see to that."""
    backend.mode, backend.drip_interval = "drip", 3600
    api = start(ZESPAN_FLUSH_TIMEOUT="0.2", ZESPAN_FLUSH_INTERVAL="0.2")
    serve(api)
    until(lambda: len(backend.requests) == 3 * WORKERS)  # by then the breaker is open


def test_before_return_is_obeyed(start: Start, backend: Backend) -> None:
    """Who wants every event acknowledged before the answer has it so here as well."""
    api = start(ZESPAN_FLUSH_MODE="before_return")
    for number in (1, 2, 3):
        api.answer(api.invoke())
        assert arrived(backend) == (number, number)


def test_invocation_beyond_its_deadline_is_delivered(start: Start, backend: Backend) -> None:
    """Lambda does not end what takes too long here; it is delivered like any other."""
    api = start()
    for number in (1, 2):
        assert api.answer(api.invoke({"sleep": 0.2}, seconds=0.1))["left"] == 0
        until(lambda number=number: arrived(backend) == (number, number))  # type: ignore[misc]


def test_system_exit_ends_one_worker_after_its_events_are_sent(start: Start, backend: Backend) -> None:
    """SystemExit ends one worker, after its events have been sent, and the others go on."""
    api = start()
    api.invoke({"leave": 1})
    until(lambda: arrived(backend) == (1, 1))
    until(lambda: len(api.children()) == WORKERS - 1)
    api.answer(api.invoke())
    until(lambda: arrived(backend) == (2, 2))


def test_flush_of_a_worker_that_ends_has_no_deadline(start: Start, backend: Backend) -> None:
    """Nothing limits the flush of a worker that ends: Lambda does not end it."""
    start().invoke({"leave": 1, "sleep": 0.3}, seconds=0.1)
    until(lambda: arrived(backend) == (1, 1))


def test_events_of_a_worker_that_ends_are_dropped_without_a_backend(start: Start, backend: Backend) -> None:
    """Events that a worker cannot send before it ends are dropped and logged, because no other process has them."""
    backend.mode = "refuse"
    api = start(ZESPAN_FLUSH_TIMEOUT="0.2")
    api.invoke({"leave": 1})
    until(lambda: "telemetry events are being dropped: closed" in api.log())


def leave_unsent(api: RuntimeApi, backend: Backend) -> None:
    """Have every worker hold two events, of a backend that is back too late for them to try again by themselves."""
    backend.mode = "refuse"
    serve(api)
    backend.mode = "ok"


def test_workers_send_their_events_at_sigterm(start: Start, backend: Backend) -> None:
    """Workers that Lambda tells to end send what they hold first."""
    api = start(ZESPAN_FLUSH_INTERVAL="3600")
    leave_unsent(api, backend)
    assert backend.events == []
    for pid in api.children():
        os.kill(pid, signal.SIGTERM)
    until(lambda: arrived(backend) == (WORKERS, WORKERS))
    assert api.process.wait(10) == 0  # nobody left to wait for


def test_workers_live_on_after_sigterm_to_the_parent(start: Start, backend: Backend) -> None:
    """AWS's runtime client does not pass a SIGTERM on. Its workers live on until Lambda kills them, and send."""
    api = start(ZESPAN_FLUSH_INTERVAL="0.5")
    backend.mode = "refuse"
    serve(api)
    os.kill(api.process.pid, signal.SIGTERM)
    assert api.process.wait(10) == -signal.SIGTERM
    backend.mode = "ok"
    until(lambda: arrived(backend) == (WORKERS, WORKERS), 15)
