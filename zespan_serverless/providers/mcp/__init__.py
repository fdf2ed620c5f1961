"""MCP: each call of a server's tool is one record, and its trace context is sent to the server.

The trace context is in the request's `_meta`, where SEP-414 has it. What is put there later replaces ours: mcp 2 writes
OpenTelemetry's context, if a span of OpenTelemetry's is being recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._base.guard import Guarded
from ..._outbound.headers import headers_of
from ..._record.values import to_json
from .._fields import field, items, text_of
from .._request import Choke, Endpoint, Request
from .._tool import ToolCall

if TYPE_CHECKING:
    from ..._process import Container
    from ..._trace import Span

_HANDED_ON = frozenset(("traceparent", "tracestate"))  # baggage may hold what is not for everybody's server


class Tools(Choke):
    """`call_tool(name, arguments)` of a session; a client's own method calls that."""

    classes: tuple[str, ...] = ("ClientSession",)
    methods: tuple[str, ...] = ("call_tool",)
    paths: tuple[str, ...] = ("", "session")

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        if not any(kind.__name__ in self.classes for kind in type(owner).__mro__):
            return None
        name = args[0] if args else kwargs.get("name")
        arguments = args[1] if len(args) > 1 else kwargs.get("arguments")
        return ToolRequest(name, arguments, kwargs)


class ToolRequest(Request):
    """A request to call a tool. `kwargs` are what the session's method is going to be called with."""

    __slots__ = ("_arguments", "_kwargs")

    def __init__(self, name: Any, arguments: Any, kwargs: dict[str, Any]) -> None:
        super().__init__(Endpoint(), "", name)
        self._arguments, self._kwargs = arguments, kwargs

    def begun(self, container: Container, method: Any) -> ToolCall:
        """Begin the call, and have the trace handed on."""
        call = ToolCall(container, self.model, self._arguments, {"mcp.method.name": "tools/call"}, read)
        with Guarded("the trace context of a tool"):
            self._hand_on(call.span, method)
        return call

    def _hand_on(self, span: Span, method: Any) -> None:
        """Add the trace to the request's `_meta`, if this version of the SDK takes one, and the user has not."""
        import inspect  # not above: the SDK has it by now

        meta = self._kwargs.get("meta")
        if "meta" in inspect.signature(method).parameters and (meta is None or type(meta) is dict):
            headers = headers_of(span)
            if meta is None or not meta.keys() & headers.keys():
                self._kwargs["meta"] = {**(meta or {}), **{name: headers[name] for name in _HANDED_ON & headers.keys()}}


def read(result: Any) -> tuple[str, bool]:
    """Return the texts of a result, else the JSON of its structure; and whether it is an error."""
    text = "\n".join(filter(None, (text_of(block, "text") for block in items(field(result, "content")))))
    structure = field(result, "structured_content") or field(result, "structuredContent")  # before mcp 2
    has_failed = field(result, "is_error") is True or field(result, "isError") is True
    return text or (to_json(structure) if structure else ""), has_failed


CHOKES = (Tools(),)
