"""The event of the invocation itself, the root of its trace."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._base.guard import Guarded
from .._record.event import ERROR_TEXT_MAX, Event, failed, new_event, suspends
from .._record.invocation import NO_DESCRIPTION

if TYPE_CHECKING:
    from .._record.invocation import ColdStart, Invocation, Result
    from .._trace import Span
    from ..settings import Settings


def identity(invocation: Invocation, start: ColdStart) -> dict[str, Any]:
    """Attributes that are known when the invocation begins."""
    return {
        "faas.name": invocation.name or None,
        "faas.invocation_id": invocation.id,
        "faas.coldstart": start.kind in ("cold", "reinit"),
        "start_kind": start.kind,
    }


def root_event(
    span: Span,
    settings: Settings,
    invocation: Invocation,
    start: ColdStart,
    result: Result,
    took_ms: float,
    left: tuple[float | None, float | None],
    error: BaseException | None,
) -> Event:
    """The event of an invocation that has ended. `left` is the seconds before its deadline, at its start and at its
    end."""
    described = NO_DESCRIPTION
    with Guarded("the description of an invocation"):
        described = invocation.describe()
    operation = settings.service_name or described.operation or invocation.name
    event = new_event(span, settings, took_ms, kind="general", operation=str(operation))
    metadata: dict[str, Any] = {
        **described.attributes,
        **result.attributes,
        "http.response.status_code": result.status,
        **identity(invocation, start),
        "init_duration_ms": start.init_ms,
        "handler_duration_ms": round(took_ms, 3),
        "memory_max_rss_bytes": _max_rss(),
    }
    if None not in left:
        metadata["time_left_at_start_ms"], metadata["time_left_at_end_ms"] = map(milliseconds, left)
    if error is not None and suspends(error):
        metadata["suspended"] = True
    elif error is not None:
        failed(event, error)
        metadata["error.type"] = type(error).__name__
    elif result.error_type is not None:
        event["status"], metadata["error.type"] = "error", result.error_type
        event["error_message"] = str(result.error_message or result.error_type)[:ERROR_TEXT_MAX]
    event["metadata"] = {name: value for name, value in metadata.items() if value is not None}
    return event


def milliseconds(seconds: float | None) -> int | None:
    """Seconds as whole milliseconds."""
    return None if seconds is None else round(seconds * 1000)


def _max_rss() -> int | None:
    """The most memory this process has held so far, bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
