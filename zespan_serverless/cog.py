"""Cog, the containers that Replicate runs: `@zespan_cog`, for the method that predicts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._calls import JobHost, decorated
from ._observe import wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from ._trace.context import Carrier
    from .settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["zespan_cog"]


@overload
def zespan_cog(function: F, /) -> F: ...
@overload
def zespan_cog(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_cog(function: Any = None, /, **settings: Any) -> Any:
    """Trace every prediction of a Cog model, and deliver its events before its last output::

        class Runner(BaseRunner):
            @zespan_cog
            def run(self, prompt: str = Input()) -> str: ...

    For `run` and `predict`, `def` and `async def`, and for iterators, whose prediction ends with the last piece. Takes
    every setting by keyword (see `Settings`); raises ConfigurationError for an unknown one. Signature, outputs and
    exceptions stay as they are. Functions that read a user or a session are called with a dict of the inputs.

    A client continues its trace with `"context": trace_headers()` beside `"input"`. The last output waits for the
    events for at most `flush_timeout` seconds, because the container may be stopped when it has no prediction. With
    `flush_mode="after_response"` a thread sends them. https://cog.run/python
    """
    return wrap.configured(function, settings, _decorate)


def _decorate(function: Any, settings: Mapping[str, Any]) -> Any:
    traced = decorated(function, settings, "zespan_cog", CogHost)
    if traced is not function:
        import inspect

        traced.__signature__ = inspect.signature(function)  # for cog's `getfullargspec`, which follows no wrapper
    return traced


class CogHost(JobHost):
    """Cog's answers to the core's questions. Its request is a dict of the inputs."""

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return dict(kwargs)

    def details(self, request: Any) -> tuple[str | None, Carrier | None, Mapping[str, object]]:
        scope = getattr(sys.modules.get("cog"), "current_scope", None)
        context = getattr(None if scope is None else scope(), "context", None)
        return None, context.get if isinstance(context, dict) else None, {"faas.trigger": "http"}

    def resource(self) -> Mapping[str, object]:
        return {"cloud.platform": "cog"}
