"""Two runs side by side: each span name of each function."""

from __future__ import annotations

import json
import sqlite3
from statistics import median
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]

_SPANS_MAX = 200_000  # the newest ones of each run
_KEYS_MAX = 500


def compare(a: sqlite3.Connection, b: sqlite3.Connection) -> Json:
    """Return what the spans of both runs took, in ms, tokens and USD, and the differences: b less a."""
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
            ELSE p.name || ' ' || p.model END, count(*), sum(p.status != 'ok'),
            sum(COALESCE(p.input_tokens, 0) + COALESCE(p.output_tokens, 0)), sum(COALESCE(p.cost_usd, 0)),
            json_group_array(p."end" - p.start)
        FROM spans p LEFT JOIN traces t ON t.trace_id = p.trace_id
        WHERE p.seq > (SELECT max(seq) FROM spans) - ? GROUP BY 1, 2""",
        (_SPANS_MAX,),
    )
    return {(row[0], row[1]): _sums(row[2:]) for row in rows}


def _sums(found: tuple[Any, ...]) -> Json:
    number, errors, tokens, cost, listed = found
    durations = sorted(json.loads(listed))
    return {
        "count": number,
        "errors": errors,
        "duration_ms": round(median(durations), 3),
        "p95_ms": round(durations[min(number - 1, int(number * 0.95))], 3),
        "tokens": tokens,
        "cost_usd": round(cost, 12),
    }
