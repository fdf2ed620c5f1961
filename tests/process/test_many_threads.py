"""Threads that begin, capture and flush at the same moment: in parallel where Python has no GIL, as 3.14t in CI."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import zespan_serverless
from zespan_serverless import span, testing
from zespan_serverless.testing import Backend

THREADS, SPANS = 8, 25


def at_once(work: Callable[[int], None]) -> None:
    """Run `work(number)` in all threads, which begin together."""
    start, failures = threading.Barrier(THREADS), list[BaseException]()

    def run(number: int) -> None:
        try:
            start.wait(20)
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


@pytest.mark.parametrize("journal", [False, True])
def test_each_event_of_many_threads_arrives_once(
    journal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telemetry begins once, though all threads begin it; each event arrives once, below its own parent."""
    with Backend() as backend:
        settings = {"API_KEY": "zsp_1", "BASE_URL": backend.url, "JOURNAL": str(tmp_path) if journal else "off"}
        for name, value in settings.items():
            monkeypatch.setenv(f"ZESPAN_{name}", value)

        def work(number: int) -> None:
            zespan_serverless.init()
            for index in range(SPANS):
                with span(f"outer {number} {index}"), span(f"inner {number} {index}"):
                    pass
                if index % THREADS == number:
                    zespan_serverless.flush(30)

        at_once(work)
        assert zespan_serverless.flush(30).pending == 0
        operations = {event["span_id"]: event["operation"] for event in backend.events}
        testing.reset()
    assert len(operations) == len(set(operations.values())) == len(backend.events) == 2 * THREADS * SPANS
    inner = [event for event in backend.events if event["operation"].startswith("inner")]
    assert all(operations[event["parent_span_id"]] == event["operation"].replace("inner", "outer") for event in inner)
