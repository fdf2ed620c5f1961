"""Vercel Workflows: `@zespan_vercel_step`, for steps of the package `vercel-workflow`.

A workflow is replayed in a sandbox, which imports the user's module anew. So this module imports nothing there that
needs threads, sockets or signals.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from ..settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_vercel_step"]


@overload
def zespan_vercel_step(function: F, /) -> F: ...
@overload
def zespan_vercel_step(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_vercel_step(function: Any = None, /, **settings: Any) -> Any:
    """Trace every attempt of a step, and deliver its events before the workflow goes on::

        @wf.step
        @zespan_vercel_step
        async def summarize(text: str) -> str: ...

    The steps of a run are one trace: that of a `traceparent` in a step's first argument, if that is a dict, or one of
    the run. Takes every setting by keyword (see `Settings`); raises ConfigurationError for an unknown one. The step's
    result and its exceptions, such as `RetryableError`, pass through unchanged. The workflow waits for the events for
    at most `flush_timeout` seconds, because the function may be suspended afterwards.

    Workflows are not traced, because they are replayed, and no network is allowed in them.
    """
    if type(os) is not ModuleType:  # a proxy in the sandbox, where no step is run
        return (lambda step: step) if function is None else function
    from .._calls import decorated
    from .._observe import wrap
    from ._host import StepHost

    return wrap.configured(
        function, settings, lambda step, given: decorated(step, given, "zespan_vercel_step", StepHost)
    )
