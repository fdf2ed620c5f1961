"""Shared by hosts that call a function with an input, and may freeze or stop the process when they have its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _process
from ._base.guard import Guarded
from ._observe import wrap
from ._observe.host import Host, Request
from ._platforms.platform import TEXT_MAX
from ._record.invocation import NO_RESULT, Description, Invocation, Result
from ._trace.context import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ClassVar

    from ._platforms.platform import Header
    from ._trace.context import Carrier


def decorated(function: Any, settings: Mapping[str, Any], name: str, make_host: Callable[[], Host[Any]]) -> Any:
    """Trace each call of a function, once. `name` is that of the decorator."""
    wrap.check_function(function, f"{name} decorates a function", classes=False)
    if wrap.is_marked(function):
        return function
    return wrap.mark(wrap.traced(function, make_host(), settings))


class CallHost(Host[Request]):
    """Such a host, except for `read`. Its request is the function's first argument.

    The result waits until the events have been sent, for at most `flush_timeout` seconds, because nothing runs for
    certain after it. With `flush_mode="after_response"` a thread sends them, and so it does if `keeps_cpu`.
    """

    keeps_cpu: ClassVar[bool] = False
    """Whether the process continues to run after a result, until it ends in an orderly way."""

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return next(iter((*args, *kwargs.values())), None)

    def process_stays_alive(self, invocation: Invocation) -> bool:
        container = _process.current()
        mode = "auto" if container is None else container.settings.flush_mode
        return mode == "after_response" or (self.keeps_cpu and mode != "before_return")


class FunctionHost(CallHost[Request]):
    """A platform of functions: a process has one call at a time, and a result may be a response with `statusCode`."""

    def result(self, result: Any) -> Result:
        status = result.get("statusCode") if isinstance(result, dict) else None
        return Result(status) if isinstance(status, int) and 100 <= status <= 599 else NO_RESULT


class JobHost(CallHost[Any]):
    """A host of jobs, whose process may have several at once. A subclass implements `details`."""

    one_at_a_time = False

    def details(self, request: Any) -> tuple[str | None, Carrier | None, Mapping[str, object]]:
        """Return the id of this call, the getter of the caller's headers, and attributes for the event."""
        raise NotImplementedError

    def read(self, request: Any) -> Invocation:
        id, carrier, attributes = self.details(request)
        parent = None
        with Guarded("the caller of a function"):
            parent = None if carrier is None else caller_of(carrier)
        return Invocation(id, "", parent, None, lambda: Description({"faas.trigger": "other", **attributes}))


def headers(found: object) -> Header:
    """Return a function that gives a header by its lower-case name, from any dict of headers."""
    pairs = found.items() if isinstance(found, dict) else ()
    lower = {name.lower(): value for name, value in pairs if isinstance(name, str) and isinstance(value, str)}
    return lower.get


def http_attributes(method: object, path: object, host: object = None) -> dict[str, object]:
    """Return the attributes of a call that a request has caused, as far as they are text."""
    named = {"http.request.method": method, "url.path": path, "server.address": host}
    return {"faas.trigger": "http", **{name: text(value) for name, value in named.items()}}


def text(value: object) -> str | None:
    """Return a text within its limit; None for anything else, and for an empty one."""
    return (value[:TEXT_MAX] or None) if isinstance(value, str) else None
