"""A run as one document of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .lifecycle import lines_of

if TYPE_CHECKING:
    from .session import Result


def document(result: Result) -> dict[str, Any]:
    """Everything that is known of a run. Times are milliseconds since 1970, durations are in milliseconds."""
    plan = result.plan
    return {
        "function": plan.name,
        "handler": plan.handler,
        "memory_mb": plan.memory,
        "timeout_ms": plan.timeout * 1000,
        "fault": plan.fault,
        "freeze": plan.freeze,
        "calls": [{**call.document(), "log": lines_of(call.invoke.log)} for call in result.calls],
        "events": [
            {
                "event_id": entry.event_id,
                "trace_id": entry.known.get("trace_id"),
                "span_id": entry.known.get("span_id"),
                "name": entry.name,
                "state": entry.state,
                "reason": entry.reason if entry.state in ("dropped", "waiting") else "",
                "captured_in": entry.call,
                "delivered_in": entry.delivered_in,
            }
            for entry in result.ledger.entries.values()
        ],
        "ledger": result.ledger.sums(),
        "signals": [{"signal": name, "at": round(at, 3)} for name, at in result.signals],
        "end": {"reason": result.end, "waiting": result.left.events, "open_spans": result.left.open_spans},
        "uses_zespan_serverless": result.loaded,
        "notes": [*result.notes, *(f"the probe does not fit: {what}" for what in result.broken)],
    }
