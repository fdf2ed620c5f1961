"""What is measured of each host: how many of the captured events arrive, and how long a task or a response takes."""

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


class Found(NamedTuple):
    """The events that a run has captured, those that have arrived, and the milliseconds from task to task."""

    captured: int
    arrived: int
    ms: float


class Queue(NamedTuple):
    """A task queue. `command` gives a worker for HOW, in which BROKER is the broker's address.

    `endings` has the worker's further options, by how its processes end; the first one is measured in time as well.
    """

    module: str
    broker: str
    command: list[str]
    endings: dict[str, list[str]]
    hows: list[str]

    def lose(self, how: str, ending: str, tasks: int, pause: float = 0) -> Found:
        """Perform tasks that are there when the worker starts, and stop the worker when the last one has begun."""
        python = environments.installed("workers", "queues")
        with support.redis_server() as redis, _sinks() as (folder, backend, model):
            kind = "zespan_serverless.rq.ZespanWorker" if how == "package" else "rq.Worker"
            more = {"BROKER": self.broker.format(redis), "HOW": how, "CLASS": kind, **_openai(model)}
            env = support.environment(folder, backend.url, **more)
            support.run(python, self.module, tasks, env={**env, "HOW": "bare"})
            with Worker([str(python), "-m", *self.command, *self.endings[ending]], env) as worker:
                support.wait_for(env, tasks, worker, 120)
                assert worker.stop() == 0, worker.log
            begun = [float(line) for line in support.lines(env)]
            return Found(*_counted(how, backend, model), _between(begun[WARM:] or begun))

    def differences(self, how: str, rounds: int, tasks: int) -> list[float]:
        """Return by how many ms a task takes longer than without tracing, in each round of two workers."""
        ending = next(iter(self.endings))
        runs = [[self.lose(each, ending, tasks).ms for each in ("bare", how)] for _ in range(rounds)]
        return [traced - bare for bare, traced in runs]


class Agent(NamedTuple):
    """A runtime of agents. `endings` has what stops its process after a response, and `hows` their variables."""

    environment: str
    app: str
    variables: dict[str, str]
    endings: dict[str, Callable[[Runtime, str], None]]
    hows: dict[str, dict[str, str]]

    def _start(self, how: str, backend: Backend, model: ModelEndpoint) -> Runtime:
        env = {**self.variables, "HOW": how, **self.hows[how]}
        return Runtime(self.environment, str(APPS / self.app), backend, model.url, **env)

    def lose(self, how: str, ending: str, tasks: int, pause: float = TIMER + 0.2) -> Found:
        """Send requests, `pause` seconds apart; the process is stopped after each of them, and killed at the end."""

        def stop(runtime: Runtime, mount: str) -> None:
            self.endings[ending](runtime, mount)
            time.sleep(pause)

        with _sinks() as (_, backend, model), self._start(how, backend, model) as runtime:
            assert set(series(runtime, ["/invocations"] * tasks, stop, {})) == {200}, runtime.log
            return Found(*_counted(how, backend, model), 0)

    def differences(self, how: str, rounds: int, tasks: int) -> list[float]:
        """Return by how many ms a response comes later than without tracing, for each pair of requests."""
        found = []
        with _sinks() as (_, backend, model), ExitStack() as stack:
            servers = [stack.enter_context(self._start(each, backend, model)) for each in ("bare", how)]
            for number in range(WARM + rounds * tasks):
                took = {}
                for server in servers if number % 2 else servers[::-1]:
                    took[server.port] = server.ask("/invocations", {"prompt": "Hi"}).seconds
                    time.sleep(LATENCY * 2)  # until what is sent after a response has been sent
                bare, traced = (took[server.port] for server in servers)
                found.append((traced - bare) * 1000)
        return found[WARM:]


SDK = ["sdk", "sdk flush"]
_QUIET = ["-l", "error", "--without-gossip", "--without-mingle", "--without-heartbeat"]
_MODES = {"before_return": {"HOW": "package", "ZESPAN_FLUSH_MODE": "before_return"}}
_AFTER = {"after_response": {"HOW": "package", "ZESPAN_FLUSH_MODE": "after_response"}}
_PLAIN: dict[str, dict[str, str]] = {how: {} for how in ["bare", *SDK, "package"]}

HOSTS: dict[str, Queue | Agent] = {
    "celery": Queue(
        "tests.figures.apps.celery_app",
        "redis+socket://{}",
        ["celery", "-A", "tests.figures.apps.celery_app", "worker", "-P", "prefork", "-c", "1", *_QUIET],
        {"warm shutdown": [], "one child for 5 tasks": ["--max-tasks-per-child", "5"]},
        ["sdk", "sdk in each process", "sdk flush", "package"],
    ),
    "rq": Queue(
        "tests.figures.apps.rq_jobs",
        "unix://{}",
        ["tests.figures.apps.rq_worker"],
        {"each job's process ends": []},
        [*SDK, "package"],
    ),
    "agentcore": Agent(
        "agentcore",
        "on_agentcore.py",
        {},
        {"stopped when `/ping` answers `Healthy`": stop_when_idle, "stopped after the response": stop_at_once},
        {**_PLAIN, **_MODES},
    ),
    "foundry": Agent(
        "foundry",
        "on_foundry.py",
        {"FOUNDRY_AGENT_NAME": "demo", "FOUNDRY_AGENT_SESSION_ID": "session-1"},
        {"stopped after the response": stop_at_once},
        {**_PLAIN, **_AFTER},
    ),
}


@contextmanager
def _sinks() -> Iterator[tuple[Path, Backend, ModelEndpoint]]:
    """A folder for what tasks note, a backend that is some way off, and a model."""
    with tempfile.TemporaryDirectory() as folder, Backend() as backend, ModelEndpoint(latency_ms=1) as model:
        backend.latency = LATENCY
        yield Path(folder), backend, model


def _openai(model: ModelEndpoint) -> dict[str, str]:
    return {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-test"}


def _counted(how: str, backend: Backend, model: ModelEndpoint) -> tuple[int, int]:
    """Return how many events were captured, which is one for each model call and task, and how many have arrived."""
    time.sleep(0.2)  # what a process that has ended has sent arrives
    each = 0 if how == "bare" else 1 if how.startswith("sdk") else 2
    return each * len(model.requests), len({event["span_id"] for event in backend.events})


def _between(times: list[float]) -> float:
    return statistics.median(after - before for before, after in itertools.pairwise(times)) * 1000
