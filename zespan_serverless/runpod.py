"""RunPod serverless: `@zespan_runpod`, for the handler of a worker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._calls import JobHost, decorated
from ._observe import wrap
from ._observe.active import CLOSED
from ._observe.awaited import Awaited
from ._record.invocation import NO_RESULT, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from ._observe.active import ActiveInvocation
    from ._observe.host import Scope
    from ._trace.context import Carrier
    from .settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_runpod"]


@overload
def zespan_runpod(function: F, /) -> F: ...
@overload
def zespan_runpod(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_runpod(function: Any = None, /, **settings: Any) -> Any:
    """Trace every job of a RunPod worker, and deliver its events before the job's result is posted::

        @zespan_runpod
        def handler(job): ...

        runpod.serverless.start({"handler": handler})

    For `def`, `async def`, and generators of both kinds, whose job ends with the last piece. Takes every setting by
    keyword (see `Settings`); raises ConfigurationError for an unknown one. The handler's result, pieces and exceptions
    pass through unchanged. A job that answers `{"error": ...}` is recorded as failed.

    A client continues its trace with `{"input": {..., **trace_headers()}}`, because RunPod passes on nothing else. The
    result waits for the events for at most `flush_timeout` seconds, because a worker may be stopped as soon as it has
    no job. With `flush_mode="after_response"` a thread sends them. https://docs.runpod.io/serverless/workers/overview
    """
    return wrap.configured(function, settings, _decorate)


def _decorate(function: Any, settings: Mapping[str, Any]) -> Any:
    return decorated(function, settings, "zespan_runpod", RunPodHost)


class RunPodHost(JobHost):
    """The worker's answers to the core's questions. Its request is a job: `id`, `input`, and more."""

    def details(self, request: Any) -> tuple[str | None, Carrier | None, Mapping[str, object]]:
        job = request if isinstance(request, dict) else {}
        given = job.get("input")
        carrier = given.get if isinstance(given, dict) else None
        return (str(job["id"]) if job.get("id") else None), carrier, {}

    def scope(self, active: ActiveInvocation, request: Any) -> Scope:
        return _Job(active)

    def resource(self) -> Mapping[str, object]:
        """https://docs.runpod.io/serverless/development/environment-variables."""
        environ = os.environ
        return {
            "cloud.provider": "runpod",
            "cloud.region": environ.get("RUNPOD_DC_ID"),
            "faas.instance": environ.get("RUNPOD_POD_ID"),
            "runpod.endpoint.id": environ.get("RUNPOD_ENDPOINT_ID"),
        }

    def result(self, result: Any) -> Result:
        error = _error(result)
        return NO_RESULT if error is None else Result(error_type="error", error_message=error)


def _error(answer: object) -> str | None:
    """Return the error in a result or piece, which RunPod takes for a failure of the job."""
    error = answer.get("error") if isinstance(answer, dict) else None
    return str(error) if error else None


class _Job(Awaited):
    """One job, which a piece with an error ends, because RunPod asks for no other."""

    def produced(self, piece: object) -> None:
        if self._is_ended_by(piece):
            self.active.settle()

    async def produced_async(self, piece: object) -> None:
        if self._is_ended_by(piece):
            await self.active.settle_async()

    def _is_ended_by(self, piece: object) -> bool:
        error = _error(piece)
        if error is None or self.active.state >= CLOSED:
            return False
        self.active.close(None, Result(error_type="error", error_message=error))
        return True
