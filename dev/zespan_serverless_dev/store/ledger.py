"""The ledger: each event id of a run is in exactly one state, so `captured = delivered + waiting + dropped + lost`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .page import Page

Json = dict[str, Any]

STATE = """CASE
    WHEN e.delivered IS NOT NULL THEN 'delivered'
    WHEN e.dropped IS NOT NULL THEN 'dropped'
    WHEN s.state = 'ended' AND e.waiting IS NULL THEN 'lost'
    ELSE 'waiting' END"""
"""The state of an event, for `FROM events e LEFT JOIN sandboxes s ON s.id = e.sandbox`."""
_JOINED = "FROM events e LEFT JOIN sandboxes s ON s.id = e.sandbox"
_LATE = """COALESCE((SELECT at FROM deliveries WHERE id = e.delivered) >= (
    SELECT start FROM invocations WHERE sandbox = e.sandbox AND start > (
        SELECT start FROM invocations WHERE sandbox = e.sandbox AND request_id = e.request_id)
    ORDER BY start LIMIT 1), 0)"""
_AGAIN = """(e.event_id IN (SELECT event_id FROM delivery_events WHERE again) AND 1 < (
    SELECT count(*) FROM delivery_events x JOIN deliveries d ON d.id = x.delivery
    WHERE x.event_id = e.event_id AND d.status BETWEEN 200 AND 299))"""
_CONDITIONS = {
    "delivered": "e.delivered IS NOT NULL",
    **{state: f"e.delivered IS NULL AND {STATE} = '{state}'" for state in ("waiting", "dropped", "lost")},
    "late": _LATE,
    "again": _AGAIN,
}
STATES = tuple(_CONDITIONS)
"""What rows can be filtered by. `late`: it arrived with a later invocation. `again`: it was accepted more than once."""


def empty() -> Json:
    return {"captured": 0, "delivered": 0, "waiting": 0, "dropped": {}, "lost": 0}


def of_run(db: sqlite3.Connection) -> Json:
    """Return the sums of a whole run. Only undelivered events are counted one by one."""
    found = empty()
    (total,) = db.execute("SELECT count(*) FROM events").fetchone()
    _add(found, _open_states(db).values())
    found["delivered"] = total - found["captured"]
    found["captured"] = total
    return found


def of_sandboxes(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Json]:
    """Return the sums of each of these sandboxes."""
    opened = _open_states(db)
    ledgers: dict[str, Json] = {}
    for id in ids:
        (total,) = db.execute("SELECT count(*) FROM events WHERE sandbox = ?", (id,)).fetchone()
        found = ledgers[id] = empty()
        _add(found, [states for sandbox, states in opened.items() if sandbox == id])
        found["delivered"] = total - found["captured"]
        found["captured"] = total
    return ledgers


def of_invocation(db: sqlite3.Connection, request_id: str, trace_id: str | None) -> Json:
    """Return the sums of one invocation."""
    rows = db.execute(
        f"""SELECT {STATE} AS state, e.dropped, count(*) {_JOINED} WHERE e.event_id IN (
        SELECT event_id FROM events WHERE trace_id = :trace AND (request_id = :request OR request_id IS NULL)
        UNION SELECT event_id FROM events WHERE request_id = :request AND trace_id IS NULL) GROUP BY 1, 2""",
        {"request": request_id, "trace": trace_id},
    )
    found = empty()
    _add(found, [[tuple(row) for row in rows]])
    return found


def of_trace(db: sqlite3.Connection, trace_id: str) -> Json:
    """Return the sums of one trace."""
    rows = db.execute(
        f"SELECT {STATE} AS state, e.dropped, count(*) {_JOINED} WHERE e.trace_id = ? GROUP BY 1, 2", (trace_id,)
    )
    found = empty()
    _add(found, [[tuple(row) for row in rows]])
    return found


def states_of_traces(db: sqlite3.Connection, traces: Sequence[str]) -> dict[str, str]:
    """Return the worst state of an event of each trace."""
    marks = ",".join("?" * len(traces))
    rows = db.execute(f"SELECT e.trace_id, {STATE} {_JOINED} WHERE e.trace_id IN ({marks}) GROUP BY 1, 2", traces)
    order = ("delivered", "waiting", "dropped", "lost")
    worst: dict[str, str] = {}
    for trace_id, state in rows:
        worst[trace_id] = max(worst.get(trace_id, state), state, key=order.index)
    return worst


def rows(db: sqlite3.Connection, filters: Mapping[str, str], page: Page) -> Json:
    """Return events with their states and deliveries, in the order of their arrival."""
    where, given = ["e.seq <= ?"], list[Any]()
    until = page.until or db.execute("SELECT COALESCE(max(seq), 0) FROM events").fetchone()[0]
    for name, column in (("trace", "e.trace_id"), ("event", "e.event_id")):
        if filters.get(name):
            where.append(f"{column} = ?")
            given.append(filters[name])
    state = filters.get("state")
    if state in _CONDITIONS:
        where.append(_CONDITIONS[state])
    condition = " AND ".join(where)
    (total,) = db.execute(f"SELECT count(*) {_JOINED} WHERE {condition}", (until, *given)).fetchone()
    found = db.execute(
        f"""SELECT e.event_id, e.trace_id, e.span_id, e.request_id, e.sandbox, {STATE} AS state, e.dropped,
        {_AGAIN} AS again, {_LATE} AS late {_JOINED} WHERE {condition} ORDER BY e.seq LIMIT ? OFFSET ?""",
        (until, *given, page.limit, page.offset),
    ).fetchall()
    deliveries = deliveries_of(db, [row["event_id"] for row in found])
    made = [
        {
            **{name: row[name] for name in ("event_id", "trace_id", "span_id", "request_id", "sandbox", "state")},
            "reason": row["dropped"] if row["state"] == "dropped" else None,
            "deliveries": deliveries.get(row["event_id"], []),
            "again": bool(row["again"]),
            "late": bool(row["late"]),
        }
        for row in found
    ]
    return {"rows": made, "total": total, "until": until}


def deliveries_of(db: sqlite3.Connection, event_ids: Sequence[str]) -> dict[str, list[Json]]:
    """Return the deliveries of each of these events, in order."""
    found: dict[str, list[Json]] = {}
    for at in range(0, len(event_ids), 500):
        part = event_ids[at : at + 500]
        marks = ",".join("?" * len(part))
        rows = db.execute(
            f"""SELECT x.event_id AS of, d.*,
            (SELECT count(*) FROM delivery_events y WHERE y.delivery = d.id AND y.again) AS again
            FROM delivery_events x JOIN deliveries d ON d.id = x.delivery
            WHERE x.event_id IN ({marks}) ORDER BY d.id""",
            part,
        )
        for row in rows:
            found.setdefault(row["of"], []).append({name: row[name] for name in row.keys() if name != "of"})  # noqa: SIM118
    return found


def _open_states(db: sqlite3.Connection) -> dict[str | None, list[tuple[str, str | None, int]]]:
    """(state, reason, number) of the events that have not been delivered, by their sandbox."""
    rows = db.execute(
        f"""SELECT e.sandbox, {STATE} AS state, e.dropped, count(*) {_JOINED} WHERE e.delivered IS NULL
        GROUP BY 1, 2, 3"""
    )
    found: dict[str | None, list[tuple[str, str | None, int]]] = {}
    for sandbox, state, reason, number in rows:
        found.setdefault(sandbox, []).append((state, reason, number))
    return found


def _add(ledger: Json, groups: Iterable[Iterable[tuple[Any, ...]]]) -> None:
    for group in groups:
        for state, reason, number in group:
            ledger["captured"] += number
            if state == "dropped":
                ledger["dropped"][reason] = ledger["dropped"].get(reason, 0) + number
            else:
                ledger[state] += number
