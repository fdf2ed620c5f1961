"""Temporal: `ZespanInterceptor` traces every attempt of an activity, and nothing of a workflow's replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporalio import activity, client, worker, workflow  # pyright: ignore[reportMissingImports]
from temporalio.api.common.v1 import Payload  # pyright: ignore[reportMissingImports]
from temporalio.exceptions import CancelledError  # pyright: ignore[reportMissingImports]

with workflow.unsafe.imports_passed_through():  # a workflow's sandbox would import them anew
    from . import _worker
    from ._base.guard import FROM_HOSTS
    from ._outbound.headers import trace_headers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from .settings import SettingsKwargs

__all__ = ["ZespanInterceptor"]

_NAMES = ("traceparent", "tracestate", "baggage")
_ENCODING = {"encoding": b"text/plain"}
FROM_HOSTS.append(CancelledError)  # in the thread of an activity that is cancelled


class ZespanInterceptor(client.Interceptor, worker.Interceptor):  # type: ignore[misc]
    """Traces each attempt of an activity as one root event::

        client = await Client.connect("localhost:7233", interceptors=[ZespanInterceptor()])

    Workers of that client have it, too. All activities of a workflow belong to one trace: that of the code that starts
    the workflow, or one of their own. Events are sent in the background. Takes every setting by keyword (see
    `Settings`); raises ConfigurationError for one that does not exist. The journal is on unless `journal` or
    ZESPAN_JOURNAL says otherwise. `user_id` and `session_id` are called with `activity.info()`.
    """

    def __init__(self, **settings: Unpack[SettingsKwargs]) -> None:
        self._settings = _worker.checked(settings)

    def intercept_client(self, next: Any) -> Any:
        return _Client(next)

    def intercept_activity(self, next: Any) -> Any:
        return _Activity(next, self._settings)

    def workflow_interceptor_class(self, input: Any) -> Any:
        return _Workflow


class _Client(client.OutboundInterceptor):  # type: ignore[misc]
    async def start_workflow(self, input: Any) -> Any:
        _carry(input)
        return await super().start_workflow(input)

    async def start_activity(self, input: Any) -> Any:
        _carry(input)
        return await super().start_activity(input)

    async def start_update_with_start_workflow(self, input: Any) -> Any:
        _carry(input.start_workflow_input)
        return await super().start_update_with_start_workflow(input)


class _Workflow(worker.WorkflowInboundInterceptor):  # type: ignore[misc]
    """Hands the trace context of a workflow on to what it starts. Deterministic: it records nothing."""

    def init(self, outbound: Any) -> None:
        self.carried: Mapping[str, Any] = {}
        super().init(_FromWorkflow(outbound, self))

    async def execute_workflow(self, input: Any) -> Any:
        self.carried = {name: input.headers[name] for name in _NAMES if name in input.headers}
        return await super().execute_workflow(input)


class _FromWorkflow(worker.WorkflowOutboundInterceptor):  # type: ignore[misc]
    def __init__(self, next: Any, inbound: _Workflow) -> None:
        super().__init__(next)
        self._inbound = inbound

    def _carrying(self, input: Any) -> Any:
        input.headers = {**input.headers, **self._inbound.carried}
        return input

    def start_activity(self, input: Any) -> Any:
        return super().start_activity(self._carrying(input))

    def start_local_activity(self, input: Any) -> Any:
        return super().start_local_activity(self._carrying(input))

    async def start_child_workflow(self, input: Any) -> Any:
        return await super().start_child_workflow(self._carrying(input))

    def continue_as_new(self, input: Any) -> Any:
        return super().continue_as_new(self._carrying(input))


class _Activity(worker.ActivityInboundInterceptor):  # type: ignore[misc]
    def __init__(self, next: Any, settings: Mapping[str, Any]) -> None:
        super().__init__(next)
        self._settings = settings

    async def execute_activity(self, input: Any) -> Any:
        info, headers = activity.info(), input.headers
        limit = info.start_to_close_timeout
        task = _worker.task_of(
            self._settings,
            info,
            lambda: (_id(info), info.activity_type, lambda name: _text(headers.get(name)), _attributes(info)),
            seconds=limit.total_seconds() if limit else None,
            is_killed=False,
            trace_id=_run_id(info).replace("-", ""),
        )
        async with task:
            try:
                return await super().execute_activity(input)
            except BaseException as error:
                if type(error).__name__ != "_CompleteAsyncError":
                    raise
                later = error  # no failure: somebody else completes the activity
                task["temporal.completes_later"] = True
        raise later


def _carry(input: Any) -> None:
    """Add the trace context to what starts a workflow."""
    headers = trace_headers()
    payloads = {name: Payload(metadata=_ENCODING, data=headers[name].encode()) for name in headers}
    input.headers = {**input.headers, **payloads}


def _text(payload: Any) -> str | None:
    return None if payload is None else bytes(payload.data).decode("latin-1")


def _run_id(info: Any) -> str:
    """Return the id of the workflow's run, or that of an activity without a workflow."""
    return info.workflow_run_id or getattr(info, "activity_run_id", None) or ""


def _id(info: Any) -> str:
    return f"{_run_id(info)}/{info.activity_id}/{info.attempt}"


def _attributes(info: Any) -> Mapping[str, object]:
    """Return the attributes of an attempt."""
    return {
        "faas.trigger": "other",
        "temporal.namespace": getattr(info, "namespace", None) or info.workflow_namespace,
        "temporal.task_queue": info.task_queue,
        "temporal.workflow.type": info.workflow_type,
        "temporal.workflow.id": info.workflow_id,
        "temporal.workflow.run_id": info.workflow_run_id,
        "temporal.activity.id": info.activity_id,
        "temporal.attempt": info.attempt,
        "temporal.is_local": info.is_local or None,
    }
