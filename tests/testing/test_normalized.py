"""Events without what differs from run to run, and events as text."""

from __future__ import annotations

import json
import time
from typing import Any

from zespan_serverless import span, testing, zespan_lambda

Event = dict[str, Any]


@zespan_lambda(service_name="answer")
def handler(event: Event, context: object) -> str:
    with span("look up", kind="tool", metadata={"words": ["a", "b"], "note": event.get("note")}):
        time.sleep(event.get("seconds", 0.0))
    return "ok"


def recorded(*events: Event) -> list[Event]:
    with testing.recording() as recorded:
        for event in events:
            handler(event, testing.LambdaContext())
    return recorded


def test_two_runs_are_the_same() -> None:
    """Whatever differs between them is left out, or rounded, or a number; and it is JSON."""
    first, second = (testing.normalized(recorded({}, {})) for _ in range(2))
    assert first == second
    assert json.loads(json.dumps(first)) == first


def test_ids_are_numbers_in_order_of_appearance() -> None:
    """A parent has the number of its span; traces, spans, events and invocations are counted apart."""
    events = testing.normalized(recorded({}, {}))
    ids = [(event["event_id"], event["trace_id"], event["span_id"], event["parent_span_id"]) for event in events]
    assert ids == [(1, 1, 1, 2), (2, 1, 2, None), (3, 2, 3, 4), (4, 2, 4, None)]
    assert [event["metadata"].get("faas.invocation_id") for event in events] == [None, 1, None, 2]


def test_an_id_under_another_name_is_the_same_number() -> None:
    """As in a note that says which event it is about, also before that one appears."""
    events = recorded({})
    events[0]["metadata"]["see"] = {"events": [events[1]["event_id"], "none"]}
    assert testing.normalized(events)[0]["metadata"]["see"] == {"events": [2, "none"]}


def test_times_are_relative_and_rounded() -> None:
    """By default to whole seconds, so that a test that takes less has zeros."""
    events = recorded({"seconds": 0.2})
    by_seconds, by_tenths = testing.normalized(events), testing.normalized(events, unit=0.1)
    assert [(event["timestamp"], event["latency_ms"]) for event in by_seconds] == [(0, 0), (0, 0)]
    assert all(event["timestamp"] >= 0.2 and event["latency_ms"] >= 200 for event in by_tenths)
    assert by_seconds[1]["metadata"]["time_left_at_start_ms"] == 30_000


def test_the_rest_stays_and_the_events_are_not_changed() -> None:
    """What the function has said is what a snapshot is about."""
    events = recorded({"note": "x"})
    before = json.dumps(events)
    step, root = testing.normalized(events)
    assert (step["operation"], step["metadata"]) == ("look up", {"words": ["a", "b"], "note": "x"})
    assert "sdk_version" not in root
    assert "init_duration_ms" not in root["metadata"]
    assert json.dumps(events) == before


def test_fields_of_any_type() -> None:
    """A captured event may have whatever its author has given it."""
    odd = {
        "timestamp": "yesterday",
        "latency_ms": None,
        "trace_id": 7,
        "metadata": "text",
        "tags": [{"ttft_ms": "x"}],
    }
    assert testing.normalized([odd]) == [odd]


def test_a_tree_has_a_line_for_each_event() -> None:
    """The same that the console exporter draws, without colours."""
    root, step = testing.tree(recorded({})).splitlines()
    assert " answer " in root
    assert step.startswith("└─ look up tool")
    assert testing.tree([]) == ""
