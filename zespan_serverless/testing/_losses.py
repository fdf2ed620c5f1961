"""Describes lost events in a test's failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._recording import decoded
from ._tree import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._recording import Event, Recording

_EXPLANATIONS = {
    "no_time": "the invocation had no time left for a flush",
    "deadline": "the time for the flush was over",
    "breaker_open": "recent attempts to reach the backend have failed",
    "retry_after": "the backend has asked to wait",
    "stuck": "the sender hangs where it cannot be interrupted",
    "closed": "captured after shutdown(), or still pending at its end",
    "buffer_full": "more than max_events or max_bytes were pending",
}
_ALLOWED_BY = {"dropped": "allow_drops", "waiting": "allow_waiting"}


class Loss(NamedTuple):
    """Events that have not arrived. `how`: `dropped` or `waiting`. `event`: None if it could not be encoded."""

    how: str
    event: Event | None
    events: int
    why: str

    def __str__(self) -> str:
        name = "event" if self.event is None else str(self.event.get("model") or self.event.get("operation") or "event")
        return f"{name if self.events == 1 else f'{self.events} {name}s'}: {self.how}, {self.why}"


def complaint(recording: Recording, *, allow_drops: bool, allow_waiting: bool) -> str:
    """Return which events have not arrived, why, and how to allow that; empty if all have, or it is allowed."""
    allowed = {"dropped": allow_drops, "waiting": allow_waiting}
    losses = [loss for loss in losses_of(recording) if not allowed[loss.how]]
    if not losses:
        return ""
    count = sum(loss.events for loss in losses)
    lost = {loss.event.get("event_id"): loss.event for loss in losses if loss.event}
    arrived = [event for event in recording.arrived() if event.get("event_id") not in lost]
    drawn = tree([*arrived, *lost.values()])
    found = {loss.how for loss in losses}
    arguments = ", ".join(f"{name}=True" for how, name in _ALLOWED_BY.items() if how in found)
    return "\n".join(
        [
            f"{count} event{'' if count == 1 else 's'} of this test did not arrive:",
            "",
            *(f"    {loss}" for loss in losses),
            "",
            *(f"    {line}" for line in drawn.splitlines()),
            "",
            f"If the test is about that: @pytest.mark.zespan({arguments})",
        ]
    )


def losses_of(recording: Recording) -> Iterator[Loss]:
    """Yield the events that have not arrived, one by one as far as possible."""
    for group in recording.dropped:
        why = _explained(group.reason, group.detail)
        for payload in group.payloads:
            yield Loss("dropped", decoded(payload), 1, why)
        if group.events > len(group.payloads):
            yield Loss("dropped", None, group.events - len(group.payloads), why)
    for event, reason in recording.waiting:
        yield Loss("waiting", event, 1, _explained(reason))
    for how, event, reason in recording.elsewhere:
        yield Loss(how, event, 1, reason)


def _explained(reason: str, detail: str = "") -> str:
    explanation = detail or _EXPLANATIONS.get(reason, "")
    return f"{reason} ({explanation})" if explanation else reason
