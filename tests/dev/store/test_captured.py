"""Spans whose events have been captured and have not arrived: they have ended, and wait."""

from __future__ import annotations

import time

from zespan_serverless_dev.server import DevServer

from tools.story import Sandbox


def test_a_captured_span_has_ended_though_its_event_waits() -> None:
    """A call that is captured does not go on growing; only one that has begun and is not captured does."""
    sandbox = Sandbox("chat", time.time() * 1000 - 5000)
    sandbox.invoke(1, delivers=False)
    sandbox.freeze(100)
    sandbox.invoke(1, outcome="", hangs=True)
    with DevServer() as dev:
        sandbox.send(dev)
        lane = dev.get(f"lane?sandbox={sandbox.id.replace('$', '%24')}")
        waiting, hanging = (invocation["calls"] for invocation in lane["invocations"])
        rows = dev.get("invocations")["rows"]
    assert [call["end"] is None for call in waiting] == [False]
    assert [call["end"] is None for call in hanging] == [True]
    assert sorted(row["status"] for row in rows) == ["ok", "running"]
