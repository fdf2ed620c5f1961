"""Subscribers of Vercel's queue SDK, with messages of its embedded service."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.documentation import PAGES, blocks
from tests.support import ROOT, TRACE, TRACEPARENT, below, roots
from tests.vercel.driver import interpreter
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=4)


def python(backend: Backend, *arguments: str) -> str:
    """Run the interpreter that has Vercel's packages, and return what it prints."""
    if (command := interpreter()) is None:
        pytest.skip("Vercel's packages need Python 3.12: run the tests on it, or have `make test` find one")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "ZESPAN_API_KEY": "zsp_test", "ZESPAN_BASE_URL": backend.url}
    done = subprocess.run([str(command), *arguments], env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_lost_when_a_process_ends_after_a_delivery(backend: Backend) -> None:
    """Each delivery has an event that has arrived before the message is acknowledged: in the sender's trace, with the
    message's id, topic and number of deliveries, and the exception. The process ends by os._exit."""
    calls = json.loads(python(backend, str(Path(__file__).parent / "apps" / "queue_subscribers.py"), TRACEPARENT))
    assert calls.count("coroutine") == 2  # the first delivery has asked for another one
    found = [
        (
            root["operation"],
            said["messaging.destination.name"],
            said.get("error.type"),
            len(below(root, backend.events)),
        )
        for root in roots(backend.events)
        for said in (root["metadata"],)
    ]
    assert sorted(found, key=str) == [
        ("coroutine", "orders", "RetryAfter", 1),
        ("coroutine", "orders", None, 1),
        ("sync", "letters", "LookupError", 1),
        ("sync", "letters", None, 1),
    ]
    assert {event["trace_id"] for event in backend.events} == {TRACE}
    ids = {root["metadata"]["faas.invocation_id"] for root in roots(backend.events)}
    assert len(ids) == 3
    assert "m9" in ids


def test_the_subscriber_of_the_page_is_traced(backend: Backend) -> None:
    """It can be subscribed, and its call has an event with the message's trace."""
    (block,) = [each for each in blocks(PAGES["hosts/vercel"]) if "zespan_vercel_queue" in each]
    call = f"import asyncio\nasyncio.run(fulfill({{'id': 'o1', 'traceparent': {TRACEPARENT!r}}}))"
    assert python(backend, "-c", f"{block}\n{call}") == "o1\n"
    (root,) = roots(backend.events)
    assert (root["operation"], root["trace_id"]) == ("fulfill", TRACE)
