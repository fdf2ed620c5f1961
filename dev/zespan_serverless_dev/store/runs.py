"""The runs of a folder: the current one, and the last ones before it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zespan_serverless.errors import ConfigurationError

from .bounds import Bounds
from .change import Change
from .run import OldRun, Run
from .schema import VERSION

_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")


class Runs:
    """Starts a run in `folder`, or in memory, and keeps the last `keep` runs, the new one among them."""

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
        self.current = Run(id, self._path(id), name, changed, self._bounds)
        self._prune()

    def get(self, id: str | None) -> Run | OldRun:
        """A run; the current one if none is named. Raises KeyError if there is none of this id."""
        if id is None or id in ("", "current", self.current.id):
            return self.current
        with self._lock:
            if id not in self._old:
                path = self._path(id) if _ID.fullmatch(id) else None
                if path is None or not path.is_file():
                    raise KeyError(id)
                self._old[id] = OldRun(id, path)
            return self._old[id]

    def all(self) -> list[dict[str, Any]]:
        """What there is to choose from, newest first."""
        ids = {self.current.id, *self._ids()}
        with self._lock:
            ids |= set(self._old)
        return [about for id in sorted(ids, reverse=True) if (about := self._about(id)) is not None]

    def create(self, name: str | None) -> Run:
        """A further run, to import into. It is closed by `settled`."""
        id = new_id()
        run = Run(id, self._path(id), name, lambda _: None, self._bounds)
        with self._lock:
            self._old[id] = run
        return run

    def settled(self, run: Run) -> None:
        """The import into a run has ended: it is only read from now on. One in memory stays as it is."""
        if run.path is not None:
            run.close()
            with self._lock:
                self._old[run.id] = OldRun(run.id, run.path)
        self._prune()

    def close(self) -> None:
        """Close all runs."""
        with self._lock:
            for run in self._old.values():
                run.close()
            self._old.clear()
        self.current.close()

    def _path(self, id: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{id}.sqlite"

    def _ids(self) -> list[str]:
        if self._folder is None:
            return []
        return sorted(path.stem for path in self._folder.glob("*.sqlite") if _ID.fullmatch(path.stem))

    def _about(self, id: str) -> dict[str, Any] | None:
        """What the list says of a run; None if its file is no run of this version's."""
        try:
            run = self.get(id)
            with run.reading() as db:
                meta = {row[0]: row[1] for row in db.execute("SELECT key, value FROM meta")}
                (events,) = db.execute("SELECT count(*) FROM events").fetchone()
                (pages,) = db.execute("PRAGMA page_count").fetchone()
                (size,) = db.execute("PRAGMA page_size").fetchone()
        except (sqlite3.Error, KeyError):
            return None
        if meta.get("version") != VERSION:
            return None
        found = {name: meta.get(name) for name in ("id", "started", "ended", "name")}
        return {**found, "id": id, "events": events, "bytes": pages * size, "current": run is self.current}

    def _prune(self) -> None:
        """Delete the oldest runs, but for those that another process is recording."""
        ids = self._ids()
        for id in ids[: max(0, len(ids) - self._keep)]:
            path = self._path(id)
            if path is None or id == self.current.id:
                continue
            with self._lock:
                old = self._old.pop(id, None)
            if old is not None:
                old.close()
            if _in_use(path):
                continue
            for ending in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    Path(f"{path}{ending}").unlink()


def new_id() -> str:
    """An id by which runs sort as they began."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def prepare(folder: Path) -> None:
    """Make the folder, which only its owner may read and which git ignores. Raises ConfigurationError."""
    ignore = folder / ".gitignore"
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
        elif not ignore.is_file() or ignore.read_text().strip() != "*":
            if any(folder.iterdir()):
                raise ConfigurationError(
                    f"{folder} has other files: name a folder that is new or empty, for example --folder .zespan"
                )
            os.chmod(folder, 0o700)  # noqa: PTH101
        if not ignore.exists():
            ignore.write_text("*\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{folder} cannot be used: {error}. Name another one with --folder, or --memory"
        ) from None


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
