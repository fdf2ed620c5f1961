"""Starts the runtimes that serve agents, each in its environment, and plays the platforms around them."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests import environments
from tests.support import ROOT, Served, until
from zespan_serverless.testing import Backend

APPS = Path(__file__).parent / "apps"
_numbers = itertools.count()


class Runtime(Served):
    """One process of a runtime, with an application of the folder `apps`."""

    def __init__(self, environment: str, app: str, backend: Backend, model_url: str, **env: str) -> None:
        port = _port()
        python = environments.installed("agents", environment)
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PORT": str(port),
            "ZESPAN_BASE_URL": backend.url,
            "ZESPAN_API_KEY": "zsp_test",
            "OPENAI_BASE_URL": model_url,
            "OPENAI_API_KEY": "sk-test",
            **env,
        }
        super().__init__([str(python), "-W", "ignore", str(APPS / app)], port, APPS, variables)


def _port() -> int:
    """One that no other test of these gets, below those that the system gives to clients."""
    return 13_000 + (os.getpid() * 101 + next(_numbers)) % 6_000


def ping(runtime: Runtime, mount: str = "") -> str:
    """What an AgentCore application says of itself."""
    return str(json.loads(runtime.ask(f"{mount}/ping").body)["status"])


def stop_when_idle(runtime: Runtime, mount: str) -> None:
    """Stop an AgentCore session as its platform does when it is idle: not while `/ping` says HealthyBusy."""
    until(lambda: ping(runtime, mount) == "Healthy")
    runtime.freeze()


def stop_at_once(runtime: Runtime, mount: str = "") -> None:
    """Stop a process as soon as a response is complete."""
    runtime.freeze()


def series(
    runtime: Runtime,
    paths: Sequence[str],
    stop: Callable[[Runtime, str], None],
    headers: Mapping[str, str],
    bodies: Sequence[object] = (),
) -> list[int]:
    """Send a request to each path, in traces of their own (`trace`). The process is stopped when the answer has come,
    goes on for the next request, and is killed at the end. Gives the statuses."""
    statuses = []
    for number, path in enumerate(paths):
        if number:
            runtime.thaw()
        body = bodies[number] if bodies else {"prompt": "Hi"}
        answer = runtime.ask(path, body, traceparent=traceparent(number), **headers)
        stop(runtime, path.rpartition("/invocations")[0])
        statuses.append(answer.status)
        time.sleep(0.05)  # what a stopped process has sent arrives
    runtime.kill()
    return statuses


def trace(number: int) -> str:
    """The trace of a series' request."""
    return f"{number + 1:032x}"


def traceparent(number: int) -> str:
    return f"00-{trace(number)}-00f067aa0ba902b7-01"
