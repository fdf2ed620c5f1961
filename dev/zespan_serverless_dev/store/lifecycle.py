"""Writes lifecycle records. Runs in the writer's thread, within its transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from ..ingest.span import count, number, text
from .change import Change

Record = dict[str, Any]

_RECORD_MAX = 100_000  # characters of one record
_ENDED = {"ok": "ok", "timeout": "timeout", "crash": "crashed", "killed": "crashed", "error": "error"}


def add_lifecycle(db: sqlite3.Connection, records: Sequence[Record]) -> Change:
    """Keep records, and what they say of sandboxes, invocations and events."""
    change = Change(0, len(records))
    for record in records:
        change.sandboxes.add(record["sandbox"])
        request_id, trace_id = text(record.get("request_id")), text(record.get("trace_id"))
        if trace_id is not None:
            change.traces.add(trace_id)
        kept = json.dumps(record)
        if len(kept) > _RECORD_MAX:
            short = {name: text(record.get(name), 20_000) for name in ("type", "sandbox", "request_id", "text")}
            kept = json.dumps({**short, "at": record["at"], "cut": True})
        db.execute(
            "INSERT INTO lifecycle (sandbox, type, at, request_id, trace_id, span_id, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(record["sandbox"], record["type"], record["at"]),
                *(request_id, trace_id, text(record.get("span_id")), kept),
            ),
        )
        _touch(db, record)
        if record["type"] in _STEPS:
            _STEPS[record["type"]](db, record)
    return change


def _touch(db: sqlite3.Connection, record: Record) -> None:
    db.execute(
        """INSERT INTO sandboxes (id, first, last, state, told, controls) VALUES (:id, :at, :at, 'running', 1, '[]')
        ON CONFLICT (id) DO UPDATE SET last = max(last, :at), first = min(first, :at), told = 1""",
        {"id": record["sandbox"], "at": record["at"]},
    )


def _sandbox(db: sqlite3.Connection, record: Record) -> None:
    controls = record.get("controls")
    named = [text(one, 40) for one in controls[:20]] if isinstance(controls, list) else []
    db.execute(
        """UPDATE sandboxes SET host = ?, function = ?, handler = ?, memory_mb = ?, timeout_ms = ?, controls = ?,
        state = 'running', "end" = NULL WHERE id = ?""",
        (
            *(text(record.get("host")), text(record.get("function")), text(record.get("handler"))),
            *(count(record.get("memory_mb")), number(record.get("timeout_ms"))),
            *(json.dumps([one for one in named if one]), record["sandbox"]),
        ),
    )


def _init(db: sqlite3.Connection, record: Record) -> None:
    took = number(record.get("duration_ms")) or 0.0
    db.execute(
        "UPDATE sandboxes SET init_start = :start, init_end = :end, first = min(first, :start) WHERE id = :id",
        {"start": record["at"] - took, "end": record["at"], "id": record["sandbox"]},
    )


def _invoke(db: sqlite3.Connection, record: Record) -> None:
    request_id = text(record.get("request_id")) or f"at {record['at']}"
    cold = record.get("cold")
    earlier = db.execute(
        "SELECT trace_id, root, sandbox, name, cold FROM invocations WHERE request_id = ? AND NOT told", (request_id,)
    ).fetchone()
    db.execute("DELETE FROM invocations WHERE request_id = ? AND NOT told", (request_id,))
    trace_id, root, _, name, was_cold = earlier or (None,) * 5
    db.execute(
        """INSERT INTO invocations (sandbox, request_id, trace_id, root, name, cold, start, deadline, reserve_ms, told)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (sandbox, request_id) DO UPDATE SET
        name = excluded.name, cold = excluded.cold, start = excluded.start, deadline = excluded.deadline,
        reserve_ms = excluded.reserve_ms, told = 1""",
        (
            *(record["sandbox"], request_id, trace_id, root, text(record.get("name")) or name),
            *(cold if isinstance(cold, bool) else was_cold, record["at"]),
            *(number(record.get("deadline")), number(record.get("reserve_ms"))),
        ),
    )
    if cold is True:
        db.execute(
            """UPDATE invocations
            SET (init_start, init_end) = (SELECT init_start, init_end FROM sandboxes WHERE id = :id)
            WHERE sandbox = :id AND request_id = :request""",
            {"id": record["sandbox"], "request": request_id},
        )
    if earlier:  # the telemetry arrived first: its provisional sandbox is this one
        db.execute(
            "UPDATE events SET sandbox = ? WHERE request_id = ? OR (trace_id = ? AND sandbox = ?)",
            (record["sandbox"], request_id, trace_id, earlier[2]),
        )
        db.execute("UPDATE traces SET sandbox = ? WHERE trace_id = ?", (record["sandbox"], trace_id))
        db.execute(
            """UPDATE sandboxes SET function = COALESCE(function, (
            SELECT COALESCE(function, name) FROM traces WHERE trace_id = ?)) WHERE id = ?""",
            (trace_id, record["sandbox"]),
        )
        db.execute(
            "DELETE FROM sandboxes WHERE id = :id AND NOT told"
            " AND NOT EXISTS (SELECT 1 FROM invocations WHERE sandbox = :id)",
            {"id": earlier[2]},
        )


def _begun(db: sqlite3.Connection, record: Record) -> None:
    trace_id, request_id = text(record.get("trace_id")), text(record.get("request_id"))
    if trace_id is None or record.get("kind") != "invocation":
        return
    db.execute(
        "UPDATE invocations SET trace_id = ?, root = ? WHERE sandbox = ? AND request_id = ?",
        (trace_id, text(record.get("span_id")), record["sandbox"], request_id),
    )
    db.execute(
        """INSERT INTO traces (trace_id, sandbox, function, name, start, status, spans, calls, input_tokens,
        output_tokens, cost_usd, models)
        VALUES (:trace, :id, (SELECT function FROM sandboxes WHERE id = :id), :name, :at, 'running', 0, 0, 0, 0, 0, '')
        ON CONFLICT (trace_id) DO NOTHING""",
        {"trace": trace_id, "id": record["sandbox"], "name": text(record.get("name")), "at": record["at"]},
    )


_CAPTURE = """
INSERT INTO events (event_id, trace_id, span_id, sandbox, request_id, captured) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (event_id) DO UPDATE SET
    trace_id = COALESCE(trace_id, excluded.trace_id), span_id = COALESCE(span_id, excluded.span_id),
    sandbox = excluded.sandbox, request_id = COALESCE(excluded.request_id, request_id),
    captured = COALESCE(captured, excluded.captured),
    waiting = CASE WHEN sandbox = excluded.sandbox THEN waiting END -- another one has taken it over, and may lose it"""


def _captured(db: sqlite3.Connection, record: Record) -> None:
    event_id = text(record.get("event_id"))
    if event_id is not None:
        ids = text(record.get("trace_id")), text(record.get("span_id"))
        db.execute(_CAPTURE, (event_id, *ids, record["sandbox"], text(record.get("request_id")), record["at"]))


def _ids(value: Any) -> list[str]:
    found = map(text, value[:100_000]) if isinstance(value, list) else ()
    return [one for one in found if one is not None]


def _dropped(db: sqlite3.Connection, record: Record) -> None:
    reason = text(record.get("reason"), 80) or "unknown"
    for event_id in _ids(record.get("event_ids")):
        db.execute(
            """INSERT INTO events (event_id, sandbox, request_id, captured, dropped) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (event_id) DO UPDATE SET dropped = excluded.dropped""",
            (event_id, record["sandbox"], text(record.get("request_id")), record["at"], reason),
        )


def _delivered(db: sqlite3.Connection, record: Record) -> None:
    """Events whose destination is elsewhere. For events that are sent here, the deliveries are more precise."""
    db.executemany(
        """UPDATE events SET delivered = 0 WHERE event_id = :id AND delivered IS NULL
        AND NOT EXISTS (SELECT 1 FROM delivery_events WHERE event_id = :id)""",
        [{"id": event_id} for event_id in _ids(record.get("event_ids"))],
    )


def _response(db: sqlite3.Connection, record: Record) -> None:
    db.execute(
        "UPDATE invocations SET response = ?, outcome = COALESCE(outcome, ?) WHERE sandbox = ? AND request_id = ?",
        (record["at"], text(record.get("status"), 40), record["sandbox"], text(record.get("request_id"))),
    )


def _done(db: sqlite3.Connection, record: Record) -> None:
    request_id, outcome = text(record.get("request_id")), text(record.get("outcome"), 40) or "ok"
    parts = [number(record.get(name)) for name in ("init_ms", "handler_ms", "after_ms", "billed_ms", "max_memory_mb")]
    db.execute(
        """UPDATE invocations SET "end" = ?, outcome = ?, init_ms = ?, handler_ms = ?, after_ms = ?, billed_ms = ?,
        max_memory_mb = ? WHERE sandbox = ? AND request_id = ?""",
        (record["at"], outcome, *parts, record["sandbox"], request_id),
    )
    if outcome in _ENDED:
        db.execute(
            """UPDATE traces SET status = ?, "end" = COALESCE("end", ?) WHERE root IS NULL AND trace_id =
            (SELECT trace_id FROM invocations WHERE sandbox = ? AND request_id = ?)""",
            (_ENDED[outcome], record["at"], record["sandbox"], request_id),
        )


def _freeze(db: sqlite3.Connection, record: Record) -> None:
    state = "frozen" if record["type"] == "freeze" else "running"
    db.execute("UPDATE sandboxes SET state = ? WHERE id = ? AND state != 'ended'", (state, record["sandbox"]))


def _exit(db: sqlite3.Connection, record: Record) -> None:
    reason = text(record.get("reason"), 80) or "exit"
    db.execute("""UPDATE sandboxes SET state = 'ended', "end" = ? WHERE id = ?""", (reason, record["sandbox"]))
    db.execute("UPDATE events SET waiting = NULL WHERE sandbox = ? AND waiting", (record["sandbox"],))
    for event_id in _ids(record.get("waiting")):
        db.execute(
            """INSERT INTO events (event_id, sandbox, captured, waiting) VALUES (?, ?, ?, 1)
            ON CONFLICT (event_id) DO UPDATE SET waiting = 1""",
            (event_id, record["sandbox"], record["at"]),
        )


_STEPS: dict[str, Callable[[sqlite3.Connection, Record], None]] = {
    "sandbox": _sandbox,
    "init": _init,
    "invoke": _invoke,
    "begun": _begun,
    "captured": _captured,
    "response": _response,
    "delivered": _delivered,
    "dropped": _dropped,
    "done": _done,
    "freeze": _freeze,
    "thaw": _freeze,
    "exit": _exit,
}
