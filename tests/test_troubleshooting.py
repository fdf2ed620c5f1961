"""What docs/troubleshooting.md advises: each symptom is caused, and goes away by the remedy."""

from __future__ import annotations

import logging
import logging.config
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.documentation import PAGES
from zespan_serverless import capture, flush, init, span, testing, zespan_lambda
from zespan_serverless._process import container
from zespan_serverless.testing import Backend, LambdaContext

PAGE = PAGES["troubleshooting"]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """The package's logger, which is enabled again afterwards."""
    logger = logging.getLogger("zespan_serverless")
    yield logger
    logger.disabled = False


def invoke(**settings: Any) -> None:
    """Run one traced invocation."""
    decorate: Any = zespan_lambda(**settings)
    decorate(lambda event, context: None)({}, LambdaContext())


def test_debug_tells_whether_a_function_is_traced(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """A traced one logs a line for its flush, with what was delivered."""
    assert "ZESPAN_DEBUG=1" in PAGE
    invoke(base_url=backend.url, debug=True)
    assert "flush: FlushReport(delivered=1" in caplog.text


def test_a_log_that_is_configured_later_is_not_silent(
    backend: Backend, caplog: pytest.LogCaptureFixture, logger: logging.Logger
) -> None:
    """`disable_existing_loggers` decides."""
    backend.mode = 401
    for disables in (True, False):
        logger.disabled = False
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": disables})
        testing.reset()
        invoke(base_url=backend.url)
        assert ("#dropped-unauthorized" in caplog.text) is not disables


def test_a_sampled_trace_is_missing_as_a_whole(backend: Backend) -> None:
    """With `sample_rate=1` it is there."""
    for rate, count in ((0.0, 0), (1.0, 1)):
        testing.reset()
        invoke(base_url=backend.url, sample_rate=rate)
        assert len(backend.events) == count


def test_events_captured_after_the_response_wait() -> None:
    """They arrive with a flush."""
    with Backend() as backend:
        invoke(base_url=backend.url, flush_mode="before_return")
        capture({})
        assert len(backend.events) == 1
        flush(5)
        assert len(backend.events) == 2


def test_a_cost_that_is_not_known_is_given_by_hand(backend: Backend) -> None:
    """The event of a model without a price has no cost, until it is given."""
    init(base_url=backend.url)
    for cost in (None, 0.25):
        with span("ask", kind="llm", model="my-deployment", provider="mine", messages="Hi") as call:
            call.usage(input_tokens=1, output_tokens=1, cost=cost)
    flush(5)
    assert [event["cost_usd"] for event in backend.events] == [None, 0.25]


def test_two_decorators_trace_an_invocation_once(backend: Backend) -> None:
    """The outermost one decides."""
    inner: Any = zespan_lambda(base_url=backend.url)
    outer: Any = zespan_lambda
    outer(inner(lambda event, context: None))({}, LambdaContext())
    assert len(backend.events) == 1


def test_a_script_that_ends_sends_its_events(backend: Backend) -> None:
    """At a normal end without a flush; after os._exit only with one."""
    begin = f"import os, zespan_serverless as z; z.init(base_url={backend.url!r}); z.capture({{}}); "
    for end, count in (("", 1), ("os._exit(0)", 1), ("z.flush(); os._exit(0)", 2)):
        subprocess.run([sys.executable, "-c", begin + end], check=True, timeout=60)
        assert len(backend.events) == count


def test_a_journal_keeps_what_a_killed_script_had(backend: Backend, tmp_path: Any) -> None:
    """The next process with the same settings sends it."""
    begin = f"import os, zespan_serverless as z; z.init(base_url={backend.url!r}, journal={str(tmp_path)!r}); "
    subprocess.run([sys.executable, "-c", begin + "z.capture({}); os._exit(1)"], check=False, timeout=60)
    assert backend.events == []
    subprocess.run([sys.executable, "-c", begin + "z.capture({})"], check=True, timeout=60)
    assert len(backend.events) == 2


def test_a_slow_backend_costs_no_more_than_the_timeout(backend: Backend) -> None:
    """With a lower `flush_timeout` the flush reports that its time was over."""
    backend.mode = "hang"
    init(base_url=backend.url, flush_timeout=0.1)
    capture({})
    current = container.current()
    assert current is not None
    assert current.delivery.flush(0.1).reason == "deadline"
