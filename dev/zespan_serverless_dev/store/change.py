"""A change of a run, for its watchers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

IDS_MAX = 500  # ids that one change names


@dataclass
class Change:
    """Numbers of new events and lifecycle records, and what they are about."""

    events: int = 0
    lifecycle: int = 0
    sandboxes: set[str] = field(default_factory=set)
    traces: set[str] = field(default_factory=set)

    def add(self, other: Change) -> None:
        self.events += other.events
        self.lifecycle += other.lifecycle
        self.sandboxes |= other.sandboxes
        self.traces |= other.traces

    def document(self) -> dict[str, Any]:
        """As the stream has it. `more` says that there are more ids than it names."""
        sandboxes, traces = sorted(self.sandboxes), sorted(self.traces)
        found: dict[str, Any] = {
            "events": self.events,
            "lifecycle": self.lifecycle,
            "sandboxes": sandboxes[:IDS_MAX],
            "traces": traces[:IDS_MAX],
        }
        if len(sandboxes) > IDS_MAX or len(traces) > IDS_MAX:
            found["more"] = True
        return found
