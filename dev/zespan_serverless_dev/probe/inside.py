"""The part of the probe that runs in the program: it writes one line for each fact to a file.

The file is opened for each line, with O_APPEND: so a line is there even if the next instruction is SIGKILL, forked
children and threads write whole lines, and no descriptor stays open that the program could close. A line costs about 15
microseconds, and there are about ten in an invocation.

Modules are patched when the program imports them; none is imported for that. The names in `PATCHES` belong to one
version of zespan-serverless, the one that this distribution requires. Where a name is not there, a fact `broken` says
so, and the program runs on. Nothing here raises, and nothing is imported before zespan-serverless is.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

# Windows has no O_CLOEXEC, and changes line ends without O_BINARY.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

KNOWN_MAX = 10_000
"""Events that are remembered between their encoding and their capture."""

_path = ""
_known: dict[str, dict[str, Any]] = {}  # by span id: what a record says, until its event is in the buffer


def install(path: str) -> None:
    """Write facts to this file from now on."""
    global _path
    _path = path
    sys.meta_path.insert(0, _Finder())


def write(fact: str, /, **fields: Any) -> None:
    """Write a fact: one JSON object on a line."""
    import json

    try:
        line = json.dumps({"type": fact, "at": _ms(time.time()), "pid": os.getpid(), **fields})
        file = os.open(_path, _FLAGS, 0o600)
        try:
            os.write(file, line.encode() + b"\n")
        finally:
            os.close(file)
    except Exception as error:  # the disk is full, or there are no descriptors left: a fact is missing
        _pass_on(error)


# What is patched: a module, and a function that gets it


def _intake(module: Any) -> None:
    """Spans that begin, and what records say of their events."""
    _wrap(module.Intake, "item", lambda _, __, ___, record: _remember(record))
    _wrap(
        module.Intake,
        "record_open",
        lambda _, __, ___, begun, *____: write("begun", **_span(begun), start=_ms(begun.ended)),
    )


def _buffer(module: Any) -> None:
    """Events that are in the buffer, and in the journal if there is one."""

    def enqueued(item: Any, _: None, buffer: Any, *__: Any) -> None:
        known = _known.pop(item.span, None) or {"event_id": _identity(item)}
        write("captured", **known, destination=_name_of(buffer))

    _wrap(module.Buffer, "enqueue", enqueued, before=lambda _, intake: intake[0])


def _accounts(module: Any) -> None:
    """Events that are dropped."""

    def dropped(_: None, __: Any, accounts: Any, items: Sequence[Any], reason: str, detail: str = "") -> None:
        write("dropped", items=[*map(_identity, items)], reason=reason, detail=detail, destination=accounts.name)

    def cleared(_: None, __: None, accounts: Any, *___: Any) -> None:
        accounts.buffer.zespan_probe = accounts.waiters.zespan_probe = accounts.name

    _wrap(module.Accounts, "report_drop", dropped)
    _wrap(module.Accounts, "clear", cleared)


def _name_of(part: Any) -> str:
    """Return the name of the destination that a buffer or the waiters are for; empty if it is the only one."""
    return getattr(part, "zespan_probe", "")


def _waiters(module: Any) -> None:
    """Events that are delivered or parked, and flushes that have ended."""

    def flushed(_: None, report: Any, *__: Any) -> None:
        counts = {name: getattr(report, name) for name in ("delivered", "dropped", "pending", "parked")}
        if any(counts.values()):
            fields = {"duration_ms": _ms(report.elapsed), "reason": report.reason, "destination": report.destination}
            write("flush", **fields, **counts)

    def credited(_: None, __: Any, waiters: Any, items: Sequence[Any], outcome: str) -> None:
        if outcome != "dropped":  # which `_accounts` writes, with the reason
            write(outcome, items=[*map(_identity, items)], destination=_name_of(waiters))

    _wrap(module.Waiters, "credit", credited)
    _wrap(module.FlushWaiter, "report", flushed)


def _container(module: Any) -> None:
    """Patch the start of telemetry, to write its settings."""

    def began(_: None, __: None, container: Any, *___: Any) -> None:
        settings = container.settings
        seconds = {"flush_timeout_ms": settings.flush_timeout, "reserve_ms": settings.flush_reserve}
        write(
            "settings", journal=container.delivery.has_journal, **{name: _ms(value) for name, value in seconds.items()}
        )

    _wrap(module.Container, "__init__", began)


def _stream(module: Any) -> None:
    """Patch streams, to write the first token of an answer."""

    def saw(had_one: bool, _: Any, reader: Any, *__: Any) -> None:
        if not had_one and reader.first_content_ms is not None:
            write("first_token", span_id=reader.call.span.span_id, trace_id=reader.call.span.trace_id)

    _wrap(module.StreamReader, "see", saw, before=lambda reader, *_: reader.first_content_ms is not None)


def _runtime(module: Any) -> None:
    """Lambda's runtime client: it asks for an event, gets one, and posts the answer."""
    client = module.LambdaRuntimeClient

    def got(_: None, invocation: Any, *__: Any) -> None:
        write("request", request_id=invocation.invoke_id, deadline=float(invocation.deadline_time_in_ms))

    _wrap(client, "wait_next_invocation", got, before=lambda _: write("asked"))

    def posted(status: str) -> Callable[..., None]:
        return lambda _, __, ___, request_id, *____: write("response", request_id=request_id, status=status)

    _wrap(client, "post_invocation_result", posted("ok"))
    _wrap(client, "post_invocation_error", posted("error"))


def _version(module: Any) -> None:
    """Write that the program uses the package."""
    write("loaded", version=module.__version__)


PATCHES: dict[str, Callable[[Any], None]] = {
    "awslambdaric.lambda_runtime_client": _runtime,
    "zespan_serverless._version": _version,
    "zespan_serverless._delivery.intake": _intake,
    "zespan_serverless._delivery.buffer": _buffer,
    "zespan_serverless._delivery.accounts": _accounts,
    "zespan_serverless._delivery.waiters": _waiters,
    "zespan_serverless._process.container": _container,
    "zespan_serverless.providers._stream": _stream,
}
"""What is called with each of these modules when it has been imported."""


def _remember(record: Any) -> None:
    if not record.span_id:
        return
    model = record.model
    if len(_known) >= KNOWN_MAX:
        _known.pop(next(iter(_known)), None)
    _known[record.span_id] = {
        **_span(record),
        "start": _ms(record.ended - record.duration_ms / 1000),
        "end": _ms(record.ended),
        "status": record.status,
        "request_id": record.attributes.get("faas.invocation_id") if isinstance(record.attributes, dict) else None,
        "model": model.name if model is not None else None,
    }


def _span(record: Any) -> dict[str, Any]:
    fields = record.fields or {}
    return {
        "event_id": fields.get("event_id", record.event_id),
        "trace_id": fields.get("trace_id", record.trace_id),
        "span_id": record.span_id,
        "parent_span_id": record.parent_span_id,
        "name": fields.get("operation", record.name),
        "kind": record.kind,
    }


def _identity(item: Any) -> str | None:
    """Return the id in the bytes of an event; the span's id if it could not be encoded; None if it has neither."""
    return identity(item.data) or item.span or None


def identity(data: bytes) -> str | None:
    """Return the event id in the bytes of an event, whatever the format; in JSON the span's id if it has no other."""
    import re

    if data[:1] == b"\x12":  # OTLP's protobuf, where a text may look like JSON
        found = re.search(rb"\x0fzespan\.event_id\x12.\n(.)", data, re.DOTALL)
        return data[found.end() : found.end() + found[1][0]].decode(errors="replace") if found else None
    found = re.search(rb'"zespan\.event_id", ?"value": ?\{"stringValue": ?"([^"]+)"', data) or re.search(
        rb'"(?:event_id|id|spanId)": ?"([^"]+)"', data
    )
    return found[1].decode(errors="replace") if found else None


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _wrap(owner: Any, name: str, after: Callable[..., Any], before: Callable[..., Any] = lambda *_: None) -> None:
    """Make a method call `before` first, and at its end `after`, with the result of `before` and its own."""
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        noted = _guarded(before, *args)
        result = original(*args, **kwargs)
        _guarded(after, noted, result, *args, **kwargs)
        return result

    setattr(owner, name, wrapped)


def _guarded(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of the probe; a failure becomes a fact, and does not affect the program."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        _pass_on(error)
        write("broken", what=repr(error))
        return None


def _pass_on(error: Exception) -> None:
    """Raise what the program's signal handler has raised in here."""
    guard: Any = sys.modules.get("zespan_serverless._base.guard")
    if guard is not None:
        guard.pass_on(error)


class _Finder:
    """Finds the modules of `PATCHES` as the other finders do, and has them patched when they have been run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in PATCHES:
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader:
    """Loads a module as its own loader does, and patches it."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__loader__ = module.__spec__.loader = self._loader  # the program sees the same as without the probe
        self._loader.exec_module(module)
        try:
            PATCHES[module.__name__](module)
        except Exception as error:
            write("broken", what=f"{module.__name__}: {error!r}")
