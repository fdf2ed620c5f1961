"""OpenWhisk, and DigitalOcean Functions, which are made of it: `@zespan_openwhisk`."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._base import aio
from ._calls import FunctionHost, decorated, headers, http_attributes, text
from ._observe import wrap
from ._platforms import openwhisk
from ._platforms.platform import positive, until
from ._record.invocation import Description, Invocation, Result
from ._trace.context import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from .settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_openwhisk"]

_LEFT_OUT = object()
_ERROR_MAX = 1024  # characters of an error's text


@overload
def zespan_openwhisk(function: F, /) -> F: ...
@overload
def zespan_openwhisk(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_openwhisk(function: Any = None, /, **settings: Any) -> Any:
    """Trace every activation of a function on DigitalOcean or another OpenWhisk, and deliver its events before its
    return::

        @zespan_openwhisk
        def main(event, context): ...       # or main(event), or main()

    For `def`. Takes every setting by keyword (see `Settings`); raises ConfigurationError for an unknown one. Results
    and exceptions pass through unchanged. The runtime counts a function's parameters to decide what to pass, and the
    decorated function has as many.

    For a web function the caller's `traceparent` is continued, and the status is that of the result. The result waits
    for the events for at most `flush_timeout` seconds, and never during the last `flush_reserve` seconds before the
    activation's deadline, because a container is paused when it is idle. With `flush_mode="after_response"` a thread
    sends them.
    """
    return wrap.configured(function, settings, _decorate)


def _decorate(function: Any, settings: Mapping[str, Any]) -> Any:
    traced = decorated(function, settings, "zespan_openwhisk", OpenWhiskHost)
    code = getattr(function, "__code__", None)
    if traced is function or code is None or not code.co_argcount or aio.kind(function):  # the runtime awaits nothing
        return traced
    main = functools.update_wrapper(_of_one(traced) if code.co_argcount == 1 else _of_two(traced), function)
    return wrap.mark(main)


def _of_one(traced: Callable[..., Any]) -> Callable[..., Any]:
    def main(event: Any = _LEFT_OUT, /, *args: Any, **kwargs: Any) -> Any:
        return traced(*(() if event is _LEFT_OUT else (event,)), *args, **kwargs)

    return main


def _of_two(traced: Callable[..., Any]) -> Callable[..., Any]:
    def main(event: Any = _LEFT_OUT, context: Any = _LEFT_OUT, /, *args: Any, **kwargs: Any) -> Any:
        return traced(*(value for value in (event, context) if value is not _LEFT_OUT), *args, **kwargs)

    return main


class OpenWhiskHost(FunctionHost[Any]):
    """OpenWhisk as a host, which reads the event and the variables of an activation. A container has one at a time."""

    def read(self, request: Any) -> Invocation:
        event = request if isinstance(request, dict) else {}
        http = event.get("http")  # DigitalOcean's; the other names are those of web actions
        web = (
            http if isinstance(http, dict) else {key: event.get(f"__ow_{key}") for key in ("method", "path", "headers")}
        )
        attributes: dict[str, object] = {"faas.trigger": "other"}
        if web.get("method"):
            attributes = http_attributes(web["method"], web.get("path") or "/")
        deadline = positive(os.environ.get("__OW_DEADLINE"))
        return Invocation(
            text(os.environ.get("__OW_ACTIVATION_ID")),
            openwhisk.name(),
            caller_of(headers(web.get("headers"))),
            until(None if deadline is None else deadline / 1000),
            lambda: Description(attributes),
        )

    def resource(self) -> Mapping[str, object]:
        return openwhisk.platform().attributes

    def result(self, result: Any) -> Result:
        """Read the error that a result has instead of raising it; one with a status is a response."""
        error = result.get("error") if isinstance(result, dict) else None
        response = super().result(error)
        if response.status is not None:
            return response
        if error and "statusCode" not in result:
            return Result(error_type="error", error_message=str(error)[:_ERROR_MAX])
        return super().result(result)
