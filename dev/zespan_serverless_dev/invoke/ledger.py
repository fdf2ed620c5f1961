"""The ledger: in which state each event of a run is. captured = delivered + waiting + dropped + lost, always.

delivered    a backend has accepted it
dropped      the package has given it up, and said so
waiting      it is in a journal on the sandbox's disk, where the next process finds it, or the fallback has it
lost         none of these
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..probe import Fact

State = Literal["delivered", "waiting", "dropped", "lost"]


@dataclass
class Entry:
    """One event. What the package has told of it is in `known`: name, model, trace_id, span_id."""

    event_id: str
    known: Mapping[str, Any]
    call: int  # in which it was captured, from 1
    delivered_in: int | None = None  # the call in which a backend has accepted it
    reason: str = ""  # why it is dropped, or where it waits
    dropped: bool = False
    waits: bool = False

    @property
    def state(self) -> State:
        if self.delivered_in is not None:
            return "delivered"
        return "dropped" if self.dropped else "waiting" if self.waits else "lost"

    @property
    def name(self) -> str:
        """What it is about, for people."""
        return name_of(self.known)


def name_of(known: Mapping[str, Any]) -> str:
    """What a captured event is about, for people."""
    name = "invocation" if known.get("kind") == "invocation" else known.get("model") or known.get("name") or "event"
    status = known.get("status") or "ok"
    return str(name) if status == "ok" else f"{name} ({status})"


class Ledger:
    """Built from what the probe has seen inside, what the collector has seen, and what is left on the disk."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._of_span: dict[str, str] = {}
        self._unnamed: Counter[str] = Counter()  # events that could not be made, by reason

    def note(self, fact: Fact, call: int) -> None:
        """Take a fact that came during this call."""
        kind = fact["type"]
        if kind == "captured":
            if fact.get("event_id"):
                self._captured(str(fact["event_id"]), fact, call)
        elif kind in ("delivered", "parked", "dropped"):
            for item in fact["items"]:
                if item is not None:
                    self._settle(self._entry(str(item), call), kind, fact, call)
                elif kind == "dropped":
                    self._unnamed[fact["reason"]] += 1

    def arrived(self, event_id: str, call: int) -> None:
        """A backend has accepted it during this call."""
        entry = self._entry(event_id, call)
        if entry.delivered_in is None:
            entry.delivered_in = call

    def left(self, items: Iterable[str], call: int) -> None:
        """These are in a journal at the end."""
        for item in items:
            entry = self._entry(item, call)
            entry.waits, entry.reason = True, entry.reason or "on disk"

    def sums(self) -> dict[str, Any]:
        """LEDGER of PROTOCOL.md."""
        states = Counter(entry.state for entry in self.entries.values())
        dropped = Counter(entry.reason for entry in self.entries.values() if entry.state == "dropped") + self._unnamed
        return {
            "captured": len(self.entries) + self._unnamed.total(),
            "delivered": states["delivered"],
            "waiting": states["waiting"],
            "dropped": dict(dropped),
            "lost": states["lost"],
        }

    def _captured(self, event_id: str, known: Fact, call: int) -> None:
        span = known.get("span_id")
        if span:
            self._of_span[str(span)] = event_id
            early = self.entries.pop(str(span), None)  # settled before its capture was told, under its span id
            if early is not None:
                early.event_id, early.known = event_id, known
                self.entries.setdefault(event_id, early)
        entry = self.entries.setdefault(event_id, Entry(event_id, known, call))
        if not entry.known:
            entry.known = known

    def _entry(self, item: str, call: int) -> Entry:
        event_id = self._of_span.get(item, item)
        return self.entries.setdefault(event_id, Entry(event_id, {}, call))

    def _settle(self, entry: Entry, kind: str, fact: Fact, call: int) -> None:
        if kind == "delivered":
            entry.delivered_in = call if entry.delivered_in is None else entry.delivered_in
        elif kind == "parked":
            entry.waits, entry.reason = True, "parked"
        else:
            entry.dropped, entry.reason = True, fact["reason"]
