"""The time left in the current invocation."""

from __future__ import annotations

from .. import _trace
from .._base.guard import pass_on


def time_left() -> float | None:
    """Return the seconds until the host ends the current invocation; 0.0 after that.

    None outside an invocation, while telemetry is off, and if the host sets no deadline. Works in the threads and tasks
    of the invocation. On a host that serves several at once, your own thread must run in the context of its invocation
    (`contextvars.copy_context().run`), otherwise the result is None. Never raises.
    """
    try:
        here = _trace.current()
        active = None if here is None else here.root.invocation()
        clock = None if active is None else active.invocation.remaining
        return None if clock is None else max(0.0, float(clock()))  # max(0.0, nan) is 0.0
    except Exception as error:  # a context of another type
        pass_on(error)
        return None
