"""Searches for a text in all events of a run. A long search continues where the last response ended."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import OrderedDict
from typing import Any

_SECONDS = 0.7  # that one answer searches
_AT_ONCE = 200  # traces that are looked through at once
_KEPT = 20  # searches whose findings are kept


class Search:
    """One text in the traces that a condition names."""

    def __init__(self, where: str, given: list[Any], text: str) -> None:
        self.found: list[int] = []  # numbers of traces, newest first
        self.is_done = False
        self.lock = threading.Lock()
        self._where, self._given = where, given
        self._patterns = _patterns(text)
        self._at: tuple[float, int] | None = None

    def go_on(self, db: sqlite3.Connection, wanted: int) -> None:
        """Search until so many are found, or the time is over."""
        end = time.monotonic() + _SECONDS
        likes = " OR ".join(["raw LIKE ? ESCAPE '\\'"] * len(self._patterns))
        while not self.is_done and len(self.found) < wanted and time.monotonic() < end:
            behind, at = ("(start, seq) < (?, ?)", self._at) if self._at else ("1", ())
            rows = db.execute(
                f"SELECT seq, start, trace_id FROM traces WHERE {self._where} AND {behind}"
                " ORDER BY start DESC, seq DESC LIMIT ?",
                (*self._given, *at, _AT_ONCE),
            ).fetchall()
            ids = [row["trace_id"] for row in rows]
            hits = db.execute(
                f"SELECT DISTINCT trace_id FROM spans WHERE trace_id IN ({','.join('?' * len(ids))}) AND ({likes})",
                (*ids, *self._patterns),
            )
            known = {row[0] for row in hits}
            self.found += [row["seq"] for row in rows if row["trace_id"] in known]
            self.is_done = len(rows) < _AT_ONCE
            if rows:
                self._at = rows[-1]["start"], rows[-1]["seq"]


class Searches:
    """The last searches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._searches: OrderedDict[str, Search] = OrderedDict()

    def of(self, run: str, where: str, given: list[Any], text: str) -> Search:
        """Return a search, which may have begun earlier."""
        key = json.dumps([run, where, given, text])
        with self._lock:
            found = self._searches.pop(key, None) or Search(where, given, text)
            self._searches[key] = found
            while len(self._searches) > _KEPT:
                self._searches.popitem(last=False)
            return found


def _patterns(text: str) -> list[str]:
    """Return a text as it may be in an event: as it is, in JSON, and in JSON that is a text of the event."""
    coded = json.dumps(text)[1:-1]
    return [f"%{_escaped(one)}%" for one in dict.fromkeys((text, coded, json.dumps(coded)[1:-1]))]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
