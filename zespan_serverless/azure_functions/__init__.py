"""Azure Functions: `@zespan_azure`, for the v2 (decorators) and the v1 (function.json) programming model."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import _process
from .. import settings as _settings
from .._base import aio
from .._base.guard import Guarded
from .._observe import wrap
from .._observe.host import Host
from .._platforms import azure
from .._platforms.platform import countdown
from .._process import sigterm
from .._record.invocation import Description, Invocation
from ..errors import ConfigurationError
from . import _triggers
from ._answers import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from .._observe.active import ActiveInvocation
    from .._observe.host import Scope
    from ..settings import SettingsKwargs

    F = TypeVar("F")

__all__ = ["zespan_azure"]

_ORCHESTRATIONS = ("DurableOrchestrationContext", "DurableAIAgentContext")
"""Classes of the contexts of orchestrators, which are replayed: a call is not traced."""


@overload
def zespan_azure(function: F, /) -> F: ...
@overload
def zespan_azure(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_azure(function: Any = None, /, **settings: Any) -> Any:
    """Trace every invocation of an Azure function, whatever triggers it, and deliver its events without delaying it::

        @app.route(route="chat")            # v2: next to the function, below Azure's decorators
        @zespan_azure                       # above them it does the same
        def chat(req: func.HttpRequest) -> func.HttpResponse: ...

        @zespan_azure                       # v1: on what function.json calls the entry point
        async def main(msg: func.QueueMessage) -> None: ...

    Takes every setting by keyword (see `Settings`), each also available as an app setting ZESPAN_ + upper case. The
    first configuration in a process applies.

    The function is called exactly once with what the worker passed; its result or exception passes through unchanged, a
    streamed response piece by piece. The function need not declare the worker's `context`; one that does still gets it.
    The trace is the host's: `context.trace_context`.

    A worker keeps running after an invocation, so a thread sends the events, and no caller waits. With
    `flush_mode="before_return"` they are sent first, for at most `flush_timeout` seconds and never during the last
    `flush_reserve` seconds of host.json's `functionTimeout`; an `async def` function does not block the worker's event
    loop meanwhile. When Azure ends a worker by SIGTERM, pending events are sent:
    https://github.com/Azure/azure-functions-host/issues/10479

    Raises ConfigurationError for an unknown setting, a value of the wrong type, and an object that cannot be traced:
    not a function, or a durable orchestrator, which is replayed (decorate its activities).
    Importing the module anywhere but in Azure's worker starts nothing.
    """
    return wrap.configured(function, settings, _decorate)


def _decorate(function: Any, settings: Mapping[str, Any]) -> Any:
    if type(function).__name__ == "FunctionBuilder":
        _rewrap(function, settings)
        return function
    wrap.check_function(function, "zespan_azure decorates a function", classes=False)
    if wrap.is_marked(function):
        return function
    if aio.kind(function) in ("generator", "async generator"):
        raise ConfigurationError(
            "zespan_azure cannot trace a generator: a durable orchestrator is replayed, decorate "
            "its activities; for a stream return a StreamingResponse"
        )
    import inspect  # azure.functions has imported it

    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"zespan_azure needs a function with a signature, as Azure does: {error}") from None
    with Guarded("the import of the function's module"):
        _imported(settings)
    host = AzureHost(function, tuple(signature.parameters))
    host.wrapper = _wrapped(function, signature, host, settings)
    return wrap.mark(host.wrapper)


def _rewrap(builder: Any, settings: Mapping[str, Any]) -> None:
    """Let the object that Azure's decorators have made call our wrapper. The wrapper itself is not returned.

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
    if kind == "orchestrationTrigger":
        raise ConfigurationError(
            "zespan_azure cannot trace an orchestrator, which is replayed: decorate its activities"
        )
    if kind == "entityTrigger":
        raise ConfigurationError("put @zespan_azure below @app.entity_trigger, next to the function")
    built._func = _decorate(inner, settings)


def _imported(settings: Mapping[str, Any]) -> None:
    """Prepare for SIGTERM in a worker: only during import is this the main thread."""
    if azure.in_worker() and _settings.usable(_settings.resolve(settings)):
        _process.watch()


def _wrapped(
    function: Callable[..., Any], signature: Any, host: AzureHost, settings: Mapping[str, Any]
) -> Callable[..., Any]:
    """Return a wrapper to which the worker passes its context, whether the function declares it or not."""
    is_declared = "context" in signature.parameters
    wrapper: Any = wrap.traced(function if is_declared else _without_context(function), host, settings)
    functools.update_wrapper(wrapper, function)
    if not is_declared:
        wrapper.__signature__ = signature.replace(parameters=_with_context(list(signature.parameters.values())))
    code = getattr(function, "__code__", None)
    if code is not None:  # the worker looks there for context.function_directory
        wrapper.__code__ = wrapper.__code__.replace(co_filename=code.co_filename, co_firstlineno=code.co_firstlineno)
    return wrapper  # type: ignore[no-any-return]


def _without_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `function`, so that it does not get the worker's context, which it does not expect."""
    if aio.is_async(function):

        async def awaited(*args: Any, context: object = None, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return awaited

    def called(*args: Any, context: object = None, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return called


def _with_context(parameters: list[Any]) -> list[Any]:
    """Return the parameters, with one that makes the worker pass its context.

    It has the type that `@app.mcp_tool` leaves out of a tool's properties; the worker reads other annotations.
    """
    import inspect

    kind = inspect.Parameter.VAR_KEYWORD
    hidden = getattr(sys.modules.get("azure.functions"), "MCPToolContext", inspect.Parameter.empty)
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hidden)
    last = [parameter for parameter in parameters if parameter.kind is kind]
    return [*(parameter for parameter in parameters if parameter.kind is not kind), context, *last]


class AzureCall:
    """The worker's context, and a function's inputs by name."""

    __slots__ = ("context", "inputs")

    def __init__(self, context: object, inputs: Mapping[str, Any]) -> None:
        self.context: object = context
        self.inputs: Mapping[str, Any] = inputs


class AzureHost(Host[AzureCall]):
    """Azure Functions as the host of one function."""

    one_at_a_time = False

    def __init__(self, function: Callable[..., Any], names: tuple[str, ...]) -> None:
        self._function, self._names = function, names
        self.wrapper: Callable[..., Any] = function
        self._app: azure.App | None = None
        self._trigger: Mapping[str, Any] | None = None

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> AzureCall:
        inputs = {**dict(zip(self._names, args, strict=False)), **kwargs}  # by position, in a direct call
        return AzureCall(inputs.get("context") if "context" in self._names else inputs.pop("context", None), inputs)

    def read(self, request: AzureCall) -> Invocation | None:
        context = request.context
        if type(context).__name__ in _ORCHESTRATIONS:
            return None
        name = _string(context, "function_name") or str(getattr(self._function, "__name__", "function"))
        if self._app is None:
            self._app = azure.app(_triggers.folder(self._function))
        return Invocation(
            id=_string(context, "invocation_id"),
            name=azure.full_name(name),
            parent=azure.parent(getattr(context, "trace_context", None)),
            remaining=countdown(self._app.timeout),
            describe=functools.partial(self._describe, name, context, request.inputs, self._app.route_prefix),
        )

    def subject(self, request: AzureCall) -> Any:
        return request.inputs.get(next((name for name in self._names if name != "context"), ""))

    def scope(self, active: ActiveInvocation, request: AzureCall) -> Scope:
        return Answer(active)

    def resource(self) -> Mapping[str, object]:
        return azure.attributes("")

    def process_stays_alive(self, invocation: Invocation) -> bool:
        return not sigterm.terminating()

    def _describe(self, name: str, context: object, inputs: Mapping[str, Any], route_prefix: str) -> Description:
        if self._trigger is None:
            with Guarded("the search for a function's trigger"):
                self._trigger = _triggers.find(self.wrapper, self._function, _string(context, "function_directory"))
        attributes: dict[str, object] = {
            "cloud.resource_id": azure.attributes(name)["cloud.resource_id"],
            "faas.trigger": "other",
        }
        with Guarded("the description of a trigger"):
            attributes |= _triggers.describe(self._trigger or {}, inputs, route_prefix)
        if type(context).__name__ == "DurableEntityContext":
            entity, operation = _triggers.entity(context)
            attributes, name = {**attributes, **entity}, f"{name}.{operation}"
        retries = getattr(context, "retry_context", None)
        most, count = getattr(retries, "max_retry_count", None), getattr(retries, "retry_count", None)
        if isinstance(most, int) and isinstance(count, int) and most > 0:
            attributes |= {"azure.functions.retry_count": count, "azure.functions.max_retry_count": most}
        return Description(attributes, name)


def _string(context: object, name: str) -> str | None:
    value = getattr(context, name, None)
    return value if isinstance(value, str) and value else None
