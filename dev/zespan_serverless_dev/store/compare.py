"""Two runs side by side: each span name of each function."""

from __future__ import annotations

import sqlite3
from statistics import median
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]

_SPANS_MAX = 200_000  # the newest ones of each run
_KEYS_MAX = 500


def compare(a: sqlite3.Connection, b: sqlite3.Connection) -> Json:
    """What the spans of both runs took, in ms, tokens and USD, and the differences: b less a."""
    before, after = _groups(a), _groups(b)
    keys = sorted(before.keys() | after.keys())
    rows = [_row(key, before.get(key), after.get(key)) for key in keys[:_KEYS_MAX]]
    return {"rows": rows, "more": max(0, len(keys) - _KEYS_MAX)}


def _row(key: Key, a: Json | None, b: Json | None) -> Json:
    difference = None
    if a is not None and b is not None:
        difference = {name: round(b[name] - a[name], 12) for name in a}
    return {"function": key[0], "name": key[1], "a": a, "b": b, "difference": difference}


def _groups(db: sqlite3.Connection) -> dict[Key, Json]:
    rows = db.execute(
        """SELECT COALESCE(t.function, ''), CASE WHEN p.model IS NULL OR instr(p.name, p.model) THEN p.name
            ELSE p.name || ' ' || p.model END, p."end" - p.start, p.input_tokens, p.output_tokens, p.cost_usd,
            p.status != 'ok'
        FROM (SELECT * FROM spans ORDER BY seq DESC LIMIT ?) p LEFT JOIN traces t ON t.trace_id = p.trace_id""",
        (_SPANS_MAX,),
    )
    spans: dict[Key, list[Any]] = {}
    for row in rows:
        spans.setdefault((row[0], row[1]), []).append(tuple(row[2:]))
    return {key: _sums(found) for key, found in spans.items()}


def _sums(spans: list[Any]) -> Json:
    all_durations, taken, given, costs, failed = zip(*spans, strict=True)
    durations = sorted(all_durations)
    return {
        "count": len(spans),
        "errors": sum(failed),
        "duration_ms": round(median(durations), 3),
        "p95_ms": round(durations[min(len(durations) - 1, int(len(durations) * 0.95))], 3),
        "tokens": sum(one or 0 for one in (*taken, *given)),
        "cost_usd": round(sum(one or 0.0 for one in costs), 12),
    }
