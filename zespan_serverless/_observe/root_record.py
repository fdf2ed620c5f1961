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
    known: dict[str, Any] = {}
    flags = None if invocation.parent is None else invocation.parent.flags
    if flags is not None and not flags & SAMPLED:
        known["trace.sampled_by_caller"] = False
    if invocation.name:
        known["faas.name"] = invocation.name
    if invocation.id is not None:
        known["faas.invocation_id"] = invocation.id
    known["faas.coldstart"] = start.kind in ("cold", "reinit")
    known["start_kind"] = start.kind
    return known


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
    # The description of `task_scope` may contain the status.
    read = {"http.response.status_code": result.status, **described.attributes, **result.attributes}
    attributes = {name: value for name, value in read.items() if value is not None}
    attributes |= identity(invocation, start)
    if start.init_ms is not None:
        attributes["init_duration_ms"] = start.init_ms
    attributes["handler_duration_ms"] = round(took_ms, 3)
    if (max_rss := _max_rss()) is not None:
        attributes["memory_max_rss_bytes"] = max_rss
    at_start, at_end = left
    if at_start is not None and at_end is not None:
        attributes["time_left_at_start_ms"] = round(at_start * 1000)
        attributes["time_left_at_end_ms"] = round(at_end * 1000)
    if error is not None and suspends(error):
        attributes["suspended"] = True
    elif error is not None:
        record.fail(error)
        attributes["error.type"] = type(error).__name__
    elif result.error_type is not None:
        attributes["error.type"] = result.error_type
        record.fail(str(result.error_message or result.error_type))
    record.attributes = attributes
    return record


def _max_rss() -> int | None:
    """Return the maximum memory that this process has used so far, in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
