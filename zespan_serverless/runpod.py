"""RunPod serverless: `@zespan_runpod`, for the handler of a worker."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import _trace
from ._base import aio
from ._base.guard import Guarded
from ._calls import JobHost, decorated
from ._observe import wrap
from ._record.invocation import NO_RESULT, Result

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
    from typing import Unpack

    from ._observe.active import ActiveInvocation
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

        from zespan_serverless.runpod import zespan_runpod

        @zespan_runpod
        def handler(job): ...

        runpod.serverless.start({"handler": handler})

    For `def`, `async def`, and generators of both kinds, whose job ends with the last piece. Takes every setting by
    keyword (see `Settings`); raises ConfigurationError for an unknown one. The handler keeps its kind; its result, its
    pieces and its exceptions pass through unchanged. A job that answers `{"error": ...}` is recorded as failed.

    A client continues its trace with `{"input": {..., **trace_headers()}}`, because RunPod passes on nothing else. The
    result waits for the events for at most `flush_timeout` seconds, because a worker may be stopped as soon as it has
    no job. With `flush_mode="after_response"` a thread sends them. https://docs.runpod.io/serverless/workers/overview
    """
    return wrap.configured(function, settings, _decorate)


def _decorate(function: Any, settings: Mapping[str, Any]) -> Any:
    watched: Any = function
    if callable(function) and not wrap.is_marked(function):
        kind = aio.kind(function)
        if kind in ("generator", "async generator"):
            watched = _pieces(watched) if kind == "generator" else _pieces_async(watched)
    return decorated(watched, settings, "zespan_runpod", RunPodHost)


class RunPodHost(JobHost):
    """The worker's answers to the core's questions. Its request is a job: `id`, `input`, and more."""

    def details(self, request: Any) -> tuple[str | None, Carrier | None, Mapping[str, object]]:
        job = request if isinstance(request, dict) else {}
        given = job.get("input")
        carrier = given.get if isinstance(given, dict) else None
        return (str(job["id"]) if job.get("id") else None), carrier, {}

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


def _ended(answer: object) -> ActiveInvocation | None:
    """End the job if this piece is an error, because RunPod asks for no other. Return it if it has to be settled."""
    error, here = _error(answer), _trace.current()
    active: Any = None if error is None or here is None else here.root.invocation()
    if not isinstance(getattr(active, "host", None), RunPodHost):
        return None
    active.close(None, Result(error_type="error", error_message=error))
    return active  # type: ignore[no-any-return]


def _pieces(function: Callable[..., Generator[Any]]) -> Callable[..., Iterator[Any]]:
    @functools.wraps(function)
    def pieces(*args: Any, **kwargs: Any) -> Iterator[Any]:
        source = function(*args, **kwargs)
        try:
            for piece in source:
                with Guarded("the end of a job"):
                    active = _ended(piece)
                    if active is not None:
                        active.settle()
                yield piece
        finally:
            source.close()

    return pieces


def _pieces_async(function: Callable[..., AsyncGenerator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    @functools.wraps(function)
    async def pieces(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        source = function(*args, **kwargs)
        try:
            async for piece in source:
                with Guarded("the end of a job"):
                    active = _ended(piece)
                    if active is not None:
                        await active.settle_async()
                yield piece
        finally:
            await source.aclose()

    return pieces
