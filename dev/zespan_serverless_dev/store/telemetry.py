"""Writes deliveries and their spans. Runs in the writer's thread, within its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..ingest import Span
from .change import Change

_CHUNK = 500  # parameters of one statement
_CALLS = ("llm", "embedding")
_UNKNOWN = "unknown"

COLUMNS = (
    *("event_id", "trace_id", "span_id", "parent_span_id", "name", "kind", "start", "end", "status", "error"),
    *("format", "raw", "provider", "model", "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "cost_usd", "first_token_ms", "is_root"),
)
_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_INSERT_SPAN = f"INSERT OR IGNORE INTO spans ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))})"
_INSERT_AGAIN = """
INSERT OR IGNORE INTO delivery_events
VALUES (:id, :delivery, EXISTS (SELECT 1 FROM delivery_events WHERE event_id = :id AND delivery != :delivery))"""
_UPSERT_EVENT = """
INSERT INTO events (event_id, trace_id, span_id, sandbox, request_id, delivered)
VALUES (:id, :trace, :span, COALESCE(:sandbox, (SELECT sandbox FROM traces WHERE trace_id = :trace)),
    (SELECT request_id FROM invocations WHERE trace_id = :trace ORDER BY seq LIMIT 1), :delivery)
ON CONFLICT (event_id) DO UPDATE SET
    trace_id = COALESCE(trace_id, excluded.trace_id), span_id = COALESCE(span_id, excluded.span_id),
    sandbox = COALESCE(sandbox, excluded.sandbox), request_id = COALESCE(request_id, excluded.request_id),
    delivered = COALESCE(delivered, excluded.delivered)"""
_UPSERT_TRACE = """
INSERT INTO traces (trace_id, name, start, "end", status, user_id, session_id, spans, calls, input_tokens,
    output_tokens, cost_usd, models)
VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (trace_id) DO UPDATE SET
    start = min(start, excluded.start), "end" = max(COALESCE("end", 0), excluded."end"),
    name = COALESCE(name, excluded.name),
    user_id = COALESCE(user_id, excluded.user_id), session_id = COALESCE(session_id, excluded.session_id),
    spans = spans + excluded.spans, calls = calls + excluded.calls,
    input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
    cost_usd = cost_usd + excluded.cost_usd,
    models = CASE WHEN instr(models, excluded.models) THEN models ELSE models || excluded.models END"""


@dataclass
class Delivery:
    """One request with telemetry. `status` is None while it has not been answered."""

    id: int
    at: float
    path: str
    bytes: int
    status: int | None = None
    answered: float | None = None
    fault: str | None = None
    spans: Sequence[Span] = ()
    event_ids: Sequence[str] = field(default=())  # of an import: spans that are kept already are not repeated

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def add_delivery(db: sqlite3.Connection, delivery: Delivery) -> Change:
    """Keep a request and the spans of it that are new."""
    spans = delivery.spans
    ids = list(dict.fromkeys([span.event_id for span in spans] + list(delivery.event_ids)))
    db.execute(
        "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(delivery.id, delivery.at, delivery.path, delivery.bytes, len(ids)),
            *(delivery.status, delivery.answered, delivery.fault),
        ),
    )
    db.executemany(_INSERT_AGAIN, [{"id": id, "delivery": delivery.id} for id in ids])
    known = _known(db, ids)
    fresh = [span for span in {span.event_id: span for span in spans}.values() if span.event_id not in known]
    db.executemany(_INSERT_SPAN, [[getattr(span, name) for name in COLUMNS] for span in fresh])
    _add_to_traces(db, fresh)
    roots = [span for span in fresh if span.is_root]
    sandboxes = [add_root(db, span) for span in roots]
    sandbox = sandboxes[0] if len(set(sandboxes)) == 1 else None  # a collector sends for several
    accepted = delivery.id if delivery.is_accepted else None
    rows = [_event(span.event_id, span.trace_id, span.span_id, sandbox, accepted) for span in spans]
    rows += [_event(id, None, None, None, accepted) for id in delivery.event_ids]
    db.executemany(_UPSERT_EVENT, rows)
    for span, of_root in zip(roots, sandboxes, strict=True):
        db.execute(
            "UPDATE events SET sandbox = COALESCE(sandbox, ?), request_id = COALESCE(request_id, ?) WHERE trace_id = ?",
            (of_root, _request_of(span), span.trace_id),
        )
    return Change(len(fresh), 0, set(sandboxes), {span.trace_id for span in spans})


def add_answer(db: sqlite3.Connection, id: int, status: int, at: float) -> Change:
    """Keep how a request was answered."""
    db.execute("UPDATE deliveries SET status = ?, answered = ? WHERE id = ?", (status, at, id))
    ids = "SELECT event_id FROM delivery_events WHERE delivery = ?"
    if 200 <= status < 300:
        db.execute(f"UPDATE events SET delivered = ? WHERE delivered IS NULL AND event_id IN ({ids})", (id, id))
    found = db.execute(f"SELECT DISTINCT trace_id, sandbox FROM events WHERE event_id IN ({ids})", (id,)).fetchall()
    return Change(0, 0, {row[1] for row in found if row[1]}, {row[0] for row in found if row[0]})


def add_root(db: sqlite3.Connection, span: Span) -> str:
    """Let a root span be an invocation; gives its sandbox, which is that of a tool's record if there is one."""
    request_id = _request_of(span)
    told = db.execute(
        "SELECT sandbox FROM invocations WHERE request_id = ? AND told ORDER BY seq DESC LIMIT 1", (request_id,)
    ).fetchone()
    sandbox: str
    if told is not None:
        sandbox = told[0]
        db.execute(
            "UPDATE invocations SET trace_id = COALESCE(trace_id, ?), root = COALESCE(root, ?),"
            " name = COALESCE(name, ?), cold = COALESCE(cold, ?) WHERE sandbox = ? AND request_id = ?",
            (span.trace_id, span.span_id, span.name, _is_cold(span), sandbox, request_id),
        )
        db.execute(
            "UPDATE sandboxes SET function = COALESCE(function, ?) WHERE id = ?", (span.function or span.name, sandbox)
        )
    else:
        sandbox = "/".join(filter(None, (span.function, span.instance))) or _UNKNOWN
        _add_invocation(db, span, sandbox, request_id)
    db.execute(
        """UPDATE traces SET root = ?, name = ?, function = ?, sandbox = ?, status = ?, start_kind = ?
        WHERE trace_id = ? AND (root IS NULL OR ? < (
            SELECT start FROM spans WHERE spans.trace_id = traces.trace_id AND spans.span_id = root))""",
        (
            *(span.span_id, span.name, span.function or span.name, sandbox, span.status, span.start_kind),
            *(span.trace_id, span.start),
        ),
    )
    return sandbox


def _add_invocation(db: sqlite3.Connection, span: Span, sandbox: str, request_id: str) -> None:
    """Add the sandbox and the invocation of a root span on which no tool reports."""
    db.execute(
        """INSERT INTO sandboxes (id, function, memory_mb, first, last, state, told, controls)
        VALUES (?, ?, ?, ?, ?, 'running', 0, '[]')
        ON CONFLICT (id) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)""",
        (sandbox, span.function or span.name, span.memory_mb, span.start, span.end),
    )
    db.execute(
        """INSERT INTO invocations (sandbox, request_id, trace_id, root, name, cold, start, "end", outcome, told)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING""",
        (
            *(sandbox, request_id, span.trace_id, span.span_id, span.name),
            *(_is_cold(span), span.start, span.end, span.status),
        ),
    )


def _event(
    id: str, trace: str | None, span: str | None, sandbox: str | None, delivery: int | None
) -> dict[str, object]:
    return {"id": id, "trace": trace, "span": span, "sandbox": sandbox, "delivery": delivery}


def _is_cold(span: Span) -> bool | None:
    return None if span.start_kind is None else span.start_kind == "cold"


def _request_of(span: Span) -> str:
    return span.request_id or span.span_id


def _known(db: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Return those of the events whose spans are kept already."""
    known: set[str] = set()
    for at in range(0, len(ids), _CHUNK):
        part = ids[at : at + _CHUNK]
        found = db.execute(f"SELECT event_id FROM spans WHERE event_id IN ({','.join('?' * len(part))})", part)
        known.update(row[0] for row in found)
    return known


def _add_to_traces(db: sqlite3.Connection, spans: Iterable[Span]) -> None:
    traces: dict[str, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    db.executemany(_UPSERT_TRACE, [_trace(trace_id, members) for trace_id, members in traces.items()])


def _trace(trace_id: str, spans: Sequence[Span]) -> tuple[object, ...]:
    return (
        trace_id,
        spans[0].name,
        min(span.start for span in spans),
        max(span.end for span in spans),
        next((span.user_id for span in spans if span.user_id), None),
        next((span.session_id for span in spans if span.session_id), None),
        len(spans),
        sum(span.kind in _CALLS for span in spans),
        sum(span.input_tokens or 0 for span in spans),
        sum(span.output_tokens or 0 for span in spans),
        sum(span.cost_usd or 0.0 for span in spans),
        "".join(f"\n{model}\n" for model in sorted({span.model for span in spans if span.model})),
    )
