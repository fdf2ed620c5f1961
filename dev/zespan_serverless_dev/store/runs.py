"""The runs of a folder: the current one, and the last ones before it."""

from __future__ import annotations

import contextlib
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .bounds import Bounds
from .change import Change
from .folder import is_private, prepare
from .run import OldRun, Run

_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")


class Runs:
    """Starts a run in `folder`, or in memory. In the end the last `keep` runs are kept, this one among them."""

    def __init__(
        self,
        folder: Path | None,
        keep: int = 10,
        name: str | None = None,
        changed: Callable[[Change], None] = lambda _: None,
        bounds: Bounds | None = None,
    ) -> None:
        self._folder, self._keep, self._bounds = folder, keep, bounds or Bounds()
        self._old: dict[str, OldRun | Run] = {}  # runs that are open, beside the current one
        self._lock = threading.Lock()
        if folder is not None:
            prepare(folder)
        id = new_id()
        self.current = Run(id, self._path(id), changed, self._bounds, name)
        self._prune(keep)

    def get(self, id: str | None) -> Run | OldRun:
        """Return a run; the current one if none is named. Raises KeyError for an unknown id."""
        if id is None or id in ("", "current", self.current.id):
            return self.current
        with self._lock:
            if id not in self._old:
                path = self._path(id) if _ID.fullmatch(id) else None
                if path is None or not path.is_file() or not is_private(path):
                    raise KeyError(id)
                self._old[id] = OldRun(id, path)
            return self._old[id]

    def all(self) -> list[dict[str, Any]]:
        """Return what there is to choose from, newest first."""
        ids = {self.current.id, *self._ids()}
        with self._lock:
            ids |= set(self._old)
        return [about for id in sorted(ids, reverse=True) if (about := self._about(id)) is not None]

    def create(self, name: str | None, started: float | None, ended: float | None) -> Run:
        """Create another run, to import into, until it is `settled` or discarded."""
        id = new_id()
        run = Run(id, self._path(id), lambda _: None, self._bounds, name or "imported", started, ended)
        with self._lock:
            self._old[id] = run
        return run

    def settled(self, run: Run) -> None:
        """Note the end of an import: the run is only read from now on. One in memory stays the same."""
        if run.path is not None:
            run.close()
            with self._lock:
                self._old[run.id] = OldRun(run.id, run.path)
        self._prune(self._keep)

    def discard(self, run: Run) -> None:
        """Leave nothing of a run."""
        with self._lock:
            self._old.pop(run.id, None)
        run.close()
        if run.path is not None:
            _delete(run.path)

    def close(self) -> None:
        """Close all runs. One in which nothing has arrived is not kept."""
        with self._lock:
            for run in self._old.values():
                run.close()
            self._old.clear()
        if self.current.close():
            self._prune(self._keep - 1)
        elif self.current.path is not None:
            _delete(self.current.path)

    def _path(self, id: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{id}.sqlite"

    def _ids(self) -> list[str]:
        if self._folder is None:
            with self._lock:
                return sorted(self._old)
        files = [path for path in self._folder.glob("*.sqlite") if _ID.fullmatch(path.stem)]
        return sorted(path.stem for path in files if is_private(path))

    def _about(self, id: str) -> dict[str, Any] | None:
        """Return what the list says of a run; None if its file is no run of this version's."""
        try:
            run = self.get(id)
            with run.reading() as db:
                meta = {row[0]: row[1] for row in db.execute("SELECT key, value FROM meta")}
                (events,) = db.execute("SELECT count(*) FROM events").fetchone()
                (pages,) = db.execute("PRAGMA page_count").fetchone()
                (size,) = db.execute("PRAGMA page_size").fetchone()
        except (sqlite3.Error, KeyError):
            return None
        found = {name: meta.get(name) for name in ("id", "started", "ended", "name")}
        return {**found, "id": id, "events": events, "bytes": pages * size, "current": run is self.current}

    def _prune(self, number: int) -> None:
        """Delete the oldest runs, except the current one and those that another process is recording."""
        ids = [id for id in self._ids() if id != self.current.id]
        for id in ids[: max(0, len(ids) - number)]:
            with self._lock:
                old = self._old.pop(id, None)
            if old is not None:
                old.close()
            path = self._path(id)
            if path is not None and not _in_use(path):
                _delete(path)


def new_id() -> str:
    """Return an id by which runs sort as they began."""
    now = time.time()
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{int(now % 1 * 1000):03d}{secrets.token_hex(1)[0]}"


def _delete(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            Path(f"{path}{ending}").unlink()


def _in_use(path: Path) -> bool:
    """Whether a process has the run open: only without others can SQLite leave the mode of write-ahead logs."""
    try:
        db = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            (mode,) = db.execute("PRAGMA journal_mode = DELETE").fetchone()
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        return "locked" in str(error)
    return str(mode) != "delete"
