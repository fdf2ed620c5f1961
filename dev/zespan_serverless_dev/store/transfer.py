"""A run as one file: gzip, a document of JSON a line. Reading one uses the same code as received telemetry, so a
hostile file can do no more than a hostile request.

The first line is the head: `{"zespan_run": 1, "name", "started", "ended"}`. Then come lifecycle records, as
`{"lifecycle": {...}}`, and deliveries, as `{"delivery": {...}, "events": [ids], "spans": [[format, event], ...]}`.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

from .. import ingest
from ..ingest import BadBody, Span
from ..ingest.body import parsed
from ..ingest.span import count, moment, number, text
from .run import Run
from .runs import Runs
from .telemetry import Delivery

Json = dict[str, Any]

VERSION = 1
LINE_MAX = 64 << 20  # bytes
UNPACKED_MAX = 4 << 30
_PIECE = 64 << 10
_EVENTS_MAX = 100_000  # of one delivery


def export(db: sqlite3.Connection) -> Iterator[bytes]:
    """Yield the file of a run, piece by piece."""
    packer = zlib.compressobj(6, wbits=31)
    waiting = b""
    for line in _lines(db):
        waiting += packer.compress(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        if len(waiting) > _PIECE:
            yield waiting
            waiting = b""
    yield waiting + packer.flush()


def import_run(runs: Runs, file: IO[bytes]) -> Run:
    """Create a run from a file, and return it. Raises BadBody for an invalid file, and then leaves nothing."""
    with gzip.GzipFile(fileobj=file) as unpacked:
        try:
            lines = _read(unpacked)
            head = next(lines, {})
            if head.get("zespan_run") != VERSION:
                raise BadBody(f"this is no run of version {VERSION}: choose a file that a page of `dev` has exported")
            run = runs.create(text(head.get("name")), number(head.get("started")), number(head.get("ended")))
        except (OSError, EOFError, zlib.error):
            raise BadBody("this is no run: choose a file that a page of `dev` has exported") from None
        try:
            for line in lines:
                _add(run, line)
        except (OSError, EOFError, zlib.error):
            runs.discard(run)
            raise BadBody("the file is damaged") from None
        except BaseException:
            runs.discard(run)
            raise
    runs.settled(run)
    return run


def _lines(db: sqlite3.Connection) -> Iterator[Json]:
    meta = {row[0]: row[1] for row in db.execute("SELECT key, value FROM meta")}
    yield {"zespan_run": VERSION, **{name: meta.get(name) for name in ("name", "started", "ended")}}
    for (record,) in db.execute("SELECT record FROM lifecycle ORDER BY seq"):
        yield {"lifecycle": json.loads(record)}
    for row in db.execute("SELECT at, path, bytes, status, answered, fault, id FROM deliveries ORDER BY id"):
        found = db.execute(
            """SELECT x.event_id, p.format, p.raw FROM delivery_events x
            LEFT JOIN spans p ON p.event_id = x.event_id AND NOT x.again WHERE x.delivery = ?""",
            (row["id"],),
        ).fetchall()
        yield {
            "delivery": {name: row[name] for name in ("at", "path", "bytes", "status", "answered", "fault")},
            "events": [one["event_id"] for one in found],
            "spans": [[one["format"], one["raw"]] for one in found if one["raw"] is not None],
        }


def _read(file: gzip.GzipFile) -> Iterator[Json]:
    size = 0
    while line := file.readline(LINE_MAX):
        size += len(line)
        if not line.endswith(b"\n") and len(line) == LINE_MAX:
            raise BadBody("the file has a line that is too long")
        if size > UNPACKED_MAX:
            raise BadBody(f"the file has more than {UNPACKED_MAX >> 30} GB without gzip")
        found = parsed(line.decode("utf-8", "replace"))
        if not isinstance(found, dict):
            raise BadBody("a line of the file is no object of JSON")
        yield found


def _add(run: Run, line: Json) -> None:
    if "lifecycle" in line:
        run.tell([ingest.lifecycle.checked(line["lifecycle"])])
    elif isinstance(given := line.get("delivery"), dict):
        run.deliver(_delivery(run, given, line.get("events"), line.get("spans")))


def _delivery(run: Run, given: Json, events: Any, spans: Any) -> Delivery:
    status, answered = count(given.get("status")), number(given.get("answered"))
    ids = [id for one in _list(events)[:_EVENTS_MAX] if (id := text(one)) is not None]
    return Delivery(
        id=run.next_delivery(),
        at=moment(number(given.get("at"))),
        path=text(given.get("path")) or "",
        bytes=count(given.get("bytes")) or 0,
        status=status,
        answered=None if answered is None else moment(answered),
        fault=text(given.get("fault"), 40),
        spans=list(_spans(_list(spans)[:_EVENTS_MAX])),
        event_ids=ids,
    )


def _spans(found: Iterable[Any]) -> Iterator[Span]:
    for one in found:
        if not isinstance(one, list) or len(one) != 2 or not all(isinstance(part, str) for part in one):
            raise BadBody("a span of the file is not [format, event]")
        yield ingest.span_of(one[0], one[1])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
