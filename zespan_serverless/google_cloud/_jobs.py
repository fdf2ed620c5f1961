"""Cloud Run jobs: `@zespan_job`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .._observe import wrap
from .._platforms import google
from ..jobs import RunHost

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
def zespan_job(main: Any = None, /, **settings: Any) -> Any:
    """Trace the run of a Cloud Run job's task, and deliver its events before the process ends::

        @zespan_job
        def main(): ...

        if __name__ == "__main__":
            main()

    For `def`, `async def` and generators. Takes every setting by keyword (see `Settings`); raises ConfigurationError
    for an unknown one. The result, exception or `sys.exit` code of `main` passes through unchanged. At the end
    everything is delivered, which takes up to 10 s if the backend is unreachable. If the task is stopped by SIGTERM
    (its timeout expires, or its execution is cancelled), pending events are sent within `flush_timeout`.

    Execution, task index, attempt and count are attributes of its event. The run continues the trace of `TRACEPARENT`
    in the environment, which the overrides of an execution can set.
    https://cloud.google.com/run/docs/container-contract#jobs-env-vars
    """
    return wrap.configured(main, settings, _decorate)


def _decorate(main: Any, settings: Mapping[str, Any]) -> Any:
    wrap.check_function(main, "zespan_job decorates a function")
    name = os.environ.get("CLOUD_RUN_JOB") or getattr(main, "__name__", "") or "job"
    return wrap.traced(main, _JobHost(name), settings)


class _JobHost(RunHost):
    def read(self, request: Any) -> Invocation:
        run, execution = super().read(request), os.environ.get("CLOUD_RUN_EXECUTION")
        return run.replaced(id=execution)

    def resource(self) -> Mapping[str, object]:
        return google.attributes() if "CLOUD_RUN_JOB" in os.environ else {}

    def attributes(self) -> Mapping[str, object]:
        return {"faas.trigger": "other", **super().attributes()}
