"""Shared by hosts that call a function with an input, and may stop the process as soon as they have its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _process
from ._base.guard import Guarded
from ._observe import wrap
from ._observe.host import Host
from ._record.invocation import Description, Invocation
from ._trace.context import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ClassVar

    from ._trace.context import Carrier


class CallHost(Host[Any]):
    """The answers of such a host; a subclass implements `told`. Its request is the function's first argument.

    The result waits until the events have been sent, for at most `flush_timeout` seconds, because nothing runs for
    certain after it. With `flush_mode="after_response"` a thread sends them, and so it does if `keeps_cpu`.
    """

    one_at_a_time = False
    keeps_cpu: ClassVar[bool] = False
    """Whether the process continues to run after a result, until it ends in an orderly way."""

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return next(iter((*args, *kwargs.values())), None)

    def told(self, request: Any) -> tuple[str | None, Carrier | None, Mapping[str, object]]:
        """Return the id of this call, the getter of the caller's headers, and attributes for the event."""
        raise NotImplementedError

    def read(self, request: Any) -> Invocation:
        id, carrier, attributes = self.told(request)
        parent = None
        with Guarded("the caller of a function"):
            parent = None if carrier is None else caller_of(carrier)
        return Invocation(id, "", parent, None, lambda: Description({"faas.trigger": "other", **attributes}))

    def process_stays_alive(self, invocation: Invocation) -> bool:
        container = _process.current()
        mode = "auto" if container is None else container.settings.flush_mode
        return mode == "after_response" or (self.keeps_cpu and mode != "before_return")


def decorated(function: Any, settings: Mapping[str, Any], name: str, make_host: Callable[[], CallHost]) -> Any:
    """Trace each call of a function, once. `name` is that of the decorator."""
    wrap.check_function(function, f"{name} decorates a function", classes=False)
    if wrap.is_marked(function):
        return function
    return wrap.mark(wrap.traced(function, make_host(), settings))
