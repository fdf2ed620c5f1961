"""Azure Functions: `@zespan_azure`, for the v2 (decorators) and the v1 (function.json) programming model."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import _process
from .. import settings as _settings
from .._base.guard import Guarded
from .._observe.bodies import Exchange
from .._observe.call import prepare
from .._observe.web import Response, countdown
from .._platforms import azure
from .._process import sigterm
from .._record.invocation import ColdStart, Invocation
from ..errors import ConfigurationError
from . import _streams, _triggers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from .._observe.call import Call
    from ..settings import SettingsKwargs

    F = TypeVar("F")

__all__ = ["zespan_azure"]

_REPLAYED = ("orchestrationTrigger", "entityTrigger")


@overload
def zespan_azure(function: F, /) -> F: ...
@overload
def zespan_azure(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_azure(function: Any = None, /, **settings: Any) -> Any:
    """Trace every invocation of an Azure function, whatever triggers it, and deliver its events without delaying it.

        @app.route(route="chat")            # v2: next to the function, below Azure's decorators
        @zespan_azure                       # above them it does the same
        def chat(req: func.HttpRequest) -> func.HttpResponse: ...

        @zespan_azure                       # v1: on what function.json calls the entry point
        async def main(msg: func.QueueMessage) -> None: ...

    Works bare and with settings (`@zespan_azure(flush_timeout=0.5)`): every field of `Settings`, each also as an app
    setting ZESPAN_ + upper case. The first configuration in a process wins.

    The function is called exactly once with what the worker passed; its result or exception passes through untouched,
    a streamed response piece by piece. The worker's `context` is had without the function declaring it; a function
    that does gets it as ever. The trace is that of the host: `context.trace_context`.

    A worker lives on after an invocation, so events are sent by a thread, and nobody waits. With
    `flush_mode="before_return"` they are sent first, `flush_timeout` seconds at most and never into the last
    `flush_reserve` seconds of host.json's `functionTimeout`; an `async def` function does not block the worker's event
    loop meanwhile. SIGTERM, by which Azure ends workers, sends what is left:
    https://github.com/Azure/azure-functions-host/issues/10479

    Raises ConfigurationError while decorating for an unknown setting, a value of the wrong type, and for what cannot
    be traced: a durable orchestrator or entity, which is replayed (decorate its activities), or no function at all.
    Importing the module anywhere but in Azure's worker starts nothing.
    """
    arguments = _settings.check(settings)
    if function is None:
        return functools.partial(_decorate, arguments=arguments)
    return _decorate(function, arguments)


def _decorate(function: Any, arguments: Mapping[str, Any]) -> Any:
    if type(function).__name__ == "FunctionBuilder":
        _rewrap(function, arguments)
        return function
    if not callable(function) or isinstance(function, type):
        raise ConfigurationError(f"zespan_azure decorates a function; settings go by keyword. Got {function!r}")
    mark: object = getattr(function, "__zespan_observed__", None)
    if mark is function:  # ours, and does not just have our mark from functools.wraps
        return function
    import inspect  # azure.functions has it loaded

    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            "zespan_azure cannot trace a generator: a durable orchestrator is replayed, decorate "
            "its activities; for a stream return a StreamingResponse"
        )
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"zespan_azure needs a function with a signature, as Azure does: {error}") from None
    with Guarded("the import of the function's module"):
        _imported(arguments)
    return _wrapped(function, signature, arguments, is_async=inspect.iscoroutinefunction(function))


def _rewrap(builder: Any, arguments: Mapping[str, Any]) -> None:
    """Above Azure's decorators: what they have made of the function calls what is in there, and never what we return.

    https://github.com/Azure/azure-functions-python-library, `azure.functions.decorators.function_app`.
    """
    built = getattr(builder, "_function", None)
    inner = getattr(built, "_func", None)
    if built is None or not callable(inner):
        raise ConfigurationError(
            "put @zespan_azure below Azure's decorators, next to the function: this version of "
            "azure-functions does not let it be found from above"
        )
    trigger = built.get_trigger()
    kind = getattr(trigger, "type", None)
    if kind in _REPLAYED:
        raise ConfigurationError(f"zespan_azure cannot trace an {kind}, which is replayed: decorate its activities")
    built._func = _decorate(inner, arguments)


def _imported(arguments: Mapping[str, Any]) -> None:
    """In a worker, be ready for SIGTERM: only now is this the main thread, functions may run in others."""
    if azure.in_worker() and _settings.usable(_settings.resolve(arguments)):
        _process.watch()


def _wrapped(
    function: Callable[..., Any], signature: Any, arguments: Mapping[str, Any], *, is_async: bool
) -> Callable[..., Any]:
    parameters = list(signature.parameters.values())
    names = tuple(signature.parameters)
    added = "context" not in names
    host = AzureHost(function, names)

    def prepared(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """Takes out of `kwargs` what the function does not expect."""
        context = kwargs.pop("context", None) if added else kwargs.get("context")
        return prepare(host, arguments, (context, args), kwargs)

    wrapper: Any
    if is_async:

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            call = prepared(args, kwargs)
            return await (function(*args, **kwargs) if call is None else _awaited(call, function, args, kwargs))

        wrapper = awaited
    else:

        def called(*args: Any, **kwargs: Any) -> Any:
            call = prepared(args, kwargs)
            return function(*args, **kwargs) if call is None else _called(call, function, args, kwargs)

        wrapper = called
    functools.update_wrapper(wrapper, function)
    if added:
        wrapper.__signature__ = signature.replace(parameters=_with_context(parameters))
    code = getattr(function, "__code__", None)
    if code is not None:  # the worker looks there for context.function_directory
        wrapper.__code__ = wrapper.__code__.replace(co_filename=code.co_filename, co_firstlineno=code.co_firstlineno)
    wrapper.__zespan_observed__ = wrapper
    host.wrapper = wrapper
    return wrapper  # type: ignore[no-any-return]


def _with_context(parameters: list[Any]) -> list[Any]:
    """The parameters, and one that makes the worker pass its context.

    It has the type that `@app.mcp_tool` leaves out of a tool's properties; the worker reads other annotations.
    """
    import inspect

    kind = inspect.Parameter.VAR_KEYWORD
    hidden = getattr(sys.modules.get("azure.functions"), "MCPToolContext", inspect.Parameter.empty)
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hidden)
    last = [parameter for parameter in parameters if parameter.kind is kind]
    return [*(parameter for parameter in parameters if parameter.kind is not kind), context, *last]


def _called(call: Call, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    exchange = Exchange(call)
    try:
        try:
            call.begin()
            result = function(*args, **kwargs)
        except BaseException as error:
            call.leave(error)
            raise
        _streams.follow(result, exchange)
        if not exchange.is_streamed:
            call.leave(None, result)
        return result
    finally:
        exchange.returned()


async def _awaited(call: Call, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    exchange = Exchange(call)
    try:
        try:
            call.begin()
            result = await function(*args, **kwargs)
        except Exception as error:
            call.reset()
            await exchange.finish(error)
            raise
        except BaseException as error:  # cancelled, or the end of the process: there is no waiting any more
            call.reset()
            exchange.break_off(error)
            raise
        _streams.follow(result, exchange)
        if not exchange.is_streamed:
            call.reset()
            await exchange.finish(None, result)
        return result
    finally:
        exchange.returned()


class AzureHost:
    """What one function answers to the core's questions (see `_observe.call.Host`)."""

    one_at_a_time = False

    def __init__(self, function: Callable[..., Any], names: tuple[str, ...]) -> None:
        self._function, self._names = function, names
        self.wrapper: Callable[..., Any] = function
        self._app: azure.App | None = None
        self._trigger: Mapping[str, Any] | None = None

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Invocation:
        context, positional = args
        inputs = {**dict(zip(self._names, positional, strict=False)), **kwargs}  # by position: called by hand
        context = inputs.get("context") if context is None else context
        name = _string(context, "function_name") or str(getattr(self._function, "__name__", "function"))
        if self._app is None:
            self._app = azure.app(_triggers.folder(self._function))
        return Invocation(
            id=_string(context, "invocation_id"),
            name=azure.full_name(name),
            parent=azure.parent(getattr(context, "trace_context", None)),
            remaining=countdown(self._app.timeout),
            describe=functools.partial(self._describe, name, context, inputs, self._app.route_prefix),
        )

    def origin(self) -> ColdStart:
        return ColdStart("cold")

    def result(self, result: object) -> Mapping[str, object]:
        """Of a response of any kind; nothing of another trigger's result."""
        return (result if isinstance(result, Response) else Response(getattr(result, "status_code", None))).describe()

    def begin(self, invocation: Invocation, on_record: Callable[[], None]) -> None:
        on_record()

    def goes_on(self, invocation: Invocation) -> bool:
        return not sigterm.terminating()

    def end(self, invocation: Invocation, flush: Callable[[], object] | None) -> bool:
        return False

    def _describe(
        self, name: str, context: object, inputs: Mapping[str, Any], route_prefix: str
    ) -> Mapping[str, object]:
        if self._trigger is None:
            with Guarded("the search for a function's trigger"):
                self._trigger = _triggers.find(self.wrapper, self._function, _string(context, "function_directory"))
        said: dict[str, object] = {"operation": name, **azure.attributes(name), "faas.trigger": "other"}
        with Guarded("the description of a trigger"):
            said |= _triggers.describe(self._trigger or {}, inputs, route_prefix)
        retries = getattr(context, "retry_context", None)
        most, count = getattr(retries, "max_retry_count", None), getattr(retries, "retry_count", None)
        if isinstance(most, int) and isinstance(count, int) and most > 0:
            said |= {"azure.functions.retry_count": count, "azure.functions.max_retry_count": most}
        return said


def _string(context: object, name: str) -> str | None:
    value = getattr(context, name, None)
    return value if isinstance(value, str) and value else None
