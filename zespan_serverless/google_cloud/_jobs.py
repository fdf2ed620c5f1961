"""Cloud Run jobs: `@zespan_job`."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import settings as _settings
from .._platforms import google
from .._trace.context import parse_traceparent
from ..errors import ConfigurationError
from ..jobs import Run, RunHost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from .._record.invocation import Invocation
    from ..settings import SettingsKwargs

    F = TypeVar("F", bound=Callable[..., Any])


@overload
def zespan_job(main: F, /) -> F: ...
@overload
def zespan_job(**settings: Unpack[SettingsKwargs]) -> Callable[[F], F]: ...
def zespan_job(main: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Trace the run of a Cloud Run job's task, and deliver its events before the process ends.

        @zespan_job
        def main(): ...

        if __name__ == "__main__":
            main()

    For `def` and `async def`. Takes every setting by keyword (see `Settings`); raises ConfigurationError while
    decorating for one that does not exist. What comes out of `main` is its own: result, exception, or `sys.exit`
    with its code. At the end everything is delivered, for up to 10 s while the backend is away. When the task is told
    to stop (SIGTERM: its timeout is over, or its execution is cancelled), what there is is sent within `flush_timeout`.

    Execution, task index, attempt and count are attributes of its event. The run continues the trace of `TRACEPARENT`
    in the environment, which the overrides of an execution can set.
    https://cloud.google.com/run/docs/container-contract#jobs-env-vars
    """
    if main is None:
        _settings.check(settings)
        return functools.partial(zespan_job, **settings)
    if not callable(main):
        raise ConfigurationError(f"zespan_job decorates a function; settings go by keyword. Got {main!r}")
    name = os.environ.get("CLOUD_RUN_JOB") or getattr(main, "__name__", "") or "job"
    return Run(name, _settings.check(settings), _JobHost(name))(main)


class _JobHost(RunHost):
    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Invocation:
        run, execution = super().read(args, kwargs), os.environ.get("CLOUD_RUN_EXECUTION")
        return run.replaced(id=execution, parent=parse_traceparent(os.environ.get("TRACEPARENT")))

    def describe(self) -> Mapping[str, object]:
        known = google.attributes() if "CLOUD_RUN_JOB" in os.environ else {}
        return {"faas.trigger": "other", **super().describe(), **known}
