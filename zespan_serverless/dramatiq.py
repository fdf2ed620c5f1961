"""Dramatiq: `zespan_dramatiq(broker)` traces every message, by a middleware."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any

from dramatiq import Middleware  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]
from dramatiq.middleware import TimeLimit  # pyright: ignore[reportMissingImports]

from . import _worker
from ._base.guard import Guarded
from ._outbound.headers import trace_headers
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeVar, Unpack

    from .settings import SettingsKwargs
    from .tasks import Task

    Broker = TypeVar("Broker")

__all__ = ["zespan_dramatiq"]


def zespan_dramatiq(broker: Broker, /, **settings: Unpack[SettingsKwargs]) -> Broker:
    """Trace every message of a broker, and keep its result::

        dramatiq.set_broker(zespan_dramatiq(RedisBroker()))

    Each attempt sends one root event with the actor's name, the queue and the number of retries. Messages that are sent
    inside a traced request, function or message belong to its trace. Events are sent in the background, and when the
    worker shuts down.

    Takes every setting by keyword (see `Settings`); raises ConfigurationError for one that does not exist. The journal
    is on unless `journal` or ZESPAN_JOURNAL says otherwise. `user_id` and `session_id` are called with the message.
    """
    known: Any = broker
    if not hasattr(known, "add_middleware"):
        raise ConfigurationError(f"zespan_dramatiq takes a broker: zespan_dramatiq(RedisBroker()). Got {broker!r}")
    # The first one is the last to hear of a message's end: what the others send then is still part of its trace.
    first = type(known.middleware[0]) if known.middleware else None
    known.add_middleware(_Tracer(_worker.checked(settings)), before=first)
    return broker


class _Tracer(Middleware):  # type: ignore[misc]
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._open: dict[int, Task] = {}  # by the id of the message, which lives until it has been processed

    def before_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
        """Add the trace context to a message. A retry keeps that of the first attempt."""
        with Guarded("the publication of a message"):
            for name, value in trace_headers().items() if "traceparent" not in message.options else ():
                message.options[name] = value

    def before_process_message(self, broker: Any, message: Any) -> None:
        with Guarded("the start of a message"):
            task = _worker.task_of(
                self._settings,
                message,
                lambda: (message.message_id, message.actor_name, message.options.get, _attributes(message)),
                seconds=_limit(broker, message),
                is_killed=False,  # the time limit is an exception in the actor, which the process survives
            )
            self._open[id(message)] = task
            task.__enter__()

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        with Guarded("the end of a message"):
            task = self._open.pop(id(message), None)
            if task is not None:
                task.__exit__(None if exception is None else type(exception), exception, None)

    def after_skip_message(self, broker: Any, message: Any) -> None:
        with Guarded("the end of a message"):
            task = self._open.pop(id(message), None)
            if task is not None:
                task["dramatiq.skipped"] = True
                task.__exit__(None, None, None)

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        """Flush: Dramatiq ends the processes that it starts without atexit functions."""
        _worker.finish(is_end=multiprocessing.parent_process() is not None)


def _limit(broker: Any, message: Any) -> float | None:
    """Return the seconds that a message may take: its own limit, that of its actor, or that of the middleware."""
    for each in broker.middleware:
        if isinstance(each, TimeLimit):
            of_actor = broker.actors[message.actor_name].options if message.actor_name in broker.actors else {}
            limit = message.options.get("time_limit") or of_actor.get("time_limit", each.time_limit)
            return limit / 1000 if isinstance(limit, (int, float)) else None
    return None


def _attributes(message: Any) -> Mapping[str, object]:
    """Return the queue's attributes of a message."""
    return {
        "messaging.system": "dramatiq",
        "messaging.destination.name": message.queue_name,
        "messaging.message.id": message.message_id,
        "dramatiq.retries": message.options.get("retries", 0),
        "dramatiq.sent_at_ms": message.message_timestamp,
    }
