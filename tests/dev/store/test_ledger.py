"""The ledger and the lanes, from lifecycle records and telemetry in whatever order they come."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from zespan_serverless_dev.server import DevServer

from tests.dev.server.support import CALL, MS, ROOT, TRACE, event, root, send

BOX = "shop-1"
START = MS - 300


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev


def tell(dev: DevServer, type: str, at: float = START, **fields: Any) -> None:
    dev.post_lifecycle({"type": type, "sandbox": BOX, "at": at, **fields})


def captured(dev: DevServer, *events: dict[str, Any], request: str = "r-1") -> None:
    for one in events:
        ids = {name: one[name] for name in ("event_id", "trace_id", "span_id")}
        tell(dev, "captured", **ids, request_id=request)


def ledger(dev: DevServer) -> dict[str, Any]:
    """The sums of the run; those of its sandbox must be the same, and add up."""
    found: dict[str, Any] = dev.get("summary")["ledger"]
    (sandbox,) = dev.get("sandboxes")["sandboxes"]
    assert sandbox["ledger"] == found
    assert found["captured"] == sum((found["delivered"], found["waiting"], found["lost"], *found["dropped"].values()))
    return found


def lane(dev: DevServer, sandbox: str = BOX) -> dict[str, Any]:
    found: dict[str, Any] = dev.get(f"lane?sandbox={quote(sandbox, safe='')}")
    return found


def test_an_event_that_waits_is_delivered_or_lost(dev: DevServer) -> None:
    """A captured event waits while its sandbox lives; when that has ended without it, it is lost."""
    first, second = event(), event()
    tell(dev, "sandbox")
    captured(dev, first, second)
    assert ledger(dev) == {"captured": 2, "delivered": 0, "waiting": 2, "dropped": {}, "lost": 0}
    send(dev, first)
    assert ledger(dev) == {"captured": 2, "delivered": 1, "waiting": 1, "dropped": {}, "lost": 0}
    tell(dev, "exit", reason="kill")
    assert ledger(dev) == {"captured": 2, "delivered": 1, "waiting": 0, "dropped": {}, "lost": 1}
    (row,) = dev.get("ledger?state=lost")["rows"]
    assert (row["event_id"], row["deliveries"]) == (second["event_id"], [])


def test_a_sandbox_that_has_ended_stays_so(dev: DevServer) -> None:
    """A record about a freeze that arrives after the end does not make a lost event wait again."""
    tell(dev, "sandbox")
    captured(dev, event())
    tell(dev, "exit", reason="kill")
    tell(dev, "thaw")
    assert ledger(dev)["lost"] == 1


def test_events_on_the_disk_of_a_dead_sandbox(dev: DevServer) -> None:
    """What the journal still has is not lost, and is delivered when a later process has sent it."""
    one = event()
    tell(dev, "sandbox")
    captured(dev, one)
    tell(dev, "exit", reason="kill", waiting=[one["event_id"], "in-no-record"])
    assert ledger(dev) == {"captured": 2, "delivered": 0, "waiting": 2, "dropped": {}, "lost": 0}
    send(dev, one)
    assert ledger(dev) == {"captured": 2, "delivered": 1, "waiting": 1, "dropped": {}, "lost": 0}


def test_what_waited_can_still_be_lost(dev: DevServer) -> None:
    """An event that a later sandbox has taken from a disk is its: if that one ends without it, it is lost."""
    taken = {"type": "captured", "event_id": "e"}
    dev.post_lifecycle({**taken, "sandbox": "a"}, {"type": "exit", "sandbox": "a", "waiting": ["e"]})
    assert dev.get("summary")["ledger"]["waiting"] == 1
    dev.post_lifecycle({"type": "sandbox", "sandbox": "b"}, {**taken, "sandbox": "b"})
    assert dev.get("summary")["ledger"]["waiting"] == 1
    dev.post_lifecycle({"type": "exit", "sandbox": "b", "waiting": ["e"]})
    assert dev.get("summary")["ledger"]["waiting"] == 1
    dev.post_lifecycle({"type": "exit", "sandbox": "b", "reason": "kill"})
    assert dev.get("summary")["ledger"]["lost"] == 1


def test_dropped_events_by_reason(dev: DevServer) -> None:
    """A dropped event has its reason, unless it has been delivered after all."""
    events = [event() for _ in range(3)]
    ids = [one["event_id"] for one in events]
    tell(dev, "sandbox")
    captured(dev, *events)
    tell(dev, "dropped", events=1, reason="buffer_full", event_ids=ids[:1])
    tell(dev, "dropped", events=2, reason="refused", event_ids=ids[1:])
    send(dev, events[2])
    assert ledger(dev)["dropped"] == {"buffer_full": 1, "refused": 1}
    assert [row["reason"] for row in dev.get("ledger?state=dropped")["rows"]] == ["buffer_full", "refused"]


def test_a_refused_event_waits_and_tells_its_tries(dev: DevServer) -> None:
    """An event that was answered 500 twice has three deliveries in the end, and counts once."""
    one = event()
    send(dev, root())
    dev.fault = "500"
    assert [send(dev, one), send(dev, one)] == [500, 500]
    assert dev.get("summary")["ledger"]["waiting"] == 1
    dev.fault = "ok"
    assert send(dev, one) == 200
    answer = dev.get(f"ledger?trace={TRACE}")
    _, row = answer["rows"]
    tries = [(delivery["status"], delivery["fault"], delivery["again"]) for delivery in row["deliveries"]]
    assert tries == [(500, "500", 0), (500, "500", 1), (200, None, 1)]
    assert (row["state"], row["again"], answer["sum"]["delivered"]) == ("delivered", False, 2)


def test_an_event_that_is_accepted_twice(dev: DevServer) -> None:
    """It is kept once, and the ledger says so."""
    one = event()
    send(dev, one)
    send(dev, {**one, "completion_text": "another"}, event())
    assert dev.get("summary")["events"] == 2
    (row,) = dev.get("ledger?state=again")["rows"]
    assert (row["event_id"], row["again"], len(row["deliveries"])) == (one["event_id"], True, 2)
    assert dev.get(f"event/{one['event_id']}")["completion_text"] == "Hello"


def test_an_event_that_arrives_with_a_later_invocation(dev: DevServer) -> None:
    """It is late; one that arrives while its own invocation is the last one is not."""
    mine, next_one = root(), root(trace_id="9" * 32, event_id="other", metadata={"faas.invocation_id": "r-2"})
    tell(dev, "invoke", MS, request_id="r-1")
    captured(dev, mine)
    tell(dev, "invoke", MS + 1000, request_id="r-2")
    captured(dev, next_one, request="r-2")
    send(dev, mine, next_one)
    late = {row["event_id"]: row["late"] for row in dev.get("ledger")["rows"]}
    assert late == {mine["event_id"]: True, next_one["event_id"]: False}
    assert [row["event_id"] for row in dev.get("ledger?state=late")["rows"]] == [mine["event_id"]]


def test_an_event_that_arrives_after_its_root(dev: DevServer) -> None:
    """From telemetry alone, too, an event is late if the next invocation of its sandbox has begun."""
    late, short = event(timestamp=time.time()), {"handler_duration_ms": 10.0}
    send(dev, root(timestamp=time.time(), metadata=short))
    time.sleep(0.1)  # the next one begins after the first has arrived
    send(dev, root(trace_id="9" * 32, timestamp=time.time(), metadata={**short, "faas.invocation_id": "r-2"}))
    send(dev, late)
    assert [row["event_id"] for row in dev.get("ledger?state=late")["rows"]] == [late["event_id"]]


FLUSH = {"request_id": "r-1", "duration_ms": 40.0, "delivered": 2, "dropped": 0, "pending": 0, "reason": "response"}


def a_cold_invocation(dev: DevServer) -> None:
    tell(dev, "sandbox", START - 500, function="shop", memory_mb=1024, timeout_ms=3000, controls=["freeze"])
    tell(dev, "init", START - 100, duration_ms=380.0)
    tell(dev, "invoke", START, request_id="r-1", deadline=START + 3000, reserve_ms=500.0, cold=True, name="event.json")
    tell(dev, "begun", START + 50, request_id="r-1", trace_id=TRACE, span_id=ROOT, kind="invocation", name="shop")
    begun = {"request_id": "r-1", "trace_id": TRACE, "span_id": CALL, "parent_span_id": ROOT, "kind": "llm"}
    tell(dev, "begun", START + 200, **begun, name="chat")


def test_a_running_invocation(dev: DevServer) -> None:
    """A call is shown from its beginning, with its first token, before any event has come."""
    a_cold_invocation(dev)
    tell(dev, "first_token", START + 260, request_id="r-1", span_id=CALL)
    found = lane(dev)
    (invocation,) = found["invocations"]
    (call,) = invocation["calls"]
    assert (call["start"], call["end"], call["first_token"], call["error"]) == (START + 200, None, START + 260, None)
    assert invocation["init"] == {"start": START - 480, "end": START - 100}
    assert (invocation["end"], invocation["outcome"], invocation["deadline"]) == (None, None, START + 3000)
    (row,) = dev.get("invocations?status=running")["rows"]
    assert (row["trace_id"], row["function"], row["spans"]) == (TRACE, "shop", 0)
    spans = dev.get(f"trace/{TRACE}")["spans"]
    assert [(span["span_id"], span["event_id"], span["end"]) for span in spans] == [
        (ROOT, None, None),
        (CALL, None, None),
    ]


def test_a_whole_invocation(dev: DevServer) -> None:
    """What was billed has its parts, the part in which a flush was under way, and its price at the memory's size."""
    a_cold_invocation(dev)
    call, of_root = event(), root()
    captured(dev, call, of_root)
    tell(dev, "response", MS, request_id="r-1", status="ok")
    send(dev, call, of_root)
    tell(dev, "flush", MS + 45, **FLUSH)
    parts = {"init_ms": 380.0, "handler_ms": 300.0, "after_ms": 50.0}
    tell(dev, "done", MS + 50, request_id="r-1", outcome="ok", billed_ms=730.0, max_memory_mb=80.0, **parts)
    tell(dev, "freeze", MS + 60)
    found = lane(dev)
    (invocation,) = found["invocations"]
    assert (invocation["response"], invocation["end"], invocation["outcome"]) == (MS, MS + 50, "ok")
    assert (invocation["billed_ms"], invocation["parts"], invocation["telemetry_ms"]) == (730.0, parts, 40.0)
    assert invocation["cost_usd"] == pytest.approx(0.73 * 0.0000166667 + 0.0000002)
    assert invocation["calls_cost_usd"] == 0.001
    assert [one["span_id"] for one in invocation["calls"]] == [CALL]
    assert invocation["ledger"] == ledger(dev)
    assert (found["sandbox"]["state"], found["sandbox"]["controls"]) == ("frozen", ["freeze"])
    assert [mark["type"] for mark in found["marks"]] == ["freeze"]


@pytest.mark.parametrize("order", [*itertools.permutations(["invoke", "begun", "root", "call"])], ids="-".join)
def test_records_and_telemetry_may_arrive_in_any_order(dev: DevServer, order: tuple[str, ...]) -> None:
    """Records and telemetry may overtake each other: the invocation, its sandbox and its ledger are the same."""
    call, of_root = event(), root()
    begun: dict[str, Any] = {"request_id": "r-1", "trace_id": TRACE, "span_id": ROOT, "kind": "invocation"}
    steps: dict[str, Callable[[], object]] = {
        "invoke": lambda: tell(dev, "invoke", request_id="r-1", cold=False),
        "begun": lambda: tell(dev, "begun", **begun),
        "root": lambda: send(dev, of_root),
        "call": lambda: send(dev, call),
    }
    for name in order:
        steps[name]()
    (invocation,) = lane(dev)["invocations"]
    assert (invocation["trace_id"], [one["span_id"] for one in invocation["calls"]]) == (TRACE, [CALL])
    assert invocation["ledger"] == {"captured": 2, "delivered": 2, "waiting": 0, "dropped": {}, "lost": 0}
    assert ledger(dev)["delivered"] == 2
    (row,) = dev.get("invocations")["rows"]
    assert (row["sandbox"], row["status"], row["calls"]) == (BOX, "ok", 1)


def test_an_invocation_that_ends_without_its_root_event(dev: DevServer) -> None:
    """It is no longer shown as running once the tool says how it ended."""
    a_cold_invocation(dev)
    tell(dev, "done", START + 3000, request_id="r-1", outcome="timeout")
    assert dev.get("invocations")["rows"][0]["status"] == "timeout"
    tell(dev, "exit", START + 3001, reason="timeout")
    found = lane(dev)
    assert (found["sandbox"]["state"], found["sandbox"]["end"], found["sandbox"]["errors"]) == ("ended", "timeout", 1)
    assert found["invocations"][0]["calls"][0]["end"] is None


@pytest.mark.parametrize("is_fast", [False, True])
def test_a_tool_that_knows_less_than_the_telemetry(dev: DevServer, is_fast: bool) -> None:
    """What a tool has not told of a process is filled in from its root span, whichever comes first."""
    if is_fast:
        send(dev, root())
    tell(dev, "sandbox", host="process")
    tell(dev, "invoke", request_id="r-1")
    if not is_fast:
        send(dev, root())
    found = lane(dev)
    assert (found["sandbox"]["function"], found["sandbox"]["host"]) == ("shop", "process")
    (invocation,) = found["invocations"]
    assert (invocation["name"], invocation["cold"], invocation["init"]) == ("shop", True, None)


def test_what_another_destination_has_is_not_lost(dev: DevServer) -> None:
    """A tool tells it; of an event that has come here the delivery counts, which may have failed."""
    elsewhere, refused, lost = event(), event(), event()
    tell(dev, "sandbox", host="process")
    captured(dev, elsewhere, refused, lost)
    dev.fault = "500"
    assert send(dev, refused) == 500
    tell(dev, "delivered", event_ids=[elsewhere["event_id"], refused["event_id"], "never-captured"])
    tell(dev, "exit")
    assert ledger(dev) == {"captured": 3, "delivered": 1, "waiting": 0, "dropped": {}, "lost": 2}
    (row,) = dev.get("ledger?state=delivered")["rows"]
    assert (row["event_id"], row["deliveries"]) == (elsewhere["event_id"], [])


def test_lanes_of_telemetry_alone(dev: DevServer) -> None:
    """Without lifecycle records, root spans are invocations, in lanes by function and instance."""
    for number, instance in enumerate(["a", "a", "b"]):
        metadata = {"faas.instance": instance, "faas.invocation_id": f"r-{number}"}
        ids = {"trace_id": f"{number:032x}", "span_id": f"{number:016x}"}
        send(dev, event(trace_id=ids["trace_id"], parent_span_id=ids["span_id"]), root(**ids, metadata=metadata))
    sandboxes = {one["id"]: one for one in dev.get("sandboxes")["sandboxes"]}
    assert {id: one["invocations"] for id, one in sandboxes.items()} == {"shop/a": 2, "shop/b": 1}
    assert sandboxes["shop/a"]["ledger"]["delivered"] == 4
    assert [len(one["calls"]) for one in lane(dev, "shop/a")["invocations"]] == [1, 1]


def test_two_functions_in_one_trace(dev: DevServer) -> None:
    """Each has its own lane and calls, although they share the trace."""
    other = {"faas.name": "pay", "faas.instance": "i-2", "faas.invocation_id": "r-2"}
    send(dev, event(), root())
    inner = root(span_id="4" * 16, parent_span_id=CALL, operation="pay", metadata=other, event_id="inner")
    send(dev, event(span_id="5" * 16, parent_span_id="4" * 16), inner)
    assert [one["span_id"] for one in lane(dev, "shop/i-1")["invocations"][0]["calls"]] == [CALL]
    assert [one["span_id"] for one in lane(dev, "pay/i-2")["invocations"][0]["calls"]] == ["5" * 16]
    (row,) = dev.get("invocations")["rows"]
    assert (row["function"], row["spans"]) == ("shop", 4)


def test_one_request_of_several_functions(dev: DevServer) -> None:
    """A collector sends for several: each event is filed under the function of its trace."""
    other = {"faas.name": "pay", "faas.instance": "i-2", "faas.invocation_id": "r-2"}
    second = {"trace_id": "2" * 32, "span_id": "3" * 16}
    mine, call = root(**second, metadata=other), event(trace_id="2" * 32, parent_span_id="3" * 16)
    send(dev, event(), call, root(), mine)
    sandboxes = {one["id"]: one["ledger"]["delivered"] for one in dev.get("sandboxes")["sandboxes"]}
    assert sandboxes == {"shop/i-1": 2, "pay/i-2": 2}
    assert len(lane(dev, "pay/i-2")["invocations"][0]["calls"]) == 1


def test_pages_of_a_lane(dev: DevServer) -> None:
    """A lane is read from its end on, page by page, and no invocation is on two of them."""
    for number in range(5):
        tell(dev, "invoke", MS + number * 100, request_id=f"r-{number}")
    last = dev.get(f"lane?sandbox={BOX}&limit=2")
    before = dev.get(f"lane?sandbox={BOX}&limit=3&before={last['next']}")
    requests = [one["request_id"] for one in before["invocations"] + last["invocations"]]
    assert requests == [f"r-{number}" for number in range(5)]
    assert before["next"] is None
