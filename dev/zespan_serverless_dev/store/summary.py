"""The summary of a run: its numbers, functions and models."""

from __future__ import annotations

import sqlite3
from typing import Any

from . import ledger

Json = dict[str, Any]

_NAMES_MAX = 200


def summary(db: sqlite3.Connection) -> Json:
    """Return the sums of a run, and the names to filter by."""
    meta = {row[0]: row[1] for row in db.execute("SELECT key, value FROM meta")}
    sums = db.execute(
        "SELECT count(*), COALESCE(sum(cost_usd), 0), COALESCE(sum(input_tokens), 0), COALESCE(sum(output_tokens), 0),"
        " COALESCE(sum(calls), 0) FROM traces"
    ).fetchone()
    (sandboxes,) = db.execute("SELECT count(*) FROM sandboxes").fetchone()
    (spans,) = db.execute("SELECT count(*) FROM spans").fetchone()
    (deliveries,) = db.execute("SELECT count(*) FROM deliveries").fetchone()
    return {
        "run": meta.get("id"),
        "name": meta.get("name"),
        "started": meta.get("started"),
        "ended": meta.get("ended"),
        "events": spans,
        "traces": sums[0],
        "calls": sums[4],
        "deliveries": deliveries,
        "sandboxes": sandboxes,
        "ledger": ledger.of_run(db),
        "cost_usd": round(sums[1], 12),
        "tokens": {"input": sums[2], "output": sums[3]},
        "functions": _names(db, "SELECT DISTINCT function FROM traces"),
        "models": sorted(
            {name for row in _names(db, "SELECT DISTINCT models FROM traces") for name in row.split("\n") if name}
        ),
        "older_dropped": meta.get("older_dropped"),
    }


def _names(db: sqlite3.Connection, query: str) -> list[str]:
    return sorted(row[0] for row in db.execute(f"{query} LIMIT {_NAMES_MAX}") if row[0])
