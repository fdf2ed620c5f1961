"""Google Cloud: `@zespan_gcf` and `@zespan_cloud_event` for functions, `@zespan_job` for Cloud Run jobs."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .._base import aio
from .._base.aio import is_async
from .._base.guard import FROM_HOSTS, Guarded
from .._observe import wrap
from .._observe.web import WebHost
from .._platforms import google
from .._platforms.platform import countdown
from .._record.invocation import Description, Invocation
from ._answers import Answer, GeneratorAnswer
from ._arguments import Arguments, read_arguments, read_push
from ._jobs import zespan_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from .._observe.active import ActiveInvocation
    from .._observe.host import Scope
    from ..settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_cloud_event", "zespan_gcf", "zespan_job"]


@overload
def zespan_gcf(function: F, /) -> F: ...
@overload
def zespan_gcf(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_gcf(function: Any = None, /, **settings: Any) -> Any:
    """Trace every request of an HTTP function, and deliver its events within it::

        @functions_framework.http
        @zespan_gcf
        def hello(request): ...

        @functions_framework.aio.http
        @zespan_gcf(flush_timeout=0.5)
        async def hello(request): ...

    Works above or below the framework's decorator. Takes every setting by keyword (see `Settings`); raises
    ConfigurationError for an unknown one. The function keeps its name, kind (`def`, `async def`, generator) and
    signature. It is called once, and its result or exception passes through unchanged. A streamed body passes through
    piece by piece, and the request's event ends with the last one.

    Cloud Run gives CPU to requests only, unless it is billed by instance, which a container cannot detect. So events
    are sent before the response ends, for at most `flush_timeout` seconds and never during the last `flush_reserve`
    seconds of CLOUD_RUN_TIMEOUT_SECONDS. With `flush_mode="after_response"` a thread sends them, and no caller waits.
    https://cloud.google.com/run/docs/configuring/billing-settings
    """
    return wrap.configured(function, settings, functools.partial(_decorate, name="zespan_gcf"))


@overload
def zespan_cloud_event(function: F, /) -> F: ...
@overload
def zespan_cloud_event(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_cloud_event(function: Any = None, /, **settings: Any) -> Any:
    """Trace every call of an event-driven function, and deliver its events before it returns::

        @functions_framework.cloud_event
        @zespan_cloud_event
        def on_upload(event): ...

        @functions_framework.typed
        @zespan_cloud_event
        def rate(order: Order): ...

    For CloudEvents (sync, and async by `functions_framework.aio`), for background functions `(data, context)` by
    FUNCTION_SIGNATURE_TYPE=event, and for typed functions. The trace of an event is continued: from its `traceparent`
    extension, or from the Pub/Sub message in it. Everything else works as in `zespan_gcf`.
    """
    return wrap.configured(function, settings, functools.partial(_decorate, name="zespan_cloud_event"))


def _decorate(function: Any, settings: Mapping[str, Any], *, name: str) -> Any:
    wrap.check_function(function, f"{name} decorates a function")
    if wrap.is_marked(function):
        return function
    # Raised in the thread of a request that exceeds CLOUD_RUN_TIMEOUT_SECONDS, whatever code it is running.
    timeout = getattr(sys.modules.get("functions_framework.exceptions"), "RequestTimeoutException", None)
    if timeout is not None and timeout not in FROM_HOSTS:
        FROM_HOSTS.append(timeout)
    host = FunctionHost(function, is_told_to_stop=not is_async(function))
    return wrap.mark(wrap.traced(function, host, settings))


class FunctionHost(WebHost[Arguments]):
    """The functions framework as a host.

    Gunicorn imports the function's module in its master and serves in a fork of it, several requests at once in
    threads; atexit runs there. Under its Uvicorn worker, which serves async functions, neither atexit runs nor is the
    lifespan protocol used (`is_told_to_stop`). https://github.com/GoogleCloudPlatform/functions-framework-python
    """

    reads_ahead = True

    def __init__(self, function: Callable[..., Any], *, is_told_to_stop: bool) -> None:
        super().__init__()
        self.is_told_to_stop = is_told_to_stop
        target = os.environ.get("FUNCTION_TARGET") or getattr(function, "__name__", "")
        self._name = self.platform.name or target or "function"
        self._answer = GeneratorAnswer if aio.kind(function) in ("generator", "async generator") else Answer

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        return read_arguments(args, kwargs)

    async def read_ahead(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        await read_push(args, kwargs)

    def read(self, request: Arguments) -> Invocation:
        parent, links = google.parents(request.header, request.producer())
        details: dict[str, object] = {}
        with Guarded("the description of an event"):  # now, because the function may change it
            details = {**request.describe(), **links}
        if request.is_request:
            path, scheme = request.url()
            invocation = self.invocation(request.request.method, path, scheme, request.header, lambda: None)
        else:
            remaining = countdown(self.platform.timeout)
            invocation = Invocation(None, self._name, remaining=remaining, is_killed=self.platform.kills)
            details = {"faas.trigger": "other", **details}
        return invocation.replaced(
            id=request.execution_id(),
            name=self._name,
            parent=parent,
            # Without an operation, because the function's name says more than the path, which is often just a slash.
            describe=lambda: Description({**invocation.describe().attributes, **details}),
        )

    def subject(self, request: Arguments) -> Any:
        return request.first

    def scope(self, active: ActiveInvocation, request: Arguments) -> Scope:
        return self._answer(active, request.method)
