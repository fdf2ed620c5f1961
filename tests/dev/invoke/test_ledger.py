"""Each event is in one state, and the sum is closed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zespan_serverless_dev.invoke.journals import left_in
from zespan_serverless_dev.invoke.ledger import Ledger

from zespan_serverless._delivery.journal_format import CLOSED, EVENT, NO_SPAN, OPEN, header, packed_offset, record


def captured(event_id: str, **known: Any) -> dict[str, Any]:
    return {"type": "captured", "event_id": event_id, **known}


def settled(kind: str, *items: str | None, reason: str = "") -> dict[str, Any]:
    return {"type": kind, "items": [*items], "reason": reason}


def states(ledger: Ledger) -> dict[str, str]:
    return {entry.event_id: entry.state for entry in ledger.entries.values()}


def test_an_event_in_no_other_state_is_lost() -> None:
    """Delivered, dropped, on disk, parked: what is none of these is lost."""
    ledger = Ledger()
    for name in "abcdef":
        ledger.note(captured(name), 1)
    ledger.note(settled("delivered", "a"), 2)
    ledger.note(settled("dropped", "b", reason="refused"), 1)
    ledger.note(settled("parked", "c"), 1)
    ledger.arrived("d", 1)
    ledger.left(["e"], 3)
    wanted = {"a": "delivered", "b": "dropped", "c": "waiting", "d": "delivered", "e": "waiting", "f": "lost"}
    assert states(ledger) == wanted
    assert ledger.sums() == {"captured": 6, "delivered": 2, "waiting": 2, "dropped": {"refused": 1}, "lost": 1}
    assert [ledger.entries[name].reason for name in "bce"] == ["refused", "parked", "on disk"]
    assert ledger.entries["a"].delivered_in == 2


def test_better_state_wins() -> None:
    """What has arrived is delivered, even if the package has dropped it or a journal still has it."""
    ledger = Ledger()
    ledger.note(settled("dropped", "a", reason="closed"), 1)
    ledger.left(["a", "b"], 1)
    ledger.arrived("a", 1)
    ledger.arrived("b", 1)
    assert states(ledger) == {"a": "delivered", "b": "delivered"}


def test_worst_destination_counts() -> None:
    """An event of two destinations is delivered if both have it; what has arrived here says nothing of the other."""
    ledger = Ledger()
    for name in "ab":
        for destination in ("zespan", "otlp"):
            ledger.note(captured(name, destination=destination), 1)
    ledger.note({**settled("delivered", "a", "b"), "destination": "otlp"}, 1)
    assert states(ledger) == {"a": "lost", "b": "lost"}
    ledger.arrived("a", 1)
    ledger.note({**settled("dropped", "b", reason="refused"), "destination": "zespan"}, 1)
    assert states(ledger) == {"a": "delivered", "b": "dropped"}
    assert ledger.sums()["captured"] == 2


def test_event_that_could_not_be_made_counts() -> None:
    """An event without an id is dropped, and counted."""
    ledger = Ledger()
    ledger.note(settled("dropped", None, None, reason="torn"), 1)
    assert ledger.sums() == {"captured": 2, "delivered": 0, "waiting": 0, "dropped": {"torn": 2}, "lost": 0}


@pytest.mark.parametrize("early", [False, True], ids=["after its capture", "before it was told"])
def test_span_ids_are_names_of_events(early: bool) -> None:
    """What is settled by its span id, as in OTLP, is the event of that span."""
    facts = [captured("a", span_id="b7ad6b7169203331", model="gpt-4o"), settled("delivered", "b7ad6b7169203331")]
    ledger = Ledger()
    for fact in reversed(facts) if early else facts:
        ledger.note(fact, 1)
    assert states(ledger) == {"a": "delivered"}
    assert ledger.entries["a"].name == "gpt-4o"


@given(st.lists(st.tuples(st.sampled_from(["captured", "delivered", "parked", "dropped"]), st.sampled_from("abc"))))
def test_sum_is_closed(steps: list[tuple[str, str]]) -> None:
    """captured = delivered + waiting + dropped + lost, whatever happens in whichever order."""
    ledger = Ledger()
    for kind, name in steps:
        ledger.note(captured(name) if kind == "captured" else settled(kind, name, reason="closed"), 1)
    sums = ledger.sums()
    assert sums["captured"] == len({name for _, name in steps})
    assert sums["captured"] == sums["delivered"] + sums["waiting"] + sum(sums["dropped"].values()) + sums["lost"]
    settled_ones = {name for kind, name in steps if kind != "captured"}
    assert sums["lost"] == len({name for _, name in steps} - settled_ones)


def test_journals_are_read_from_outside(tmp_path: Any) -> None:
    """The events of a journal are those that are not settled; a span that has no end is counted."""
    spans = [bytes([number]) * 8 for number in range(3)]
    first = header(b"f" * 16) + record(EVENT, b'{"event_id":"settled"}', NO_SPAN)
    data = first + record(OPEN, b"{}", spans[0]) + record(EVENT, b'{"event_id":"waits"}', spans[1])
    data += record(OPEN, b"{}", spans[2]) + record(CLOSED, b"", spans[2])
    folder = tmp_path / "zespan-serverless-0"
    folder.mkdir()
    (folder / "1-0-0.journal").write_bytes(data[:8] + packed_offset(len(first)) + data[20:])
    (folder / "empty.journal").touch()
    (folder / "gone.journal").symlink_to(tmp_path / "gone")  # as one that is removed between two looks
    left = left_in([tmp_path])
    assert (left.events, left.open_spans) == (["waits"], 1)
    assert left_in([tmp_path / "missing"]).events == []
