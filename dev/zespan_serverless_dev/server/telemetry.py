"""The paths that functions and tools send to. They need no token, and return only a verdict."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .. import ingest
from ..ingest import BadBody, Span
from ..store.telemetry import Delivery
from . import controls
from .answer import Answer, Refused
from .faults import DRIP_INTERVAL, RETRY_AFTER

if TYPE_CHECKING:
    from . import DevServer
    from .connection import Connection

_LOOK = 0.05  # seconds between two checks whether a client has disconnected
_BAD = 400


def answer(dev: DevServer, request: Connection) -> Answer | None:
    """Return the answer to a request below /v1, or None if it has been sent already."""
    path = request.url.path
    if path == "/v1/commands":
        return _commands(dev, request)
    if request.command != "POST":
        raise Refused(405, "only POST")
    if path == "/v1/lifecycle":
        dev.runs.current.tell(_lifecycle(request))
        return Answer(204)
    if path not in ingest.PATHS:
        raise Refused(404, f"telemetry is taken at {', '.join(ingest.PATHS)}")
    return _take(dev, request, path)


def _take(dev: DevServer, request: Connection, path: str) -> Answer | None:
    body = request.body()
    at, mode, run = _now(), dev.faults.mode, dev.runs.current
    spans, error = _spans(request, path, body)
    delivery = Delivery(run.next_delivery(), at, path, len(body), fault=None if mode == "ok" else mode, spans=spans)
    if mode in ("hang", "refuse"):
        run.deliver(delivery)
        if mode == "hang":
            mode = _hang(dev, request)
        if mode in ("left", "refuse"):
            request.reset()
            return None
        status = _status(mode, error)
        run.answer(delivery.id, status)
    else:
        delivery.status, delivery.answered = status, _ = _status(mode, error), _now()
        # Before the client can know, so that a client that has the response finds the events here.
        run.deliver(delivery)
    made = _verdict(path, request, status, error)
    if mode == "drip":
        _drip(dev, request, made)
        return None
    return made


def _spans(request: Connection, path: str, body: bytes) -> tuple[list[Span], str | None]:
    """Return the spans of a body, or why it has none that can be read."""
    try:
        encoding = request.names.get("content-encoding", "").strip().lower()
        return ingest.spans_in(path, request.names.get("content-type", ""), body, encoding), None
    except BadBody as error:
        return [], str(error)
    except Exception as error:  # a hostile body may cause an unexpected exception
        return [], f"the body cannot be read: {type(error).__name__}"


def _status(mode: str, error: str | None) -> int:
    if mode in ("429", "500"):
        return int(mode)
    return 200 if error is None else _BAD


def _verdict(path: str, request: Connection, status: int, error: str | None) -> Answer:
    """Return the response in the protocol's format: for OTLP, the encoding of the request."""
    headers = {"retry-after": RETRY_AFTER} if status == 429 else {}
    if status == _BAD:
        return Answer.of({"error": error}, status)
    is_protobuf = path == "/v1/traces" and "json" not in request.names.get("content-type", "")
    if is_protobuf and status == 200:
        return Answer(status, b"", "application/x-protobuf", headers)
    return Answer(status, b"{}", "application/json", headers)


def _hang(dev: DevServer, request: Connection) -> str:
    """Wait while the backend hangs; gives the mode that is in force then, or "left" if the client has gone."""
    while dev.faults.mode == "hang":
        if request.has_left() or dev.is_closed:
            return "left"
        dev.faults.wait("hang", _LOOK)
    return dev.faults.mode


def _drip(dev: DevServer, request: Connection, made: Answer) -> None:
    """Send an answer a byte at a time while the mode lasts, then the rest at once."""
    data = request.head(made, len(made.body)) + made.body
    while data and dev.faults.mode == "drip" and not dev.is_closed:
        request.wfile.write(data[:1])
        request.wfile.flush()
        dev.faults.wait("drip", DRIP_INTERVAL)
        data = data[1:]
    request.wfile.write(data)
    request.wfile.flush()


def _lifecycle(request: Connection) -> list[dict[str, object]]:
    try:
        return ingest.lifecycle.read(ingest.unpacked(request.body()))
    except BadBody as error:
        raise Refused(400, str(error)) from None


def _commands(dev: DevServer, request: Connection) -> Answer:
    query = request.query()
    if not query.get("sandbox"):
        raise Refused(400, "name the sandbox: /v1/commands?sandbox=ID")
    try:
        wait = min(max(0.0, float(query.get("wait", controls.WAIT))), controls.WAIT)
    except ValueError:
        raise Refused(400, "wait must be a number of seconds") from None
    found = dev.controls.take(query["sandbox"], request.has_left, wait)
    return Answer.of({"commands": [{"control": control} for control in found]})


def _now() -> float:
    return round(time.time() * 1000, 3)
