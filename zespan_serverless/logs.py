"""`add_trace_ids()`: trace and span id in every log line, so that a line leads to its trace and back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from . import _trace
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["add_trace_ids"]


def add_trace_ids(logger: Any = None) -> None:
    """Give log records the attributes `trace_id` and `span_id` of where they were logged.

    `logger` is a logger, a logging.Handler, or a Logger of Powertools; default: the root logger, which in Lambda has
    the handler that everything logged ends in. Lambda's JSON format and Powertools print the ids as they print every
    attribute; in a format of your own, `%(trace_id)s`. Outside a trace both are None, which JSON formats leave out.

    It reaches all that comes to the handlers that are there now, from libraries and child loggers too: call it when
    logging has been set up. To call it again does nothing. What a record was given with `extra=` stays.
    """
    holders = list(_holders(logging.getLogger() if logger is None else logger))
    if not holders:
        raise ConfigurationError(f"add_trace_ids takes a logger or a handler, not {logger!r}")
    add = _add_ids_if_any if hasattr(logger, "registered_handler") else _add_ids
    for holder in holders:
        holder.addFilter(add)


def _holders(target: Any) -> Iterator[Any]:
    """What a filter is to be on: a filter of a logger does not see what its children log, one of a handler does."""
    if isinstance(target, logging.Handler):
        yield target
        return
    if hasattr(target, "registered_handler"):  # Powertools' Logger is none of logging's, and has one by its name
        target = logging.getLogger(target.name)
    if not isinstance(target, logging.Logger):
        return
    yield target
    place: logging.Logger | None = target
    while place is not None:
        yield from place.handlers
        place = place.parent if place.propagate else None


def _add_ids(record: logging.LogRecord) -> bool:
    # No record factory, which is for everybody: `extra={"trace_id": ...}` would raise in whoever logs.
    here, known = _trace.current(), record.__dict__
    known.setdefault("trace_id", here.trace_id if here is not None else None)
    known.setdefault("span_id", (here.span_id or None) if here is not None else None)
    return True


def _add_ids_if_any(record: logging.LogRecord) -> bool:
    # Powertools lets a record's attribute, None too, take the place of a key that the user has appended.
    return _trace.current() is None or _add_ids(record)
