"""What is measured on each host: how many of the captured events arrive, and how long a task or a response takes."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests import environments
from tests.agents.support import Runtime, series, stop_at_once, stop_when_idle
from tests.workers import support
from tests.workers.support import Worker
from zespan_serverless.testing import Backend

APPS = Path(__file__).parent / "apps"
LATENCY = 0.03  # seconds to the backend and back
WARM = 10  # tasks or requests that are not measured, while modules are imported and connections opened
TIMER = 2.0  # seconds between two requests of the official SDK

Measure = Callable[[int], float]
"""Performs so many tasks or requests, and returns the median of the milliseconds that one takes."""


class Found(NamedTuple):
    """The events that a run has captured, and those that have arrived."""

    captured: int
    arrived: int


class Sinks(NamedTuple):
    """A folder for what tasks note, a backend that is some way off, and a model."""

    folder: Path
    backend: Backend
    model: ModelEndpoint

    def found(self, how: str) -> Found:
        """Count the captured events, one for each model call and one for each task, and those that have arrived."""
        time.sleep(0.2)  # what a process that has ended has sent arrives
        each = 1 if how.startswith("sdk") else 2  # the official SDK has none for tasks
        return Found(each * len(self.model.requests), len({event["span_id"] for event in self.backend.events}))


class Queue(NamedTuple):
    """A task queue. `command` starts a worker, which finds the broker's address in BROKER, and how to trace in HOW.

    `ways` has the names of the ways to trace, `endings` further options by how the worker's processes end.
    """

    name: str
    ways: dict[str, str]
    endings: dict[str, list[str]]
    broker: str
    command: list[str]

    @property
    def environment(self) -> tuple[str, str]:
        """The group and the name of what has to be installed (tests/environments.py)."""
        return "workers", "queues"

    def run(self, how: str, ending: str, tasks: int) -> Found:
        """Perform tasks that are published before, and stop the worker when the last one has begun."""
        with _sinks() as sinks, self._variables(how, sinks) as env:
            self._publish(tasks, env)
            with self._worker(env, *self.endings[ending]) as worker:
                support.wait_for(env, tasks, worker, 120)
                assert worker.stop() == 0, worker.log
            return sinks.found(how)

    @contextmanager
    def running(self, how: str) -> Iterator[Measure]:
        """Run a worker. A task takes the time from its begin to that of the next one, while others are waiting."""
        with _sinks() as sinks, self._variables(how, sinks) as env, self._worker(env) as worker:

            def measure(count: int) -> float:
                done = len(support.lines(env))
                self._publish(count, env)
                support.wait_for(env, done + count, worker, 120)
                begun = [float(line) for line in support.lines(env)][done + count // 2 :]  # all had been published
                return statistics.median(after - before for before, after in itertools.pairwise(begun)) * 1000

            yield measure

    @contextmanager
    def _variables(self, how: str, sinks: Sinks) -> Iterator[dict[str, str]]:
        with support.redis_server() as redis:
            kind = "zespan_serverless.rq.ZespanWorker" if how == "package" else "rq.Worker"
            more = {"BROKER": self.broker.format(redis), "HOW": how, "CLASS": kind}
            model = {"OPENAI_BASE_URL": sinks.model.url, "OPENAI_API_KEY": "sk-test"}
            yield support.environment(sinks.folder, sinks.backend.url, **more, **model)

    def _publish(self, tasks: int, env: dict[str, str]) -> None:
        support.run(environments.installed(*self.environment), "tests.figures.apps.publish", self.name, tasks, env=env)

    def _worker(self, env: dict[str, str], *options: str) -> Worker:
        python = environments.installed(*self.environment)
        return Worker([str(python), "-m", *self.command, *options], env)


class Agent(NamedTuple):
    """A runtime of agents. `ways` has the names of the ways to trace, `endings` what stops it after a response."""

    name: str
    ways: dict[str, str]
    endings: dict[str, Callable[[Runtime, str], None]]
    variables: dict[str, str]

    @property
    def environment(self) -> tuple[str, str]:
        """The group and the name of what has to be installed (tests/environments.py)."""
        return "agents", self.name

    def run(self, how: str, ending: str, tasks: int, pause: float = TIMER + 0.2) -> Found:
        """Send requests, `pause` seconds apart; the process is stopped after each of them, and killed at the end."""

        def stop(runtime: Runtime, mount: str) -> None:
            self.endings[ending](runtime, mount)
            time.sleep(pause)

        with _sinks() as sinks, self._runtime(how, sinks) as runtime:
            assert set(series(runtime, ["/invocations"] * tasks, stop, {})) == {200}, runtime.log
            return sinks.found(how)

    @contextmanager
    def running(self, how: str) -> Iterator[Measure]:
        """Run a server. A request takes the time until its response is complete."""
        with _sinks() as sinks, self._runtime(how, sinks) as runtime:

            def measure(count: int) -> float:
                took = []
                for _ in range(count):
                    took.append(runtime.ask("/invocations", {"prompt": "Hi"}).seconds * 1000)
                    time.sleep(LATENCY * 2)  # what is sent after a response has been sent then
                return statistics.median(took)

            yield measure

    def _runtime(self, how: str, sinks: Sinks) -> Runtime:
        mode = {"HOW": "package", "ZESPAN_FLUSH_MODE": how} if "_" in how else {"HOW": how}
        app = str(APPS / f"on_{self.name}.py")
        return Runtime(self.name, app, sinks.backend, sinks.model.url, **self.variables, **mode)


def added(host: Queue | Agent, rounds: int, tasks: int) -> dict[str, list[float]]:
    """Return by how many ms a task or response takes longer than without tracing, in each round, for each way.

    All ways run in each round, one after the other, so that a slower machine is slower for all of them.
    """
    found: dict[str, list[float]] = {how: [] for how in host.ways}
    with ExitStack() as stack:
        measures = {how: stack.enter_context(host.running(how)) for how in ["bare", *host.ways]}
        for measure in measures.values():
            measure(WARM)
        for number in range(rounds):
            order = list(measures)[:: -1 if number % 2 else 1]
            took = {how: measures[how](tasks) for how in order}
            for how, each in found.items():
                each.append(took[how] - took["bare"])
    return found


@contextmanager
def _sinks() -> Iterator[Sinks]:
    with tempfile.TemporaryDirectory() as folder, Backend() as backend, ModelEndpoint(latency_ms=1) as model:
        backend.latency = LATENCY
        yield Sinks(Path(folder), backend, model)


_QUIET = ["-l", "error", "--without-gossip", "--without-mingle", "--without-heartbeat"]
_SDK = {"sdk": "official SDK", "sdk flush": "official SDK, `flush()` after each model call"}

HOSTS: dict[str, Queue | Agent] = {
    "celery": Queue(
        "celery",
        {
            "sdk": "official SDK, set up on import",
            "sdk in each process": "official SDK, set up in `worker_process_init`",
            "sdk flush": _SDK["sdk flush"],
            "package": "`zespan_celery(app)`",
        },
        {"warm shutdown": [], "`--max-tasks-per-child 5`": ["--max-tasks-per-child", "5"]},
        "redis+socket://{}",
        ["celery", "-A", "tests.figures.apps.celery_app", "worker", "-P", "prefork", "-c", "1", *_QUIET],
    ),
    "rq": Queue(
        "rq",
        {**_SDK, "package": "`ZespanWorker`"},
        {"one process per job": []},
        "unix://{}",
        ["tests.figures.apps.rq_worker"],
    ),
    "agentcore": Agent(
        "agentcore",
        {
            **_SDK,
            "package": "`@zespan_agentcore`",
            "before_return": '`@zespan_agentcore(flush_mode="before_return")`',
        },
        {"stopped when `/ping` answers `Healthy`": stop_when_idle, "stopped after the response": stop_at_once},
        {},
    ),
    "foundry": Agent(
        "foundry",
        {
            **_SDK,
            "package": "`ZespanMiddleware`",
            "after_response": '`ZespanMiddleware`, `flush_mode="after_response"`',
        },
        {"stopped after the response": stop_at_once},
        {"FOUNDRY_AGENT_NAME": "demo", "FOUNDRY_AGENT_SESSION_ID": "session-1"},
    ),
}
