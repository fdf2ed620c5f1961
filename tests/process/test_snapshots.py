"""`before_snapshot` and `after_restore`, around what a snapshot does to a process: its connections die."""

from __future__ import annotations

import threading

import zespan_serverless
from tests.hosts import Cell
from tests.support import until
from zespan_serverless.testing import Backend


def test_events_before_a_snapshot_are_sent_before_it(backend: Backend, cell: Cell) -> None:
    """What waits is sent, threads end, and a restored process delivers although its connections are dead."""
    others = {*threading.enumerate()}  # of deliveries that earlier tests have left
    zespan_serverless.init(api_key="zsp_key", base_url=backend.url, flush_interval=60)
    zespan_serverless.capture({"operation": "before"})
    zespan_serverless.before_snapshot()
    assert [event["operation"] for event in backend.events] == ["before"]
    left = [thread.name for thread in threading.enumerate() if thread not in others]
    assert not [name for name in left if name.startswith("zespan-send")]
    backend.close_connections()
    zespan_serverless.after_restore()
    zespan_serverless.capture({"operation": "after"})
    assert zespan_serverless.flush(5).pending == 0
    until(lambda: len(backend.events) == 2)
    assert [event["operation"] for event in backend.events] == ["before", "after"]
    assert len({event["trace_id"] for event in backend.events}) == 2
    seen = (
        "With `before_snapshot()` and `after_restore()`, everything arrives before it, and a restored process delivers."
    )
    cell("Script (`run`)", "snapshot", seen)


def test_a_snapshot_without_telemetry() -> None:
    """Without `init` or a decorator both do nothing."""
    zespan_serverless.before_snapshot()
    zespan_serverless.after_restore()
