"""Limits of a run: beyond them the oldest events are removed and counted."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

_SHARE = 20  # a twentieth of a run is removed at once, so that this is rare


@dataclass
class Bounds:
    """At most so many events, and so many bytes of events and of lifecycle records."""

    events: int = 500_000
    bytes: int = 1 << 30

    def apply(self, db: sqlite3.Connection) -> None:
        """Remove the oldest events if there are too many, those first that have been delivered."""
        (highest,) = db.execute("SELECT COALESCE(max(seq), 0) FROM events").fetchone()
        if highest > self.events:  # otherwise there cannot be too many, and counting is unnecessary
            (number,) = db.execute("SELECT count(*) FROM events").fetchone()
            if number > self.events:
                self._drop(db, number - self.events + self.events // _SHARE)
        if _size(db) > self.bytes:
            (number,) = db.execute("SELECT count(*) FROM events").fetchone()
            self._drop(db, number // _SHARE + 1)
            (records, least) = db.execute("SELECT count(*), COALESCE(min(seq), 0) FROM lifecycle").fetchone()
            db.execute("DELETE FROM lifecycle WHERE seq <= ?", (least + records // _SHARE,))

    def _drop(self, db: sqlite3.Connection, number: int) -> None:
        db.execute("CREATE TEMP TABLE IF NOT EXISTS old (event_id TEXT PRIMARY KEY, trace_id TEXT)")
        db.execute("DELETE FROM old")
        db.execute(
            "INSERT INTO old SELECT event_id, trace_id FROM events ORDER BY delivered IS NULL, seq LIMIT ?", (number,)
        )
        for table in ("spans", "delivery_events", "events"):
            db.execute(f"DELETE FROM {table} WHERE event_id IN (SELECT event_id FROM old)")
        gone = "trace_id IN (SELECT trace_id FROM old) AND trace_id NOT IN (SELECT trace_id FROM events)"
        for table in ("traces", "invocations", "lifecycle"):
            db.execute(f"DELETE FROM {table} WHERE trace_id IS NOT NULL AND {gone}")
        db.execute("DELETE FROM deliveries WHERE id NOT IN (SELECT delivery FROM delivery_events)")
        db.execute("UPDATE meta SET value = value + ? WHERE key = 'older_dropped'", (number,))


def _size(db: sqlite3.Connection) -> int:
    """Return bytes of the pages in use."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)
