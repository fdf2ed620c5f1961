"""How long the invocation under way has left."""

from __future__ import annotations

from .. import _trace
from .._base.guard import pass_on


def time_left() -> float | None:
    """Seconds until the host ends the invocation under way; 0.0 when that time has come.

    None outside an invocation, where the host sets no deadline, and while telemetry is off. It holds in the threads and
    tasks of the invocation; on a host that serves several at once, a thread of your own belongs to the invocation whose
    context it runs in (`contextvars.copy_context().run`), and gives None without one. Never raises.
    """
    try:
        here = _trace.current()
        active = None if here is None else here.root.invocation()
        clock = None if active is None else active.invocation.remaining
        return None if clock is None else max(0.0, float(clock()))  # max(0.0, nan) is 0.0
    except Exception as error:  # a context of another make
        pass_on(error)
        return None
