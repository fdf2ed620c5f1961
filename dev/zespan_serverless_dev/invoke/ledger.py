"""The ledger: in which state each event of a run is. captured = delivered + waiting + dropped + lost, always.

delivered    a backend has accepted it dropped      the package has dropped and reported it waiting      it is in a
journal on the sandbox's disk, where the next process finds it, or the fallback has it lost         none of these
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..probe import Fact

State = Literal["delivered", "waiting", "dropped", "lost"]

WORST: list[State] = ["delivered", "waiting", "dropped", "lost"]
"""From the best to the worst. Of several destinations, the worst state counts."""

HERE = ("", "zespan")
"""Names of the destination that the tools receive; it has none if it is the only one."""


@dataclass
class Fate:
    """What happened to an event at one destination."""

    delivered_in: int | None = None  # the call in which it has been accepted
    reason: str = ""  # why it is dropped, or where it waits
    dropped: bool = False
    waits: bool = False

    @property
    def state(self) -> State:
        if self.delivered_in is not None:
            return "delivered"
        return "dropped" if self.dropped else "waiting" if self.waits else "lost"


@dataclass
class Entry:
    """One event. `known` has what the package has reported of it: name, model, trace_id, span_id."""

    event_id: str
    known: Mapping[str, Any]
    call: int  # in which it was captured, from 1
    fates: dict[str, Fate] = field(default_factory=dict)  # by destination

    @property
    def fate(self) -> Fate:
        """The worst of its fates."""
        return max(self.fates.values(), key=lambda fate: WORST.index(fate.state), default=Fate())

    @property
    def state(self) -> State:
        return self.fate.state

    @property
    def reason(self) -> str:
        """Why it is dropped, or where it waits."""
        return self.fate.reason

    @property
    def delivered_in(self) -> int | None:
        """The call in which it has been accepted by all destinations."""
        return self.fate.delivered_in

    @property
    def name(self) -> str:
        """A readable name."""
        return name_of(self.known)

    def at(self, destination: str) -> Fate:
        """Return its fate at a destination."""
        return self.fates.setdefault(destination, Fate())


def name_of(known: Mapping[str, Any]) -> str:
    """Return a readable name of a captured event."""
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
                    fate = self._entry(str(item), call).at(fact.get("destination", ""))
                    _settle(fate, kind, fact.get("reason", ""), call)
                elif kind == "dropped":
                    self._unnamed[fact["reason"]] += 1

    def settled(self, items: Iterable[Any]) -> list[str]:
        """Return the ids of those of the items that all their destinations have."""
        entries = [self.entries.get(self._of_span.get(str(item), str(item))) for item in items]
        return [entry.event_id for entry in entries if entry is not None and entry.state == "delivered"]

    def arrived(self, event_id: str, call: int) -> None:
        """Note that the tools have accepted it during this call."""
        entry = self._entry(event_id, call)
        _settle(entry.at(next((name for name in HERE if name in entry.fates), "")), "delivered", "", call)

    def left(self, items: Iterable[str], call: int) -> None:
        """These are in a journal at the end."""
        for item in items:
            entry = self._entry(item, call)
            for fate in list(entry.fates.values()) or [entry.at("")]:
                fate.waits, fate.reason = True, fate.reason or "on disk"

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
            early = self.entries.pop(str(span), None)  # settled before its capture was reported, under its span id
            if early is not None:
                early.event_id, early.known = event_id, known
                self.entries.setdefault(event_id, early)
        entry = self.entries.setdefault(event_id, Entry(event_id, known, call))
        entry.at(known.get("destination", ""))
        if not entry.known:
            entry.known = known

    def _entry(self, item: str, call: int) -> Entry:
        event_id = self._of_span.get(item, item)
        return self.entries.setdefault(event_id, Entry(event_id, {}, call))


def _settle(fate: Fate, kind: str, reason: str, call: int) -> None:
    if kind == "delivered":
        fate.delivered_in = call if fate.delivered_in is None else fate.delivered_in
    elif kind == "parked":
        fate.waits, fate.reason = True, "parked"
    else:
        fate.dropped, fate.reason = True, reason
