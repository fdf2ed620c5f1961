"""Amazon Bedrock AgentCore Runtime: `@zespan_agentcore`, for entrypoints and websocket handlers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import _process
from .. import settings as _settings
from .._base import aio
from .._base.guard import Guarded
from .._observe import wrap
from .._observe.host import Host
from .._observe.web import address
from .._platforms import agentcore
from .._platforms.detect import detect
from .._platforms.platform import TEXT_MAX
from .._process import sigterm
from .._record.invocation import Description, Invocation
from ._answers import Answer
from ._tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from .._observe.active import ActiveInvocation
    from .._observe.host import Scope
    from ..settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_agentcore"]

_RUNTIME = "bedrock_agentcore.runtime"


@overload
def zespan_agentcore(function: F, /) -> F: ...
@overload
def zespan_agentcore(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_agentcore(function: Any = None, /, **settings: Any) -> Any:
    """Trace every invocation of an agent on Bedrock AgentCore, and deliver its events without holding its response::

        @app.entrypoint
        @zespan_agentcore                   # above the entrypoint it does the same
        def agent(payload, context): ...

        @app.websocket
        @zespan_agentcore                   # one event for each connection
        async def talk(websocket, context): ...

    For `def`, `async def`, and generators of both kinds, whose invocation ends with the last piece. Takes every setting
    by keyword (see `Settings`); raises ConfigurationError for an unknown one. The function gets what the runtime
    passes, `context` only if its second parameter has that name; its result, its pieces and its exceptions pass through
    unchanged. Events have the caller's trace, the session, and the user that the caller names.

    A thread sends the events, and `/ping` says `HealthyBusy` until it is done, `flush_timeout` seconds at most: a
    session that is busy is not idle. With `flush_mode="before_return"` they are sent before the end of the response. So
    they are after SIGTERM. https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-long-run.html
    """
    return wrap.configured(function, settings, _decorate)


def _decorate(function: Any, settings: Mapping[str, Any]) -> Any:
    wrap.check_function(function, "zespan_agentcore decorates a function", classes=False)
    if wrap.is_marked(function):
        return function
    host = AgentCoreHost(function)
    host.wrapper = wrap.mark(wrap.traced(function, host, settings))
    app = _application(function)
    if app is not None:  # above the entrypoint, which has registered the function itself
        app.handlers["main"] = host.wrapper
    with Guarded("the import of the function's module"):
        if f"{_RUNTIME}.app" in sys.modules and _settings.usable(_settings.resolve(settings)):
            _process.watch()  # only now is this the main thread: functions run in others
    return host.wrapper


def _application(function: Any) -> Any:
    """Return the application that has given an entrypoint its `run`; None if there is none."""
    for cell in getattr(getattr(function, "run", None), "__closure__", None) or ():
        try:
            app = cell.cell_contents
        except ValueError:  # an empty cell
            continue
        handlers = getattr(app, "handlers", None)
        if isinstance(handlers, dict) and handlers.get("main") is function:
            return app
    return None


class AgentCall:
    """What one call of a function is about: its payload or websocket, and what the runtime says of the request."""

    __slots__ = ("app", "experiment", "first", "header", "id")

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.first: Any = args[0] if args else next(iter(kwargs.values()), None)
        context = args[1] if len(args) > 1 else kwargs.get("context")
        runtime = getattr(sys.modules.get(f"{_RUNTIME}.context"), "BedrockAgentCoreContext", None)
        connection = getattr(context, "request", None)  # Starlette's
        headers = getattr(connection, "headers", None)
        self.app: Any = getattr(connection, "scope", {}).get("app")
        known = {} if runtime is None else runtime.get_request_headers() or {}
        lower = {name.lower(): value for name, value in (known if headers is None else headers).items()}
        if runtime is not None and headers is None:  # which keeps the session to itself
            lower.setdefault("x-amzn-bedrock-agentcore-runtime-session-id", runtime.get_session_id())
        self.header: Callable[[str], str | None] = lower.get
        self.id: str | None = None if runtime is None else runtime.get_request_id()
        self.experiment: tuple[object, object] = (None, None)
        if runtime is not None and hasattr(runtime, "get_routing_experiment_arn"):
            self.experiment = runtime.get_routing_experiment_arn(), runtime.get_routing_experiment_variant()


class AgentCoreHost(Host[AgentCall]):
    """The runtime's answers to the core's questions. It serves several requests of one session at once."""

    one_at_a_time = False

    def __init__(self, function: Any) -> None:
        self.wrapper = function
        self._streams = aio.kind(function) in ("generator", "async generator")
        self._platform = detect()
        self._app: Any = None

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> AgentCall:
        call = AgentCall(args, kwargs)
        self._app = self._app or call.app or _application(self.wrapper)
        return call

    def subject(self, request: AgentCall) -> Any:
        return request.first

    def read(self, request: AgentCall) -> Invocation:
        facts = agentcore.AgentCore().facts(request.header)
        is_socket = hasattr(request.first, "accept")
        arn, variant = request.experiment

        def describe() -> Description:
            attributes = {
                "faas.trigger": "http",
                "http.request.method": "GET" if is_socket else "POST",
                "url.path": "/ws" if is_socket else "/invocations",
                "network.protocol.name": "websocket" if is_socket else None,
                "aws.agentcore.gateway.routing_experiment_arn": arn,
                "aws.agentcore.gateway.routing_experiment_variant_name": variant,
            }
            return Description(attributes)

        return Invocation((request.id or "")[:TEXT_MAX] or facts.id, self._platform.name, facts.parent, None, describe)

    def scope(self, active: ActiveInvocation, request: AgentCall) -> Scope:
        address(active.span, *agentcore.AgentCore().audience(request.header))
        return Answer(active, self._streams, hasattr(request.first, "accept"))

    def resource(self) -> Mapping[str, object]:
        return self._platform.attributes

    def end(self, invocation: Invocation, flush: Callable[[], object] | None) -> bool:
        tasks = getattr(self._app, "_active_tasks", None)  # `add_async_task` would log two lines
        container = _process.current()
        if not isinstance(tasks, dict) or container is None:
            return False
        container.goes_on = True  # the user's tasks may outlast the response, too
        task = Task(tasks, container)
        if flush is not None and not sigterm.terminating():
            return task.run(flush)
        if task.others():
            task.run(bool)
        return False
