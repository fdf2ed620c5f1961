"""Messages that any program may have written: each has its event, and nothing of its arguments is in an event."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import environments
from tests.support import SPAN, TRACE, roots
from tests.workers import support
from tests.workers.odd_messages import ODD, SECRET


def events_of(queue: str, folder: Path, broker: str = "") -> dict[str, Any]:
    env = support.environment(folder, "http://127.0.0.1:9", BROKER=broker)
    python = environments.installed("workers", "queues")
    found: dict[str, Any] = support.run(python, "tests.workers.odd_messages", queue, env=env)
    assert SECRET not in json.dumps(found)
    assert max(len(json.dumps(event)) for event in found["events"]) < 5000
    return found


def in_trace(events: list[dict[str, Any]]) -> int:
    """How many events continue the trace of their messages."""
    return sum((event["trace_id"], event["parent_span_id"]) == (TRACE, SPAN) for event in events)


@pytest.mark.host(seconds=6)
def test_celery(tmp_path: Path) -> None:
    """Odd headers cost no event and no trace. Eager tasks continue the trace of their headers; one inside another task
    belongs to that."""
    found = events_of("celery", tmp_path)
    names = [event["operation"] for event in found["events"]]
    first, second = names.index("eager from here"), names.index("nested from here")
    worker, eager, nested = found["events"][:first], found["events"][first + 1 : second], found["events"][second + 1 :]
    assert (len(worker), in_trace(worker)) == (found["sent"], 2 * len(ODD))
    assert (len(eager), in_trace(eager)) == (found["sent"] + 2, 2 * len(ODD))
    inner, outer = nested
    assert (outer["trace_id"], outer["parent_span_id"]) == (TRACE, SPAN)
    assert (inner["trace_id"], inner["parent_span_id"]) == (TRACE, outer["span_id"])
    assert found["called"] == len(worker) + len(eager) + 2


@pytest.mark.host(seconds=3)
def test_dramatiq(tmp_path: Path) -> None:
    """Odd options cost no event and no trace. time_left() follows the message's, the actor's and the default limit."""
    found = events_of("dramatiq", tmp_path)
    assert Counter(event["operation"] for event in found["events"]) == {"odd": found["sent"], "unlimited": 3}
    assert in_trace(found["events"]) == 2 * len(ODD)
    assert found["called"] == found["sent"]


@pytest.mark.host(seconds=4)
def test_rq(redis: str, tmp_path: Path) -> None:
    """Odd metadata of a job, even none that is a dict, costs no event and no trace."""
    found = events_of("rq", tmp_path, f"unix://{redis}")
    assert len(roots(found["events"])) == found["called"] == found["sent"] + 2
    assert in_trace(found["events"]) == 2 * len(ODD)
