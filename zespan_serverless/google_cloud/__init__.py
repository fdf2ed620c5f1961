"""Google Cloud: `@zespan_gcf` and `@zespan_cloud_event` for functions, `@zespan_job` for Cloud Run jobs."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import _observe
from .. import settings as _settings
from .._base.aio import is_async
from .._base.guard import Guarded
from .._observe.web import WebHost
from .._platforms import google
from .._record.invocation import Invocation
from ..errors import ConfigurationError
from ._answers import Answer
from ._jobs import zespan_job
from ._requests import execution_id, given, method, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from ..settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_cloud_event", "zespan_gcf", "zespan_job"]


@overload
def zespan_gcf(function: F, /) -> F: ...
@overload
def zespan_gcf(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_gcf(function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Trace every request of an HTTP function, and deliver its events within it.

        @functions_framework.http                    @functions_framework.aio.http
        @zespan_gcf                                  @zespan_gcf(flush_timeout=0.5)
        def hello(request): ...                      async def hello(request): ...

    Above the framework's decorator or below it; bare or with settings: every field of `Settings`. What is decorated
    stays a function of the same name and signature, and stays async. It is called once, and its result or exception is
    its own; of a streamed body every piece passes through as it comes, and the request's event ends with the last.

    Cloud Run gives CPU to requests only, unless it is billed by instance, which nothing in the container tells: events
    are sent before the response ends, `flush_timeout` seconds at most and never into the last `flush_reserve` seconds
    of CLOUD_RUN_TIMEOUT_SECONDS. With `flush_mode="after_response"` a thread sends them, and nobody waits.
    https://cloud.google.com/run/docs/configuring/billing-settings

    Raises ConfigurationError while decorating for an unknown setting or a value of the wrong type.
    """
    return _decorate(function, settings, "zespan_gcf")


@overload
def zespan_cloud_event(function: F, /) -> F: ...
@overload
def zespan_cloud_event(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_cloud_event(function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Trace every call of a function that events trigger, and deliver its events before it returns.

        @functions_framework.cloud_event             @functions_framework.typed
        @zespan_cloud_event                          @zespan_cloud_event
        def on_upload(event): ...                    def rate(order: Order): ...

    For CloudEvents (sync, and async by `functions_framework.aio`), for background functions `(data, context)` by
    FUNCTION_SIGNATURE_TYPE=event, and for typed functions. The trace that an event comes from is continued: of its
    `traceparent` extension, or of the Pub/Sub message it brings. Everything else is as with `zespan_gcf`.
    """
    return _decorate(function, settings, "zespan_cloud_event")


def _decorate(function: Callable[..., Any] | None, settings: Mapping[str, Any], name: str) -> Any:
    arguments = _settings.check(settings)
    if function is None:
        return functools.partial(_decorate, settings=settings, name=name)
    if not callable(function):
        raise ConfigurationError(f"{name} decorates a function; settings go by keyword. Got {function!r}")
    mark: object = getattr(function, "__zespan_observed__", None)
    if mark is function:  # ours, and does not just have our mark from functools.wraps
        return function
    wrapper: Any
    if is_async(function):
        waiting = FunctionHost(function, is_told_to_stop=False)

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await _observed_async(function, waiting, arguments, args, kwargs)

        wrapper = awaited
    else:
        host = FunctionHost(function, is_told_to_stop=True)

        def called(*args: Any, **kwargs: Any) -> Any:
            return _observed(function, host, arguments, args, kwargs)

        wrapper = called
    functools.update_wrapper(wrapper, function)
    wrapper.__zespan_observed__ = wrapper
    return wrapper


class FunctionHost(WebHost):
    """The functions framework's answers to the core's questions (see `_observe.call.Host`).

    Gunicorn imports the function's module in its master and serves in a fork of it, several requests at once in
    threads; atexit runs there. Under its Uvicorn worker, which serves async functions, it does not, and nobody speaks
    the lifespan protocol (`is_told_to_stop`). https://github.com/GoogleCloudPlatform/functions-framework-python
    """

    def __init__(self, function: Callable[..., Any], *, is_told_to_stop: bool) -> None:
        super().__init__()
        self.is_told_to_stop = is_told_to_stop
        target = os.environ.get("FUNCTION_TARGET") or getattr(function, "__name__", "")
        self._name = self.platform.name or target or "function"

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Invocation:
        found = given(args, kwargs)
        parent, links = google.parents(found.header, found.producer())
        said: dict[str, object] = {}
        with Guarded("the description of an event"):  # now, because the function may change it
            said = {**found.describe(), **links}
        if not found.is_request:
            told = {"faas.trigger": "other", **self.platform.attributes, **said}
            clock = self._clock(None)
            return Invocation(execution_id(found), self._name, parent, clock, lambda: told, is_killed=self.is_killed)
        path, scheme = found.url()
        request = self.request(found.request.method, path, scheme, found.header, lambda: None)

        def describe() -> Mapping[str, object]:
            about = {**request.describe(), **said}
            about.pop("operation", None)  # the function's name says more than the path, which often is just a slash
            return about

        return request.replaced(id=execution_id(found), name=self._name, parent=parent, describe=describe)


def _observed(
    function: Callable[..., Any],
    host: FunctionHost,
    arguments: Mapping[str, Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    call = _observe.prepare(host, arguments, args, kwargs)
    if call is None:
        return function(*args, **kwargs)
    answer = Answer(call, method(args, kwargs))
    try:
        try:
            call.begin()
            result = function(*args, **kwargs)
        except BaseException as error:
            call.reset()
            answer.end(answer.aborted(error))
            raise
        call.reset()
        result = answer.followed(result)
        if not answer.is_streamed:
            answer.end(None)
        return result
    finally:
        answer.returned()


async def _observed_async(
    function: Callable[..., Any],
    host: FunctionHost,
    arguments: Mapping[str, Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    with Guarded("the start of an invocation"):
        if _observe.start(arguments) is not None:
            await prepare(args, kwargs)
    call = _observe.prepare(host, arguments, args, kwargs)
    if call is None:
        return await function(*args, **kwargs)
    answer = Answer(call, method(args, kwargs))
    try:
        try:
            call.begin()
            result = await function(*args, **kwargs)
        except Exception as error:
            call.reset()
            await answer.finish(answer.aborted(error))
            raise
        except BaseException as error:  # cancelled: there is no waiting any more
            call.reset()
            answer.break_off(error)
            raise
        call.reset()
        result = answer.followed(result)
        if not answer.is_streamed:
            await answer.finish(None)
        return result
    finally:
        answer.returned()
