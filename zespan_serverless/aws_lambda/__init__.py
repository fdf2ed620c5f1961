"""AWS Lambda: `@zespan_lambda`."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import _process
from .. import settings as _settings
from .._base import RESETS
from .._base.aio import kind
from .._base.guard import Guarded, pass_on
from .._base.log import warn_once
from .._observe import wrap
from .._observe.host import Host
from .._record.invocation import Description, Invocation
from .._trace.context import caller_of
from . import _cold_start, _events, _extension, _reading, _results

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import ParamSpec, Protocol, TypeGuard, Unpack

    from .._record.invocation import ColdStart, Result
    from .._trace.context import Caller
    from ..settings import SettingsKwargs

    P = ParamSpec("P")
    R = TypeVar("R")

    class _Decorator(Protocol):
        @overload
        def __call__(self, handler: Callable[P, Coroutine[Any, Any, R]], /) -> Callable[P, R]: ...
        @overload
        def __call__(self, handler: Callable[P, R], /) -> Callable[P, R]: ...


__all__ = ["zespan_lambda"]


@overload
def zespan_lambda(handler: Callable[P, Coroutine[Any, Any, R]], /) -> Callable[P, R]: ...
@overload
def zespan_lambda(handler: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def zespan_lambda(**settings: Unpack[SettingsKwargs]) -> _Decorator: ...
def zespan_lambda(handler: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Trace every invocation of a Lambda handler, and deliver its events without adding to its response.

    Takes every setting by keyword (see `Settings`), each also available as an environment variable ZESPAN_ + upper
    case. The first configuration in a process applies.

    The handler may be `def`, `async def` (run on one event loop per thread, so that async clients stay usable), or any
    callable. It is called exactly once with what Lambda passed; its result or exception passes through unchanged. The
    invocation of a generator, sync or async, ends with its last piece, in a runtime that streams; Lambda's own client
    reads none yet. Under a running event loop (a test), await an `async def` handler's result.

    With the default `flush_mode="auto"` events are sent after the response has gone to the caller, by an internal
    extension, for at most `flush_timeout` seconds, and never during the last `flush_reserve` seconds of the function's
    timeout. If no extension is available, they are sent before the return.

    Raises ConfigurationError for an unknown setting or a value of the wrong type. Importing the handler's module
    anywhere but in Lambda's runtime process starts nothing.
    """
    return wrap.configured(handler, settings, _decorate)


def _decorate(handler: Any, settings: Mapping[str, Any]) -> Any:
    wrap.check_function(handler, "zespan_lambda decorates a handler")
    if wrap.is_marked(handler):
        return handler
    with Guarded("the import of the handler's module"):
        _cold_start.imported()
        HOST.attach(settings)
    traced = wrap.traced(handler, HOST, settings)
    return wrap.mark(_on_a_loop(handler, traced, settings) if kind(handler) == "coroutine" else traced)


def _on_a_loop(
    handler: Callable[..., Any], awaited: Callable[..., Any], settings: Mapping[str, Any]
) -> Callable[..., Any]:
    """Run `handler` on our event loop, or return its awaitable if a loop is running (in a test)."""

    def function(*args: Any, **kwargs: Any) -> Any:  # names the invocation, if the handler has no name
        from . import _loop

        return _loop.run(handler, args, kwargs)

    functools.update_wrapper(function, handler, updated=())  # its flags may mark it as awaitable
    called = wrap.traced(function, HOST, settings)

    @functools.wraps(handler)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        from . import _loop

        return (awaited if _loop.is_running() else called)(*args, **kwargs)

    return wrapper


class LambdaCall:
    """The arguments of a Lambda handler."""

    __slots__ = ("context", "event")

    def __init__(self, event: object, context: object) -> None:
        self.event: object = event
        self.context: object = context


class LambdaHost(Host[LambdaCall]):
    """AWS Lambda as a host."""

    def __init__(self) -> None:
        self._extension: _extension.Extension | None = None
        self._attached = False
        self._is_deployed = True  # otherwise called directly, with a made-up context

    def attach(self, arguments: Mapping[str, Any]) -> None:
        """Register the extension, once, and only in the runtime's process: AWS allows it only during init."""
        if _is_managed_instance():
            return
        if self._attached or not _extension.in_runtime_process():
            return
        self._attached = True
        _process.at_exit(send=False)  # the handler exits, and has had its flush
        settings = _settings.resolve(arguments)
        if not _settings.usable(settings):
            return
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            # AWS does not document what a registration is worth after a restore, so flushes come before the return.
            if settings.flush_mode == "after_response":
                text = "flush_mode=after_response is not known to work with SnapStart, flushing before the return"
                warn_once("snapstart-flush", text)
            from . import _snapstart

            _snapstart.register()
        else:
            self._extension = _extension.register(settings.flush_mode, settings.flush_reserve, _process.mark_deadline)

    def forget(self) -> None:
        """Forget the registration in a forked child, because it is the parent's."""
        self._extension = None

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> LambdaCall:
        positional = args[-2:] if len(args) > 2 else args  # a method decorated in its class: self comes first
        event = positional[0] if positional else kwargs.get("event")
        return LambdaCall(event, positional[1] if len(positional) > 1 else kwargs.get("context"))

    def read(self, request: LambdaCall) -> Invocation:
        context = request.context
        inner = getattr(context, "lambda_context", None)  # of a durable function's context, inside its own decorator
        execution = None
        if inner is not None and _string(inner, "aws_request_id"):
            execution = _string(getattr(context, "execution_context", None), "durable_execution_arn")
            context = inner
        xray = os.environ.get("_X_AMZN_TRACE_ID")  # the runtime sets it for every invocation
        # A copy, because handlers may remove parts of the event (`event.pop("Records")`) before it is described.
        kept = _reading.unwrap_event(request.event)
        return Invocation(
            id=_string(context, "aws_request_id"),
            name=_string(context, "function_name") or os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
            parent=_events.parent(kept) or _w3c(context) or (_events.of_execution(execution) if execution else None),
            remaining=_clock(context) or (self._extension.clock() if self._extension is not None else None),
            describe=functools.partial(self._describe, kept, context, xray, execution),
        )

    def subject(self, request: LambdaCall) -> object:
        return request.event

    def resource(self) -> dict[str, object]:
        """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html."""
        environ = os.environ
        self._is_deployed = "AWS_LAMBDA_FUNCTION_VERSION" in environ
        return {
            "cloud.provider": "aws",
            "cloud.region": environ.get("AWS_REGION"),
            "faas.version": environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
            "faas.instance": environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
            "faas.max_memory": _bytes(environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")),
        }

    def origin(self) -> ColdStart:
        return _cold_start.origin()

    def result(self, result: object) -> Result:
        return _results.read(result)

    def begin(self, invocation: Invocation, on_record: Callable[[], None]) -> None:
        if self._extension is not None and _served(invocation.id):
            self._extension.begin(invocation.id, on_record)
        else:
            on_record()

    def _describe(self, event: object, context: object, xray: str | None, execution: str | None) -> Description:
        """Return the root event's attributes, from the event, the context and the caller's X-Ray header."""
        trigger, attributes = _events.describe(event)
        attributes = {"faas.trigger": trigger, **attributes, **_attributes_of(_string(context, "invoked_function_arn"))}
        attributes["aws.lambda.tenant_id"] = _string(context, "tenant_id")
        if not self._is_deployed:  # otherwise these are in the resource
            attributes["faas.version"] = _string(context, "function_version")
            attributes["faas.instance"] = _string(context, "log_stream_name")
            attributes["faas.max_memory"] = _bytes(_string(context, "memory_limit_in_mb"))
        if execution:
            attributes["aws.lambda.durable_execution.arn"] = execution
        links, omitted = _events.links(event, xray)
        attributes["links"], attributes["links_omitted"] = links or None, omitted or None
        return Description(attributes)

    def process_stays_alive(self, invocation: Invocation) -> bool:
        if self._extension is not None or not _is_managed_instance():
            return False
        # Otherwise this is a test, or a process that the function has started.
        runtime = "awslambdaric.bootstrap" in sys.modules
        return runtime and _served(invocation.id)

    def end(self, invocation: Invocation, flush: Callable[[], object] | None) -> bool:
        return self._extension is not None and _served(invocation.id) and self._extension.end(invocation.id, flush)


HOST = LambdaHost()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HOST.forget)


def _served(request_id: str | None) -> TypeGuard[str]:
    """Whether Lambda is serving this invocation, and it is not a direct call with a made-up or stored context."""
    runtime = sys.modules.get("awslambdaric.bootstrap")
    return bool(request_id) and getattr(runtime, "_GLOBAL_AWS_REQUEST_ID", request_id) == request_id


def _is_managed_instance() -> bool:
    """Whether this is a Managed Instance, where Lambda's runtime client runs several processes, and freezes none."""
    return "AWS_LAMBDA_MAX_CONCURRENCY" in os.environ


def _clock(context: object) -> Callable[[], float] | None:
    """Return the time left in seconds; None for a context without a clock, or with a mocked one."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)

    def seconds() -> float:
        try:
            return float(remaining() / 1000)  # type: ignore[misc]
        except Exception as error:
            pass_on(error)
            return 0.0  # then nothing is sent, and everything is kept

    try:
        return seconds if isinstance(remaining(), (int, float)) else None  # type: ignore[misc]
    except Exception as error:
        pass_on(error)
        return None


def _string(context: object, name: str) -> str | None:
    value = getattr(context, name, None)
    return value if isinstance(value, str) and value else None


def _w3c(context: object) -> Caller | None:
    """Return the trace context in a direct invocation's client context: as newer runtimes pass it, or in `custom`."""
    try:
        read, client = getattr(context, "w3c", None), getattr(context, "client_context", None)
        fields = (read() if callable(read) else None, getattr(client, "custom", None))
    except Exception as error:
        pass_on(error)
        return None
    for part in fields:
        found = caller_of(part.get) if isinstance(part, dict) and part else None
        if found is not None:
            return found
    return None


@functools.lru_cache(maxsize=8)
def _attributes_of(arn: str | None) -> dict[str, object]:
    """Return OpenTelemetry's attributes of the invoked function, or of its version or alias. Not to be changed."""
    parts = (arn or "").split(":")
    named = {"cloud.account.id": parts[4], "cloud.resource_id": ":".join(parts[:7])} if len(parts) > 6 else {}
    return {**named, "aws.lambda.invoked_arn": arn}


def _bytes(megabytes: str | None) -> int | None:
    return int(megabytes) * 1_048_576 if megabytes and megabytes.isdecimal() else None


def _reset() -> None:
    """Let the next decorator register again."""
    HOST._extension, HOST._attached = None, False


RESETS.append(_reset)
