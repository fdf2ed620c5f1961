"""Arguments of a function under the functions framework: a request, a CloudEvent, `(data, context)`, an object."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._observe.web import content_length
from .._platforms import google
from .._platforms.platform import TEXT_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._trace.context import Caller

_PUSH_MAX = 262_144  # bytes of the largest Pub/Sub push that is parsed for a traceparent; its message is not decoded
_AGENTS = ("CloudPubSub-Google", "APIs-Google")


class Arguments:
    """`first`: the first argument. `request`: Flask's or Starlette's, if available. `event`: the attributes of a
    CloudEvent; `context`: that of a background function; `data`: the data of either, or the Pub/Sub message that a
    request pushes. `method`: the request's method, or empty."""

    __slots__ = ("context", "data", "event", "first", "method", "request")

    def __init__(
        self,
        first: Any,
        request: Any = None,
        event: Mapping[str, Any] | None = None,
        context: object = None,
        data: object = None,
        method: str = "",
    ) -> None:
        self.first: Any = first
        self.request: Any = request
        self.event: Mapping[str, Any] | None = event
        self.context: object = context
        self.data: object = data
        self.method: str = method

    @property
    def is_request(self) -> bool:
        """Whether this is a request without an event inside."""
        return self.request is not None and self.event is None and self.context is None

    def header(self, name: str) -> str | None:
        value = self.request.headers.get(name) if self.request is not None else None
        return value if isinstance(value, str) else None

    def url(self) -> tuple[str, str]:
        """Return path and scheme."""
        scope = getattr(self.request, "scope", None)
        if isinstance(scope, dict) and "path" in scope:  # Starlette's, whose `url` has a method `path`
            return str(scope["path"]), str(scope.get("scheme", "http"))
        return str(getattr(self.request, "path", "")), str(getattr(self.request, "scheme", "http"))

    def describe(self) -> dict[str, object]:
        if self.event is not None:
            return google.describe_event(self.event, self.data)
        if self.context is not None:
            return google.describe_background(self.context, self.data)
        return {**google.describe_headers(self.header), **google.describe_push(self.data)}

    def producer(self) -> Caller | None:
        """Return the trace that an event comes from."""
        return google.producer(self.event or {}, self.data)

    def execution_id(self) -> str | None:
        """Return the execution id: the framework's, which is also in the log, or Google's. Async event functions have
        it in a contextvar."""
        header = self.header("function-execution-id")
        if header or self.request is not None:
            return header[:TEXT_MAX] if header else None
        variable = getattr(sys.modules.get("functions_framework.execution_id"), "execution_context_var", None)
        value = getattr(variable.get(None), "execution_id", None) if variable is not None else None
        return value if isinstance(value, str) else None


def read_arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
    """Read the arguments of a function. Accepts any arguments."""
    values = args or tuple(kwargs.values())
    first = _first(args, kwargs)
    if _is_request(first):
        data = None
        try:
            data = _pushed(first)
        except Exception as error:  # the client may only look like Pub/Sub, or may have disconnected
            pass_on(error)
        return Arguments(first, first, data=data, method=str(first.method))
    request = _flask_request()
    if len(values) > 1 and isinstance(getattr(values[1], "event_type", None), str):
        return Arguments(first, request, context=values[1], data=first)
    attributes = getattr(first, "get_attributes", None)
    event = attributes() if callable(attributes) else None
    if isinstance(event, Mapping):
        return Arguments(first, request, event=event, data=getattr(first, "data", None))
    return Arguments(first, request)


def _first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return the first argument. For a method that is decorated in its class it is the request after `self`."""
    values = (args or tuple(kwargs.values()))[:2]
    return next((value for value in values if _is_request(value)), values[0] if values else None)


def _is_request(value: object) -> bool:
    return isinstance(getattr(value, "method", None), str) and callable(getattr(getattr(value, "headers", 0), "get", 0))


def _flask_request() -> Any:
    flask = sys.modules.get("flask")
    return flask.request if flask is not None and flask.has_request_context() else None


def _is_push(request: Any) -> bool:
    header: Callable[[str], object] = request.headers.get
    return (
        request.method == "POST"
        and str(header("user-agent")).startswith(_AGENTS)
        and str(header("content-type")).startswith("application/json")
        and 0 < content_length(str(header("content-length"))) <= _PUSH_MAX
    )


def _pushed(request: Any) -> object:
    """Return the body of a Pub/Sub push; None for any other request. The function can still read it."""
    if not _is_push(request):
        return None
    environ = getattr(request, "environ", None)
    if isinstance(environ, dict) and "stream" not in vars(request):  # Flask's, unless something has read from it
        body = environ["wsgi.input"].read(content_length(request.headers.get("content-length")))
        environ["wsgi.input"] = io.BytesIO(body)
    else:
        body = getattr(request, "_body", b"")  # Starlette's, if it has been read
    return json.loads(body) if isinstance(body, bytes) and body else None


async def read_push(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Let Starlette read a Pub/Sub push, which it then keeps for the function."""
    first = _first(args, kwargs)
    if _is_request(first) and _is_push(first) and callable(getattr(first, "body", None)):
        await first.body()
