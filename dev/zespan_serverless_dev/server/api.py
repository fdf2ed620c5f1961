"""The page's API: what is asked below /api."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from ..store import invocations, lanes, ledger
from ..store.compare import compare
from ..store.page import ROWS_MAX, Page
from ..store.summary import summary
from ..store.trace import event, trace
from ..store.transfer import export, import_run
from .answer import Answer, Refused
from .controls import CONTROLS

if TYPE_CHECKING:
    from . import DevServer
    from .connection import Connection

Json = dict[str, Any]
Value = TypeVar("Value")

_ROWS = 100
_NUMBER_MAX = 15  # digits
_FILES = ("application/octet-stream", "application/gzip")
_FILE_MAX = 1 << 30  # bytes
_SPOOLED = 8 << 20  # bytes of an export in memory


def answer(dev: DevServer, request: Connection) -> Answer | None:
    """Return the answer to a request below /api, or None if it has been sent already."""
    name, _, rest = request.url.path.removeprefix("/api/").partition("/")
    if request.command == "POST":
        if (name, rest) in _POSTS:
            return Answer.of(_POSTS[name, rest](dev, request))
        if name == "sandboxes" and rest.endswith("/control"):
            return Answer.of(_control(dev, request, unquote(rest.removesuffix("/control"))))
        raise Refused(404, "there is nothing to post to at this path")
    if request.command != "GET":
        raise Refused(405, "only GET and POST")
    if name == "stream" and not rest:
        return _stream(dev, request)
    if name == "export" and not rest:
        return _export(dev, request)
    if name in _GETS:
        return Answer.of(_GETS[name](dev, request.query(), unquote(rest)))
    raise Refused(404, f"there is {', '.join(sorted(_GETS))} below /api")


def _runs(dev: DevServer, query: Json, _: str) -> Json:
    return {"runs": dev.runs.all()}


def _summary(dev: DevServer, query: Json, _: str) -> Json:
    with _run(dev, query).reading() as db:
        return {**summary(db), "fault": dev.faults.mode}


def _sandboxes(dev: DevServer, query: Json, _: str) -> Json:
    with _run(dev, query).reading() as db:
        return {"sandboxes": lanes.sandboxes(db)}


def _lane(dev: DevServer, query: Json, _: str) -> Json:
    before = query.get("before")
    try:
        moment = None if not before else float(before)
    except ValueError:
        raise Refused(400, "before must be a time in milliseconds") from None
    limit = _limit(query, 20, lanes.INVOCATIONS_MAX)
    with _run(dev, query).reading() as db:
        return _found(lanes.lane(db, query.get("sandbox", ""), moment, limit), "sandbox")


def _invocations(dev: DevServer, query: Json, _: str) -> Json:
    with _run(dev, query).reading() as db:
        return invocations.rows(db, dev.searches, _run(dev, query).id, query, _page(query))


def _trace(dev: DevServer, query: Json, id: str) -> Json:
    with _run(dev, query).reading() as db:
        return _found(trace(db, id), "trace")


def _event(dev: DevServer, query: Json, id: str) -> Any:
    with _run(dev, query).reading() as db:
        return _found(event(db, id), "event")


def _ledger(dev: DevServer, query: Json, _: str) -> Json:
    if query.get("state") and query["state"] not in ledger.STATES:
        raise Refused(400, f"state must be one of {', '.join(ledger.STATES)}")
    trace_id = query.get("trace")
    with _run(dev, query).reading() as db:
        sums = ledger.of_trace(db, trace_id) if trace_id else ledger.of_run(db)
        return {"sum": sums, **ledger.rows(db, query, _page(query))}


def _compare(dev: DevServer, query: Json, _: str) -> Json:
    a, b = (_run(dev, {"run": query.get(name)}) for name in ("a", "b"))
    with a.reading() as one, b.reading() as other:
        return {"a": a.id, "b": b.id, **compare(one, other)}


def _fault(dev: DevServer, request: Connection) -> Json:
    dev.faults.mode = str(request.json().get("mode"))
    return {"mode": dev.faults.mode}


def _control(dev: DevServer, request: Connection, sandbox: str) -> Json:
    control = request.json().get("control")
    if control not in CONTROLS:
        raise Refused(400, f"control must be one of {', '.join(CONTROLS)}")
    with dev.runs.current.reading() as db:
        row = db.execute("SELECT controls, state FROM sandboxes WHERE id = ?", (sandbox,)).fetchone()
    _found(row, "sandbox")
    if row["state"] == "ended" or f'"{control}"' not in row["controls"]:
        raise Refused(409, f"this sandbox does not obey {control}")
    dev.controls.put(sandbox, str(control))
    return {"control": control}


def _stream(dev: DevServer, request: Connection) -> Answer | None:
    stream = dev.stream if _run(dev, request.query()) is dev.runs.current else dev.still
    last = request.names.get("last-event-id") or request.query().get("last_event_id")
    try:
        events = stream.watch(last, request.has_left)
    except OverflowError:
        raise Refused(503, "too many pages watch: close some") from None
    request.wfile.write(request.head(Answer(content_type="text/event-stream"), None))
    for one in events:
        request.wfile.write(one)
        request.wfile.flush()
    return None


def _export(dev: DevServer, request: Connection) -> Answer | None:
    run = _run(dev, request.query())
    name = {"content-disposition": f'attachment; filename="zespan-run-{run.id}.ndjson.gz"'}
    with tempfile.SpooledTemporaryFile(_SPOOLED) as file:  # a slow reader must not keep the run open
        with run.reading() as db:
            file.writelines(export(db))
        length = file.tell()
        file.seek(0)
        request.wfile.write(request.head(Answer(content_type="application/gzip", headers=name), length))
        shutil.copyfileobj(file, request.wfile)
    request.wfile.flush()
    return None


def _import(dev: DevServer, request: Connection) -> Json:
    if request.names.get("content-type", "").partition(";")[0].strip() not in _FILES:
        raise Refused(415, f"content-type must be {' or '.join(_FILES)}")
    return {"run": import_run(dev.runs, request.reader(_FILE_MAX)).id}


def _run(dev: DevServer, query: Json) -> Any:
    try:
        return dev.runs.get(query.get("run"))
    except KeyError:
        raise Refused(404, "there is no such run: GET /api/runs lists them") from None


def _found(value: Value | None, what: str) -> Value:
    if value is None:
        raise Refused(404, f"there is no such {what} in this run")
    return value


def _page(query: Json) -> Page:
    return Page(_number(query, "offset", 0), _limit(query, _ROWS, ROWS_MAX), _number(query, "until", 0))


def _limit(query: Json, usual: int, most: int) -> int:
    return min(max(1, _number(query, "limit", usual)), most)


def _number(query: Json, name: str, usual: int) -> int:
    given = query.get(name) or str(usual)
    if not given.isdecimal() or len(given) > _NUMBER_MAX:
        raise Refused(400, f"{name} must be a whole number")
    return int(given)


_GETS: dict[str, Callable[[DevServer, Json, str], Any]] = {
    "runs": _runs,
    "summary": _summary,
    "sandboxes": _sandboxes,
    "lane": _lane,
    "invocations": _invocations,
    "trace": _trace,
    "event": _event,
    "ledger": _ledger,
    "compare": _compare,
}
_POSTS: dict[tuple[str, str], Callable[[DevServer, Connection], Any]] = {("fault", ""): _fault, ("import", ""): _import}
