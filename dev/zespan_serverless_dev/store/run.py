"""One run: its database, its writer if it is the current one, and connections to read with."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .bounds import Bounds
from .change import Change
from .lifecycle import add_lifecycle
from .schema import SCHEMA, VERSION
from .telemetry import Delivery, add_answer, add_delivery
from .writer import Writer

_IDLE_MAX = 8  # connections that are kept for the next readers


class Run:
    """A run that is being recorded. `path` None keeps it in memory. `changed` hears of each commit."""

    def __init__(
        self,
        id: str,
        path: Path | None,
        changed: Callable[[Change], None],
        bounds: Bounds,
        name: str | None = None,
        started: float | None = None,
        ended: float | None = None,
    ) -> None:
        self.id, self.path = id, path
        self._lock = threading.RLock()  # of the one connection, where the run is in memory
        self._ids = 0
        self._ids_lock = threading.Lock()
        self._readers = _Readers(path)
        if path is not None:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))  # SQLite gives its other files this mode
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(
            "PRAGMA synchronous = OFF"
        )  # a crash of the machine may cost a run, one of the server does not
        self._db.executescript(SCHEMA)
        meta = {"version": VERSION, "id": id, "name": name, "started": started or _now(), "ended": ended}
        meta["older_dropped"] = 0
        self._db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        self._writer = Writer(self._db, self._lock, changed, bounds.apply)

    def next_delivery(self) -> int:
        """Return the number of the next delivery."""
        with self._ids_lock:
            self._ids += 1
            return self._ids

    def deliver(self, delivery: Delivery) -> None:
        """Keep a request with telemetry."""
        self._writer.put(lambda db: add_delivery(db, delivery))

    def answer(self, id: int, status: int) -> None:
        """Keep how a request was answered, now."""
        at = _now()
        self._writer.put(lambda db: add_answer(db, id, status, at))

    def tell(self, records: Sequence[dict[str, Any]]) -> None:
        """Keep lifecycle records."""
        self._writer.put(lambda db: add_lifecycle(db, records))

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open a connection that sees everything written before."""
        self._writer.settle()
        if self.path is None:
            with self._lock:
                yield self._db
        else:
            with self._readers.one() as db:
                yield db

    def close(self) -> bool:
        """Write the rest, and close the file. Gives whether the run has anything."""
        self._writer.close()
        self._readers.close()
        with self._lock:
            tables = ("deliveries", "lifecycle")
            found = any(self._db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in tables)
            self._db.execute("UPDATE meta SET value = COALESCE(value, ?) WHERE key = 'ended'", (_now(),))
            self._db.close()
        return found


class OldRun:
    """A run that has ended. It is only read."""

    def __init__(self, id: str, path: Path) -> None:
        self.id, self.path = id, path
        self._readers = _Readers(path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._readers.one() as db:
            yield db

    def close(self) -> None:
        self._readers.close()


class _Readers:
    """Connections that only read, of which a few are kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @contextlib.contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            db = self._idle.pop() if self._idle else None
        if db is None:
            db = self._connect()
        db.execute("BEGIN")  # one view of the run for the whole answer
        try:
            yield db
        finally:
            db.execute("ROLLBACK")
            with self._lock:
                if self._is_closed or len(self._idle) >= _IDLE_MAX:
                    db.close()
                else:
                    self._idle.append(db)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            for db in self._idle:
                db.close()
            self._idle.clear()

    def _connect(self) -> sqlite3.Connection:
        assert self._path is not None
        db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA query_only = 1")
            db.execute("PRAGMA trusted_schema = 0")
            row = db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
            if row is None or row[0] != VERSION:
                raise sqlite3.DatabaseError("another version has recorded it")
        except BaseException:
            db.close()
            raise
        return db


def _now() -> float:
    return round(time.time() * 1000, 3)
