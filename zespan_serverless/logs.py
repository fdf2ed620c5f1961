"""`add_trace_ids()` adds the trace id and span id to log records, which links log lines with traces."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from . import _trace
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["add_trace_ids"]


def add_trace_ids(logger: Any = None) -> None:
    """Add the attributes `trace_id` and `span_id` of the current span to log records.

    Lambda's JSON format and Powertools print the ids as they print every attribute; in a format of your own, write
    `%(trace_id)s`. Outside a trace both are None, which JSON formats leave out. Ids that a record has from `extra=` are
    kept.

    Call this after logging has been set up: it affects all records that reach the handlers of this moment, also from
    libraries and child loggers. Further calls have no effect.

    Args:
        logger: A logger, a logging.Handler, or a Logger of Powertools. Default: the root logger, whose handler on
            Lambda receives all records.

    Raises:
        ConfigurationError: `logger` is something else.
    """
    holders = list(_holders(logging.getLogger() if logger is None else logger))
    if not holders:
        raise ConfigurationError(f"add_trace_ids takes a logger or a handler, not {logger!r}")
    add = _add_ids_if_any if hasattr(logger, "registered_handler") else _add_ids
    for holder in holders:
        holder.addFilter(add)


def _holders(target: Any) -> Iterator[Any]:
    """Return the objects to filter: handlers as well, because a logger's filter misses its children's records."""
    if isinstance(target, logging.Handler):
        yield target
        return
    if hasattr(target, "registered_handler"):  # Powertools' Logger wraps the logger of that name
        target = logging.getLogger(target.name)
    if not isinstance(target, logging.Logger):
        return
    yield target
    ancestor: logging.Logger | None = target
    while ancestor is not None:
        yield from ancestor.handlers
        ancestor = ancestor.parent if ancestor.propagate else None


def _add_ids(record: logging.LogRecord) -> bool:
    # Not a record factory, because then `extra={"trace_id": ...}` would raise in the user's logging calls.
    span, attributes = _trace.current(), record.__dict__
    attributes.setdefault("trace_id", span.trace_id if span is not None else None)
    attributes.setdefault("span_id", (span.span_id or None) if span is not None else None)
    return True


def _add_ids_if_any(record: logging.LogRecord) -> bool:
    # In Powertools an attribute of the record, even None, replaces a key that the user has appended.
    return _trace.current() is None or _add_ids(record)
