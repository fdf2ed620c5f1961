"""Celery: `zespan_celery(app)` traces every task, by Celery's signals."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import _worker
from ._base.guard import Guarded
from ._outbound.headers import trace_headers
from ._process.container import time_left
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from typing import TypeVar, Unpack

    from .settings import SettingsKwargs
    from .tasks import Task

    App = TypeVar("App")

_SIGNALS = (*("before_task_publish", "task_prerun", "task_postrun", "worker_process_shutdown", "worker_shutdown"),)


def zespan_celery(app: App, /, **settings: Unpack[SettingsKwargs]) -> App:
    """Trace every task of a Celery application: call it once, where the application is defined, and keep the result::

        app = zespan_celery(Celery("tasks", broker="redis://"))

    Each attempt of a task sends one root event with its name, queue, state and worker. Tasks that are published inside
    a traced request, function or task belong to its trace, and so do all tasks of a group, chain or chord. Works in
    every pool. Events are sent in the background, and at the end of each process of the worker.

    Takes every setting by keyword (see `Settings`); raises ConfigurationError for one that does not exist. The journal
    is on unless `journal` or ZESPAN_JOURNAL says otherwise. `user_id` and `session_id` are called with the task, whose
    `request` has `args` and `kwargs`.
    """
    if not hasattr(app, "send_task"):
        raise ConfigurationError(f"zespan_celery takes a Celery application: zespan_celery(app). Got {app!r}")
    from celery import signals  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]

    tracer = _Tracer(app, _worker.checked(settings))
    for name in _SIGNALS:
        getattr(signals, name).connect(getattr(tracer, name), weak=False, dispatch_uid=f"zespan {name} {id(app)}")
    return app


class _Tracer:
    """The receivers of one application's signals. What they raise Celery would log at every task."""

    def __init__(self, app: Any, settings: Mapping[str, Any]) -> None:
        self._app, self._settings = app, settings
        self._open: dict[int, Task] = {}  # by the id of the task's request, which lives until the task has ended

    def before_task_publish(self, headers: MutableMapping[str, Any], **_: Any) -> None:
        """Add the trace context to a message. A retry keeps that of the first attempt."""
        with Guarded("the publication of a task"):
            if headers.get("traceparent") is None:
                headers.update(trace_headers())

    def task_prerun(self, task: Any, **_: Any) -> None:
        with Guarded("the start of a task"):
            if task.app != self._app:
                return
            request = task.request
            hard, _soft = request.timelimit or (None, None)
            scope = _worker.task_of(
                self._settings,
                task,
                lambda: (request.id, task.name, lambda name: _header(request, name), _attributes(request)),
                seconds=None if request.is_eager else hard,  # which only a worker enforces
            )
            self._open[id(request)] = scope
            scope.__enter__()

    def task_postrun(self, task: Any, retval: Any = None, state: str | None = None, **_: Any) -> None:
        with Guarded("the end of a task"):
            scope = self._open.pop(id(task.request), None)
            if scope is not None:
                error = _outcome(scope, task.request, retval, state)
                scope.__exit__(type(error) if error is not None else None, error, None)

    def worker_process_shutdown(self, **_: Any) -> None:
        _worker.finish()

    def worker_shutdown(self, **_: Any) -> None:
        _worker.finish(is_end=False)  # the main process runs atexit functions


def _header(request: Any, name: str) -> object:
    """Return a header of a task's message; those of an eager task are only in `headers`."""
    return request.get(name) or (request.headers or {}).get(name)


def _attributes(request: Any) -> Mapping[str, object]:
    """Return what the message says of a task."""
    delivery = request.delivery_info or {}
    return {
        "messaging.system": "celery",
        "messaging.destination.name": delivery.get("routing_key"),
        "messaging.message.id": request.id,
        "celery.retries": request.retries,
        "celery.eta": request.eta,
        "celery.worker": request.hostname,
        "celery.root_id": request.root_id,
        "celery.parent_id": request.parent_id,
        "celery.group": request.group,
        "celery.redelivered": delivery.get("redelivered") or None,
        "celery.eager": request.is_eager or None,
    }


def _outcome(scope: Task, request: Any, retval: Any, state: str | None) -> BaseException | None:
    """Note the task's state, and return the error that its attempt has failed with."""
    scope["celery.state"] = state
    if state == "FAILURE":
        return retval if isinstance(retval, BaseException) else None
    if state == "RETRY":
        reason = getattr(retval, "exc", None)
        return reason if isinstance(reason, BaseException) else None
    raised = sys.exception() if state is None else None  # its process is being ended, by a time limit or a signal
    if isinstance(raised, SystemExit):
        scope["celery.state"] = "TERMINATED"
        if time_left() == 0:
            scope.fail("the task has exceeded its time limit", "TimeLimitExceeded")
        else:
            scope.fail("the process of the task was terminated", "Terminated")
        return None
    return raised
