"""Alibaba Cloud's Function Compute: `@zespan_alibaba`, for event handlers of its Python runtimes.

Web applications in its custom runtime have the ASGI or WSGI middleware.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._base.guard import pass_on
from ._calls import FunctionHost, decorated, headers, http_attributes, text
from ._observe import wrap
from ._platforms.detect import detect
from ._platforms.platform import countdown, positive
from ._record.invocation import Description, Invocation
from ._trace.context import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from .settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_alibaba"]

_PARSED_MAX = 262_144  # bytes of the largest event in which a request is looked for


@overload
def zespan_alibaba(function: F, /) -> F: ...
@overload
def zespan_alibaba(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_alibaba(function: Any = None, /, **settings: Any) -> Any:
    """Trace every call of a function on Alibaba Cloud's Function Compute, and deliver its events before its return::

        @zespan_alibaba
        def handler(event, context): ...

    For `def`. Takes every setting by keyword (see `Settings`); raises ConfigurationError for an unknown one. Results
    and exceptions pass through unchanged.

    For an HTTP trigger the caller's `traceparent` is continued, and the status is that of the result. The return waits
    for the events for at most `flush_timeout` seconds, and never during the last `flush_reserve` seconds of the
    function's timeout, because an instance is frozen between requests. With `flush_mode="after_response"` a thread
    sends them.
    """
    return wrap.configured(function, settings, _decorate)


def _decorate(function: Any, settings: Mapping[str, Any]) -> Any:
    return decorated(function, settings, "zespan_alibaba", AlibabaHost)


class AlibabaCall:
    """The event and the context of a call, and the request in the event of an HTTP trigger."""

    __slots__ = ("context", "event", "request")

    def __init__(self, event: Any, context: Any) -> None:
        self.event: Any = event
        self.context: Any = context
        self.request: dict[str, Any] = _request(event)


class AlibabaHost(FunctionHost[AlibabaCall]):
    """Function Compute as a host. Its Python runtimes give an instance one request at a time.

    https://www.alibabacloud.com/help/en/functioncompute/fc-3-0/user-guide/context-1
    """

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> AlibabaCall:
        event, context, *_ = [*args, *kwargs.values(), None, None]
        return AlibabaCall(event, context)

    def subject(self, request: AlibabaCall) -> Any:
        return request.event

    def read(self, request: AlibabaCall) -> Invocation:
        function = getattr(request.context, "function", None)
        about = request.request.get("requestContext")
        attributes: dict[str, object] = {"faas.trigger": "other"}
        if isinstance(about, dict):
            http = about.get("http")
            method = http.get("method") if isinstance(http, dict) else None
            attributes = http_attributes(method, request.request.get("rawPath"), about.get("domainName"))
        return Invocation(
            text(getattr(request.context, "request_id", None)),
            text(getattr(function, "name", None)) or "",
            caller_of(headers(request.request.get("headers"))),
            countdown(positive(getattr(function, "timeout", None))),
            lambda: Description(attributes),
        )

    def resource(self) -> Mapping[str, object]:
        return detect().attributes


def _request(event: object) -> dict[str, Any]:
    """Return the request in the event of an HTTP trigger, which is JSON; empty for any other event.

    https://www.alibabacloud.com/help/en/functioncompute/fc/http-trigger-invoking-function
    """
    if not isinstance(event, bytes) or len(event) > _PARSED_MAX or b'"requestContext"' not in event:
        return {}
    try:
        found = json.loads(event)
    except (ValueError, RecursionError) as error:
        pass_on(error)
        return {}
    return found if isinstance(found, dict) else {}
