"""One trace: its spans with what was said, those that run, and how their events have travelled."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from .. import ingest
from . import ledger

Json = dict[str, Any]

SPANS_MAX = 2000  # of one trace in one answer


def trace(db: sqlite3.Connection, trace_id: str) -> Json | None:
    """Return a trace; None if nothing is known of it."""
    rows = db.execute(
        f"""SELECT p.*, {ledger.STATE} AS state FROM spans p JOIN events e ON e.event_id = p.event_id
        LEFT JOIN sandboxes s ON s.id = e.sandbox WHERE p.trace_id = ? ORDER BY p.start, p.seq LIMIT ?""",
        (trace_id, SPANS_MAX),
    ).fetchall()
    spans = [_span(row) for row in rows]
    lifecycle = _lifecycle(db, trace_id)
    spans += running(lifecycle, {span["span_id"] for span in spans})
    if not spans:
        return None
    (total,) = db.execute("SELECT count(*) FROM spans WHERE trace_id = ?", (trace_id,)).fetchone()
    return {
        "trace_id": trace_id,
        "spans": sorted(spans, key=lambda span: span["start"]),
        "more": max(0, total - SPANS_MAX),
        "deliveries": _deliveries(db, [row["event_id"] for row in rows]),
        "lifecycle": lifecycle,
    }


def event(db: sqlite3.Connection, event_id: str) -> Any:
    """Return an event as it arrived; None if it is not known."""
    row = db.execute("SELECT raw FROM spans WHERE event_id = ?", (event_id,)).fetchone()
    return None if row is None else ingest.event_of(row["raw"])


def running(lifecycle: Iterable[Json], ended: set[str]) -> list[Json]:
    """Return spans that have begun, and of which no event has come: they run, or have been captured and wait."""
    first = {one.get("span_id"): one["at"] for one in lifecycle if one["type"] == "first_token"}
    captured = {one.get("span_id"): one for one in lifecycle if one["type"] == "captured"}
    spans: list[Json] = []
    for one in lifecycle:
        id = one.get("span_id")
        if one["type"] == "begun" and isinstance(id, str) and id not in ended:
            token, event = first.get(id), captured.get(id, {})
            spans.append(
                {
                    "event_id": event.get("event_id"),
                    "span_id": id,
                    "parent_span_id": one.get("parent_span_id"),
                    "name": str(one.get("name") or ""),
                    "kind": str(one.get("kind") or "general"),
                    "start": one["at"],
                    "end": event.get("at"),
                    "status": None if event else "running",  # that of an event that waits is not known here
                    **dict.fromkeys(("error", "provider", "model", "cost_usd", "input", "output", "tools")),
                    "tokens": dict.fromkeys(("input", "output", "cached", "cache_write", "reasoning")),
                    "first_token_ms": None if token is None else round(token - one["at"], 3),
                    "attributes": {},
                    "state": None,
                }
            )
    return spans


def _span(row: sqlite3.Row) -> Json:
    names = ("event_id", "span_id", "parent_span_id", "name", "kind", "start", "end", "status", "error")
    tokens = ("input", "output", "cached", "cache_write", "reasoning")
    return {
        **{name: row[name] for name in names},
        **{name: row[name] for name in ("provider", "model", "cost_usd", "first_token_ms", "format")},
        "tokens": {name: row[f"{name}_tokens"] for name in tokens},
        **ingest.details(row["format"], row["raw"]),
        "state": row["state"],
    }


def _lifecycle(db: sqlite3.Connection, trace_id: str) -> list[Json]:
    """Return the records about a trace, and those about its invocations."""
    rows = db.execute(
        """SELECT seq, record FROM lifecycle WHERE trace_id = :trace OR request_id IN (
        SELECT request_id FROM invocations WHERE trace_id = :trace) ORDER BY at, seq LIMIT :most""",
        {"trace": trace_id, "most": SPANS_MAX * 5},
    )
    found = [json.loads(row["record"]) for row in rows]
    return [one for one in found if one.get("trace_id") in (None, trace_id)]


def _deliveries(db: sqlite3.Connection, event_ids: list[str]) -> list[Json]:
    """Return each delivery that has had one of these events, with their ids."""
    found: dict[int, Json] = {}
    for event_id, deliveries in ledger.deliveries_of(db, event_ids).items():
        for one in deliveries:
            found.setdefault(one["id"], {**one, "event_ids": []})["event_ids"].append(event_id)
    return [found[id] for id in sorted(found)]
