"""Vercel Queues: `@zespan_vercel_queue`, for subscribers of the package `vercel-queue`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._calls import JobHost, decorated
from ._observe import wrap
from ._platforms import vercel
from ._platforms.platform import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from ._record.invocation import Invocation
    from ._trace.context import Carrier
    from .settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_vercel_queue"]


@overload
def zespan_vercel_queue(function: F, /) -> F: ...
@overload
def zespan_vercel_queue(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_vercel_queue(function: Any = None, /, **settings: Any) -> Any:
    """Trace every delivery of a message to a subscriber, and deliver its events before the message is acknowledged::

        @subscribe(topic="orders")
        @zespan_vercel_queue
        async def fulfill(order): ...

    For `def` and `async def`, with the payload or the `Message` as argument. Takes every setting by keyword (see
    `Settings`); raises ConfigurationError for an unknown one. The subscriber's result and its exceptions, such as
    `RetryAfter`, pass through unchanged.

    A sender continues its trace in the payload: `send("orders", {..., **trace_headers()})`. The acknowledgement waits
    for the events for at most `flush_timeout` seconds, because the function may be suspended afterwards.
    """
    return wrap.configured(function, settings, _decorate)


def _decorate(function: Any, settings: Mapping[str, Any]) -> Any:
    return decorated(function, settings, "zespan_vercel_queue", QueueHost)


class QueueHost(JobHost):
    """A subscriber's answers to the core's questions. Its request is the payload, or a `Message`."""

    def details(self, request: Any) -> tuple[str | None, Carrier | None, Mapping[str, object]]:
        message = getattr(request, "metadata", None)
        payload = getattr(request, "payload", request) if message is not None else request
        headers: Mapping[str, str] = {}
        if message is None and "vercel.headers" in sys.modules:  # Vercel's runtime sets those of the delivery
            headers = {name.lower(): text for name, text in (sys.modules["vercel.headers"].get_headers() or {}).items()}
        id = getattr(message, "message_id", None) or headers.get("ce-vqsmessageid")
        attributes = {
            "faas.trigger": "pubsub",
            "messaging.system": "vercel_queue",
            "messaging.destination.name": getattr(message, "topic", None) or headers.get("ce-vqsqueuename"),
            "messaging.message.id": id,
            "vercel.queue.delivery_count": getattr(message, "delivery_count", headers.get("ce-vqsdeliverycount")),
        }
        return id, payload.get if isinstance(payload, dict) else None, attributes

    def read(self, request: Any) -> Invocation:
        return super().read(request).replaced(remaining=until(vercel.deadline()))

    def resource(self) -> Mapping[str, object]:
        return vercel.platform().attributes
