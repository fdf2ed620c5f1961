"""Lanes: what each sandbox did, invocation by invocation."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from . import ledger
from .trace import SPANS_MAX, running

Json = dict[str, Any]

INVOCATIONS_MAX = 100  # in one answer
_GB_SECOND, _REQUEST = 0.0000166667, 0.0000002  # USD that Lambda asks for on x86 in us-east-1
_MARKS_MAX = 2000


def sandboxes(db: sqlite3.Connection, limit: int = 500) -> list[Json]:
    """Return the sandboxes of a run, the most recently active ones first."""
    rows = db.execute("SELECT * FROM sandboxes ORDER BY last DESC LIMIT ?", (limit,)).fetchall()
    ledgers = ledger.of_sandboxes(db, [row["id"] for row in rows])
    return [_sandbox(db, row, ledgers[row["id"]]) for row in rows]


def lane(db: sqlite3.Connection, id: str, before: float | None, limit: int) -> Json | None:
    """Return one sandbox with its last invocations before a time, oldest first; None if it is not known."""
    row = db.execute("SELECT * FROM sandboxes WHERE id = ?", (id,)).fetchone()
    if row is None:
        return None
    found = db.execute(
        "SELECT * FROM invocations WHERE sandbox = ? AND start < ? ORDER BY start DESC LIMIT ?",
        (id, float("inf") if before is None else before, limit + 1),
    ).fetchall()
    shown = found[:limit][::-1]
    since = shown[0]["start"] if len(found) > limit else 0.0
    return {
        "sandbox": _sandbox(db, row, ledger.of_sandboxes(db, [id])[id]),
        "invocations": [_invocation(db, one, row) for one in shown],
        "marks": _marks(db, id, since, before),
        "next": since if len(found) > limit else None,
    }


def _sandbox(db: sqlite3.Connection, row: sqlite3.Row, of_sandbox: Json) -> Json:
    sums = db.execute(
        "SELECT count(*), COALESCE(sum(cold), 0), COALESCE(sum(outcome NOT IN ('ok')), 0) FROM invocations"
        " WHERE sandbox = ?",
        (row["id"],),
    ).fetchone()
    names = ("id", "host", "function", "handler", "memory_mb", "timeout_ms", "first", "last", "state")
    return {
        **{name: row[name] for name in names},
        "told": bool(row["told"]),
        "invocations": sums[0],
        "cold": sums[1],
        "errors": sums[2],
        "end": row["end"],
        "controls": json.loads(row["controls"]),
        "ledger": of_sandbox,
    }


def _invocation(db: sqlite3.Connection, row: sqlite3.Row, sandbox: sqlite3.Row) -> Json:
    records = [
        json.loads(found["record"])
        for found in db.execute(
            "SELECT record FROM lifecycle WHERE sandbox = ? AND request_id = ? AND type IN"
            " ('begun', 'captured', 'first_token', 'flush') ORDER BY at, seq LIMIT ?",
            (row["sandbox"], row["request_id"], SPANS_MAX),
        )
    ]
    flushes = [_flush(record) for record in records if record["type"] == "flush"]
    names = ("request_id", "trace_id", "name", "start", "deadline", "reserve_ms", "response", "end", "outcome")
    calls = _calls(db, row, records)
    return {
        **{name: row[name] for name in names},
        "cold": None if row["cold"] is None else bool(row["cold"]),
        "init": None if row["init_end"] is None else {"start": row["init_start"], "end": row["init_end"]},
        "calls": calls,
        "flushes": flushes,
        "billed_ms": row["billed_ms"],
        "parts": {name: row[name] for name in ("init_ms", "handler_ms", "after_ms")},
        "max_memory_mb": row["max_memory_mb"],
        "telemetry_ms": _covered(flushes, row["start"], row["end"]),
        "cost_usd": _price(row["billed_ms"], sandbox["memory_mb"]),
        "calls_cost_usd": round(sum(call["cost_usd"] or 0.0 for call in calls), 12),
        "ledger": ledger.of_invocation(db, row["request_id"], row["trace_id"]),
    }


def _calls(db: sqlite3.Connection, row: sqlite3.Row, records: Sequence[Json]) -> list[Json]:
    """Return the spans of an invocation, but for its root, with those that still run."""
    found = db.execute(
        """SELECT span_id, parent_span_id, name, kind, start, "end", first_token_ms, status, error, model, cost_usd
        FROM spans WHERE trace_id = ? ORDER BY start, seq LIMIT ?""",
        (row["trace_id"], SPANS_MAX),
    ).fetchall()
    others = {
        one[0]
        for one in db.execute(
            "SELECT root FROM invocations WHERE trace_id = ? AND root IS NOT ?", (row["trace_id"], row["root"])
        )
    }
    mine = _below(row["root"], found, others)
    first = {one.get("span_id"): one["at"] for one in records if one["type"] == "first_token"}
    calls = [_call(one, first.get(one["span_id"])) for one in found if one["span_id"] in mine]
    for span in running(records, {one["span_id"] for one in found}):
        if span["span_id"] != row["root"]:
            names = ("span_id", "parent_span_id", "name", "kind", "start", "end", "error", "model", "cost_usd")
            call = {name: span[name] for name in names}
            calls.append({**call, "first_token": first.get(span["span_id"])})
    return sorted(calls, key=lambda call: call["start"])


def _below(root: str | None, spans: Sequence[sqlite3.Row], others: set[str | None]) -> set[str]:
    """Return the spans of a trace that are an invocation's: below its root, or below nothing that is known."""
    parents = {span["span_id"]: span["parent_span_id"] for span in spans}
    mine: set[str] = set()
    for id in parents:
        at, steps = id, 0
        while at != root and at not in others and at in parents and steps < len(parents):
            at, steps = parents[at], steps + 1
        if at not in others and id != root:
            mine.add(id)
    return mine


def _call(row: sqlite3.Row, first: float | None) -> Json:
    if first is None and row["first_token_ms"] is not None:
        first = round(row["start"] + row["first_token_ms"], 3)
    names = ("span_id", "parent_span_id", "name", "kind", "start", "end", "model", "cost_usd")
    failed = None if row["status"] == "ok" else row["error"] or row["status"]
    return {**{name: row[name] for name in names}, "first_token": first, "error": failed}


def _flush(record: Json) -> Json:
    took = record.get("duration_ms")
    took = took if isinstance(took, (int, float)) else 0.0
    names = ("delivered", "pending", "dropped", "parked", "reason")
    return {"start": record["at"] - took, "end": record["at"], **{name: record.get(name) for name in names}}


def _covered(flushes: Sequence[Json], start: float, end: float | None) -> float | None:
    """Return milliseconds of an invocation in which a flush was under way; None if no flush is known."""
    if not flushes:
        return None
    covered, at = 0.0, start
    for flush in sorted(flushes, key=lambda flush: flush["start"]):
        until = flush["end"] if end is None else min(flush["end"], end)
        covered += max(0.0, until - max(at, flush["start"]))
        at = max(at, until)
    return round(covered, 3)


def _price(billed_ms: float | None, memory_mb: int | None) -> float | None:
    if billed_ms is None or memory_mb is None:
        return None
    return round(billed_ms / 1000 * memory_mb / 1024 * _GB_SECOND + _REQUEST, 12)


def _marks(db: sqlite3.Connection, id: str, since: float, before: float | None) -> list[Json]:
    rows = db.execute(
        """SELECT type, at, record FROM lifecycle WHERE sandbox = ? AND at >= ? AND at < ?
        AND type IN ('freeze', 'thaw', 'sigterm', 'exit') ORDER BY at, seq LIMIT ?""",
        (id, since, float("inf") if before is None else before, _MARKS_MAX),
    )
    return [{"type": row["type"], "at": row["at"], "reason": json.loads(row["record"]).get("reason")} for row in rows]
