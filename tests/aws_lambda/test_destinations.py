"""Two backends: whatever one of them does, the other has every event in time, and each has all of them in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from zespan_serverless_dev.emulator.lambda_rie import Sandbox

from tests.aws_lambda.support import StartFunction, until
from tests.exporters.otlp.support import Endpoint
from zespan_serverless.testing import Backend

KILLED = "Sending SIGKILL to runtime"

handlers = pytest.mark.parametrize("handler", ["handler", "asynchronous"])
flush_modes = pytest.mark.parametrize("flush_mode", ["auto", "before_return"])
places = pytest.mark.parametrize("place", [0, 1])


@pytest.fixture
def backends(backend: Backend) -> Iterator[list[Backend]]:
    with Backend() as second:
        yield [backend, second]


def begin(start: StartFunction, backends: list[Backend], handler: str = "handler", **env: str) -> Sandbox:
    return start(f"destinations.{handler}", env={"SECOND_URL": backends[1].url, **env})


def steps(backend: Backend) -> Counter[str]:
    """Return how often each step has arrived."""
    return Counter(event["operation"] for event in backend.events if event["parent_span_id"])


def ids(backend: Backend) -> set[str]:
    return {event["event_id"] for event in backend.events}


@handlers
@flush_modes
@places
@pytest.mark.parametrize("mode", ["hang", 500, "refuse", "drop"])
def test_one_has_everything_while_the_other_is_in_trouble(
    start: StartFunction, backends: list[Backend], handler: str, flush_mode: str, place: int, mode: Any
) -> None:
    """With each invocation, and the other gets the same events when it is back."""
    bad, good = backends[place], backends[1 - place]
    sandbox = begin(start, backends, handler, ZESPAN_FLUSH_MODE=flush_mode, ZESPAN_FLUSH_TIMEOUT="0.5")
    bad.mode = mode
    for number in range(3):
        assert sandbox.invoke({"name": str(number)}).payload == "answered"
        good.wait_for(2 * (number + 1))
    assert steps(good) == {"0": 1, "1": 1, "2": 1}
    assert bad.events == []
    bad.mode = "ok"
    sandbox.stop()  # SIGTERM: what is left is sent, whatever the breaker says
    until(lambda: ids(bad) == ids(good))
    assert len(good.events) == len(ids(good)) == 6


@places
def test_the_next_process_sends_to_each_what_it_has_missed(
    start: StartFunction, backends: list[Backend], place: int
) -> None:
    """After SIGKILL: the events that one has had do not come again, and the invocation that died is told to both."""
    bad, good = backends[place], backends[1 - place]
    sandbox = begin(start, backends, ZESPAN_FLUSH_TIMEOUT="0.5")
    bad.mode = "hang"
    sandbox.invoke({"name": "first"})
    assert sandbox.invoke({"name": "second", "kill": True}).reset
    bad.mode = "ok"
    before = len(bad.events)  # a request that has hung may be answered now
    sandbox.invoke({"name": "third"})
    until(lambda: all({"first", "second", "third"} <= set(steps(one)) for one in backends))
    sandbox.stop()
    until(lambda: ids(bad) == ids(good))
    assert steps(good) == {"first": 1, "second": 1, "third": 1}
    statuses = Counter(event["status"] for event in good.events if not event["parent_span_id"])
    assert statuses == {"success": 2, "crashed": 1}
    assert max(Counter(event["event_id"] for event in bad.events[before:]).values()) == 1


@places
@pytest.mark.parametrize("polling", ["AWS_Lambda_python3.11", "AWS_Lambda_python3.12"])
def test_at_scale_down_one_gets_what_is_left_while_the_other_hangs(
    start: StartFunction, backends: list[Backend], place: int, polling: str
) -> None:
    """Both share the time that Lambda gives, and the process goes by itself."""
    env = {"SECOND_URL": backends[1].url}
    sandbox = start("destinations.handler", env=env, execution_env=polling)
    backends[0].mode = backends[1].mode = "refuse"
    sandbox.invoke({"name": "kept"})
    backends[place].mode, backends[1 - place].mode = "hang", "ok"
    assert KILLED not in sandbox.stop()
    assert steps(backends[1 - place]) == {"kept": 1}
    assert backends[place].events == []


def test_one_that_hangs_costs_its_own_breaker_only(start: StartFunction, backends: list[Backend]) -> None:
    """After three failed flushes no flush waits for it, and the other destination still receives its events."""
    bad, good = backends
    bad.mode = "hang"
    sandbox = begin(start, backends, ZESPAN_FLUSH_MODE="before_return", ZESPAN_FLUSH_TIMEOUT="3")
    for _ in range(3):
        assert sandbox.invoke({}).payload == "answered"
    tried = len(bad.requests)
    quick = sandbox.invoke({})
    assert quick.payload == "answered"
    assert quick.wall_ms < 2500  # a flush that waits takes 3 s
    assert len(bad.requests) == tried
    assert len(good.wait_for(8)) == 8


def test_a_crash_is_reported_to_zespan_and_to_an_otlp_backend(start: StartFunction, backend: Backend) -> None:
    """Named in the environment: each gets the same spans, once, in its own format, and the one that has crashed."""
    with Endpoint() as endpoint:
        otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
        sandbox = start("unfinished.handler", env={"ZESPAN_EXPORTER": "zespan,otlp", **otel})
        assert sandbox.invoke({"kill": True}).reset
        assert sandbox.invoke({}).payload == "answered"
        sandbox.stop()
        until(lambda: len(endpoint.spans()) == len(backend.events))
        spans = {span["spanId"]: span for span in endpoint.spans()}
    assert len(spans) == len(backend.events) == len(ids(backend))
    failed = {name for name, span in spans.items() if span.get("status", {}).get("code") == 2}
    assert failed == {event["span_id"] for event in backend.events if event["status"] == "crashed"}
    assert failed
