"""The record of the invocation itself, the root of its trace."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._base.guard import contain
from .._record.invocation import NO_DESCRIPTION
from .._record.record import Record, suspends
from .._trace.context import SAMPLED

if TYPE_CHECKING:
    from .._record.invocation import ColdStart, Invocation, Result
    from .._record.record import Resource
    from .._trace import Span


def identity(invocation: Invocation, start: ColdStart) -> dict[str, Any]:
    """Return attributes that are known when the invocation begins."""
    flags = None if invocation.parent is None else invocation.parent.flags
    return {
        "trace.sampled_by_caller": False if flags is not None and not flags & SAMPLED else None,
        "faas.name": invocation.name or None,
        "faas.invocation_id": invocation.id,
        "faas.coldstart": start.kind in ("cold", "reinit"),
        "start_kind": start.kind,
    }


def root_record(
    span: Span,
    resource: Resource,
    invocation: Invocation,
    start: ColdStart,
    result: Result,
    took_ms: float,
    left: tuple[float | None, float | None],
    error: BaseException | None,
) -> Record:
    """Return the record of an invocation that has ended. `left`: seconds to its deadline, at start and end."""
    described = NO_DESCRIPTION
    try:
        described = invocation.describe()
    except Exception as failure:
        contain(failure, "the description of an invocation")
    name = str(described.operation or invocation.name)
    record = Record(span, resource, "invocation", name, took_ms)
    attributes: dict[str, Any] = {
        "http.response.status_code": result.status,
        **described.attributes,  # that of `task_scope` may contain the status
        **result.attributes,
        **identity(invocation, start),
        "init_duration_ms": start.init_ms,
        "handler_duration_ms": round(took_ms, 3),
        "memory_max_rss_bytes": _max_rss(),
    }
    if None not in left:
        attributes["time_left_at_start_ms"], attributes["time_left_at_end_ms"] = map(milliseconds, left)
    if error is not None and suspends(error):
        attributes["suspended"] = True
    elif error is not None:
        record.fail(error)
        attributes["error.type"] = type(error).__name__
    elif result.error_type is not None:
        attributes["error.type"] = result.error_type
        record.fail(str(result.error_message or result.error_type))
    record.attributes = {name: value for name, value in attributes.items() if value is not None}
    return record


def milliseconds(seconds: float | None) -> int | None:
    """Convert seconds to whole milliseconds."""
    return None if seconds is None else round(seconds * 1000)


def _max_rss() -> int | None:
    """Return the maximum memory that this process has used so far, in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
