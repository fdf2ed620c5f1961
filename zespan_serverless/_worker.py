"""Shared by the workers of task queues: what a message becomes, and the end of a worker's process."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import _process
from . import settings as _settings
from ._base.guard import Guarded
from ._platforms.platform import countdown
from ._process import sigterm
from ._record.invocation import Description, Invocation
from ._trace import Caller, caller_of, parse_traceparent
from .tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._trace.context import Carrier


def checked(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the settings of a worker. Raise ConfigurationError for one that does not exist.

    Processes of workers are killed routinely, so the journal is on by default. A process that something else has
    configured keeps its settings.
    """
    given = _settings.check(settings)
    return given if "journal" in given or "ZESPAN_JOURNAL" in os.environ else {"journal": "on", **given}


def task_of(
    settings: Mapping[str, Any],
    subject: object,
    read: Callable[[], tuple[str, str, Carrier, Mapping[str, object]]],
    *,
    seconds: Any = None,
    is_killed: bool = True,
    is_last: bool = False,
    trace_id: str = "",
) -> Task:
    """Return the task of one message. `read` returns its id, its name, a getter for headers, and attributes.

    `seconds` is its time limit; anything but a number above 0, such as infinity, means that it has none. `is_killed`
    says whether the process ends with it. `is_last`: see `TaskHost`. `trace_id` is the trace of a message without a
    trace context, if it has 32 hex digits.
    """

    def invocation() -> Invocation:
        id, name, carrier, attributes = read()
        said = Description({"faas.trigger": "pubsub", **attributes})
        parent = None
        with Guarded("the trace context of a message"):  # which any program may have written
            parent = caller_of(carrier)
        if parent is None and parse_traceparent(f"00-{trace_id}-{'1' * 16}-01") is not None:
            parent = Caller(trace_id)
        has_limit = isinstance(seconds, (int, float)) and 0 < seconds < 1e9
        remaining = countdown(seconds) if has_limit else None
        return Invocation(id, name, parent, remaining, lambda: said, is_killed=is_killed)

    container = _process.current()
    if container is not None and container.settings.journal != "on" and settings.get("journal") == "on":
        settings = {name: settings[name] for name in settings if name != "journal"}
    return Task(invocation, settings, is_last=is_last, subject=subject)


def prepare() -> None:
    """Import what a trace with a model call needs, before the process is forked for each task."""
    with Guarded("the imports of a worker"):
        for name in ("_delivery.journal", "_http.client", "exporters._event", "exporters.zespan"):
            import_module(f"{__package__}.{name}")
        for name in ("_call", "_patch", "_prices", "_stainless"):
            import_module(f"{__package__}.providers.{name}")


def finish(*, is_end: bool = True) -> None:
    """Flush at the end of a worker's process, which may run no atexit functions.

    What cannot be sent stays in the journal for the next process, or is counted and logged as dropped. Without `is_end`
    that is left to the end of the process: a worker that is part of another program stops before that.
    """
    with Guarded("the end of a worker"):
        sigterm.rearm()  # Celery gives up its handler at the first signal, and a second one may follow
        container = _process.current()
        if container is not None:
            try:
                report = container.delivery.flush(container.settings.flush_timeout, probe=True, last=True)
                container.delivery.notify(report, 0)
            finally:  # also if a second signal says that the process is to end now
                if is_end and not container.active:
                    container.delivery.close_at_exit(0)
