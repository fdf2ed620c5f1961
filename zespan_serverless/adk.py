"""Google's Agent Development Kit: a plugin for its runner, which `adk api_server`, Cloud Run and Agent Engine use."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from google.adk.plugins.base_plugin import BasePlugin  # pyright: ignore[reportMissingImports]

from . import _process
from . import settings as _settings
from ._base.guard import Guarded
from ._observe import wrap
from ._observe.host import Host
from ._observe.web import address, note_inner_error
from ._platforms.detect import detect
from ._record.invocation import Description, Invocation
from ._trace.context import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType
    from typing import Unpack

    from ._observe.active import ActiveInvocation
    from ._observe.host import Scope
    from .settings import SettingsKwargs

__all__ = ["ZespanPlugin"]

_CO_ASYNC_GENERATOR = 0x200
_ENGINE = "GOOGLE_CLOUD_AGENT_ENGINE_ID"


class ZespanPlugin(BasePlugin):  # type: ignore[misc, unused-ignore]
    """Traces every run of an agent, and delivers its events before the end of the run's response::

        app = AdkApp(agent=root_agent, plugins=[ZespanPlugin()])        # Agent Engine
        app = App(name="chat", root_agent=root_agent, plugins=[ZespanPlugin()])
        adk api_server --extra_plugins zespan_serverless.adk.ZespanPlugin

    Takes every setting by keyword (see `Settings`); raises ConfigurationError for one that does not exist. It returns
    nothing to ADK, so that no run and no answer changes.

    On Agent Engine and on Cloud Run a process gets CPU only during requests: the end of a run, after its last event, is
    held until the telemetry has been sent, at most for `flush_timeout`. Elsewhere a thread sends it. A client continues
    its trace with `run_config={"custom_metadata": trace_headers()}`, because Agent Engine forwards no headers.
    """

    def __init__(self, name: str = "zespan", **settings: Unpack[SettingsKwargs]) -> None:
        super().__init__(name=name)
        self._arguments = _settings.check(settings)
        self._prepare()

    def _prepare(self) -> None:
        self._tracer: wrap.Tracer[Any] | None = None  # made where the agent runs, not where it is deployed from
        self._runs: dict[str, _Run] = {}

    def __getstate__(self) -> dict[str, Any]:  # Agent Engine gets a pickled application
        return {name: value for name, value in vars(self).items() if name not in ("_tracer", "_runs")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def __deepcopy__(self, memo: object) -> ZespanPlugin:  # of `AdkApp.clone`
        return type(self)(self.name, **self._arguments)  # pyright: ignore[reportArgumentType]

    async def before_run_callback(self, *, invocation_context: Any) -> None:
        with Guarded("the start of a run"):
            if self._tracer is None:
                self._tracer = wrap.Tracer(AdkHost(), self._arguments)
            task = asyncio.current_task()
            for id, run in list(self._runs.items()):
                if run.task is task and run.is_left():
                    self._drop(id, None)
            active: Any = self._tracer.open_call((invocation_context,), {})
            if active is not None and task is not None:
                id = invocation_context.invocation_id
                ended = functools.partial(self._task_ended, id)
                self._runs[id] = _Run(active, task, ended, _generator())
                task.add_done_callback(ended)  # ADK calls no plugin when a task is cancelled
                active.begin()

    async def after_run_callback(self, *, invocation_context: Any) -> None:
        with Guarded("the end of a run"):
            active = self._ended(invocation_context.invocation_id)
            if active is not None:
                await active.returned_async(None)

    async def on_run_error_callback(self, *, invocation_context: Any, error: Exception) -> None:
        with Guarded("the end of a run"):
            active = self._ended(invocation_context.invocation_id)
            if active is not None:
                await active.raised_async(error)
            else:
                note_inner_error(error)  # for the middleware around it, if that responds with a failure

    def _ended(self, id: str) -> ActiveInvocation | None:
        run = self._runs.pop(id, None)
        if run is None:
            return None
        run.task.remove_done_callback(run.ended)
        return run.active

    def _task_ended(self, id: str, task: asyncio.Task[Any]) -> None:
        with Guarded("the end of a run"):
            self._drop(id, asyncio.CancelledError() if task.cancelled() else None)

    def _drop(self, id: str, error: BaseException | None) -> None:
        """End a run of which ADK does not tell the end. Does not wait."""
        active = self._ended(id)
        if active is not None:
            active.close(error)
            active.leave()


class _Run:
    """A run under way: the task that it is in, and the frame of the runner's generator, if it was found."""

    def __init__(
        self,
        active: ActiveInvocation,
        task: asyncio.Task[Any],
        ended: Callable[[Any], object],
        generator: FrameType | None,
    ) -> None:
        self.active, self.task, self.ended, self._generator = active, task, ended, generator

    def is_left(self) -> bool:
        """Whether this code, in the run's task, is not called by the run: its caller has left the `async for`."""
        return self._generator is not None and all(frame is not self._generator for frame in _callers())


def _generator() -> FrameType | None:
    """Return the frame of the innermost asynchronous generator that calls this."""
    return next((frame for frame in _callers() if frame.f_code.co_flags & _CO_ASYNC_GENERATOR), None)


def _callers() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


class AdkHost(Host[Any]):
    """The runner's answers to the core's questions. Its request is ADK's InvocationContext."""

    one_at_a_time = False

    def __init__(self) -> None:
        self._platform, self._is_engine = detect(), _ENGINE in os.environ

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return args[0]

    def read(self, request: Any) -> Invocation:
        told = getattr(request.run_config, "custom_metadata", None) or {}
        attributes = {"faas.trigger": "other", "gen_ai.agent.name": request.agent.name, "gcp.adk.app": request.app_name}
        return Invocation(
            request.invocation_id, request.agent.name, caller_of(told.get), None, lambda: Description(attributes)
        )

    def scope(self, active: ActiveInvocation, request: Any) -> Scope:
        address(active.span, request.session.user_id, request.session.id)
        return active

    def resource(self) -> Mapping[str, object]:
        if not self._is_engine:
            return self._platform.attributes
        environ = os.environ
        return {
            **self._platform.attributes,
            "cloud.provider": "gcp",
            "cloud.platform": "gcp_agent_engine",
            "cloud.region": environ.get("GOOGLE_CLOUD_AGENT_ENGINE_LOCATION") or environ.get("GOOGLE_CLOUD_LOCATION"),
            "cloud.account.id": environ.get("GOOGLE_CLOUD_PROJECT"),
            "faas.instance": environ.get(_ENGINE),
        }

    def process_stays_alive(self, invocation: Invocation) -> bool:
        container = _process.current()
        if container is not None and container.settings.flush_mode == "after_response":
            return True
        return self._platform.keeps_cpu and not self._is_engine
