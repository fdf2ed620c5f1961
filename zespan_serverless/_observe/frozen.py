"""Common parts of platforms that call a function with an event, and freeze its process when they have the response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _process
from .._platforms.platform import TEXT_MAX
from .._record.invocation import NO_RESULT, Result
from . import wrap
from .host import Host, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._platforms.platform import Header
    from .._record.invocation import Invocation


def decorated(function: Any, settings: Mapping[str, Any], name: str, host: Callable[[], Host[Any]]) -> Any:
    """Wrap a function as the decorator of this name does; one that is already wrapped stays as it is."""
    wrap.check_function(function, f"{name} decorates a function", classes=False)
    return function if wrap.is_marked(function) else wrap.mark(wrap.traced(function, host(), settings))


class FrozenHost(Host[Request]):
    """Such a platform as a host, except for `read`.

    Events are sent before the function returns. With `flush_mode="after_response"` a thread sends them, as far as it
    gets before the process is frozen.
    """

    def process_stays_alive(self, invocation: Invocation) -> bool:
        container = _process.current()
        return container is not None and container.settings.flush_mode == "after_response"

    def result(self, result: Any) -> Result:
        status = result.get("statusCode") if isinstance(result, dict) else None
        return Result(status) if isinstance(status, int) and 100 <= status <= 599 else NO_RESULT


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
