"""The list of invocations, with filters, page by page."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from . import ledger
from .page import Page
from .search import Searches

Json = dict[str, Any]

_COLUMNS = {
    "function": "function = ?",
    "status": "status = ?",
    "start": "start_kind = ?",
    "user": "user_id = ?",
    "session": "session_id = ?",
    "sandbox": "sandbox = ?",
}


def rows(db: sqlite3.Connection, searches: Searches, run: str, filters: Mapping[str, str], page: Page) -> Json:
    """Return the newest rows first. `newer` counts those added since `until`; with a text, `total` grows while
    `searching` is true.
    """
    conditions, given = ["1"], list[Any]()
    for name, condition in _COLUMNS.items():
        if filters.get(name):
            conditions.append(condition)
            given.append(filters[name])
    if filters.get("model"):
        conditions.append("instr(models, ?)")
        given.append(f"\n{filters['model']}\n")
    where = " AND ".join(conditions)
    until = page.until or db.execute("SELECT COALESCE(max(seq), 0) FROM traces").fetchone()[0]
    (newer,) = db.execute(f"SELECT count(*) FROM traces WHERE {where} AND seq > ?", (*given, until)).fetchone()
    where, given = f"{where} AND seq <= ?", [*given, until]
    searching = False
    if filters.get("text"):
        search = searches.of(run, where, given, filters["text"])
        with search.lock:
            search.go_on(db, page.offset + page.limit + 1)
            part, total, searching = search.found[page.offset :][: page.limit], len(search.found), not search.is_done
        where, given = f"seq IN ({','.join('?' * len(part))})", list(part)
        page = Page(0, page.limit)
    else:
        (total,) = db.execute(f"SELECT count(*) FROM traces WHERE {where}", given).fetchone()
    found = db.execute(
        f"SELECT * FROM traces WHERE {where} ORDER BY start DESC, seq DESC LIMIT ? OFFSET ?",
        (*given, page.limit, page.offset),
    ).fetchall()
    states = ledger.states_of_traces(db, [row["trace_id"] for row in found])
    made = [_row(row, states) for row in found]
    return {"rows": made, "total": total, "until": until, "newer": newer, "searching": searching}


def _row(row: sqlite3.Row, states: Mapping[str, str]) -> Json:
    return {
        "trace_id": row["trace_id"],
        "sandbox": row["sandbox"],
        "function": row["function"],
        "name": row["name"],
        "start": row["start"],
        "duration_ms": None if row["end"] is None else round(row["end"] - row["start"], 3),
        "status": row["status"],
        "start_kind": row["start_kind"],
        "spans": row["spans"],
        "calls": row["calls"],
        "tokens": {"input": row["input_tokens"], "output": row["output_tokens"]},
        "cost_usd": row["cost_usd"],
        "models": [name for name in row["models"].split("\n") if name],
        "user_id": row["user_id"],
        "session_id": row["session_id"],
        "state": states.get(row["trace_id"]),
    }
