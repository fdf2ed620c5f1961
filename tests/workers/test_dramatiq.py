"""Dramatiq's worker on Redis: one event for each attempt of a message, in its sender's trace, and none is lost."""

from __future__ import annotations

import itertools
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import environments, hosts
from tests.documentation import PAGES, blocks
from tests.support import ROOT, roots, until
from tests.workers import support
from tests.workers.support import Worker
from zespan_serverless.testing import Backend

ACTORS = "tests.workers.dramatiq_actors"
DATABASES = itertools.count()


@pytest.fixture
def env(redis: str, backend: Backend, tmp_path: Path) -> dict[str, str]:
    """The environment of senders and workers, with a database of their own."""
    return support.environment(tmp_path, backend.url, BROKER=f"unix://{redis}?db={next(DATABASES)}", ROOM="room")


def worker(env: dict[str, str]) -> Worker:
    python = environments.installed("workers", "queues")
    return Worker([str(python), "-m", "dramatiq", ACTORS, "-p", "2", "-t", "2"], env)


def send(env: dict[str, str], asked: Any) -> Any:
    return support.run(environments.installed("workers", "queues"), ACTORS, asked, env=env)


@pytest.mark.host(seconds=8)
def test_every_attempt_arrives(env: dict[str, str], backend: Backend) -> None:
    """20 messages, retries, time limits and an `async def` actor: one event for each attempt, none lost."""
    work: list[Any] = [["work", [number], {}] for number in range(19)]
    work.append(["work", [19], {"time_limit": float("inf")}])
    send(env, [*work, ["fails", [1], {}], ["slow", [2], {"time_limit": 1000}], ["asynchronous", [3], {}]])
    with worker(env) as dramatiq:
        support.wait_for(env, 25, dramatiq)
        until(lambda: sum(event["operation"] == "slow" for event in roots(backend.events)) == 1, 60)
        assert dramatiq.stop(signal.SIGTERM) == 0, dramatiq.log
    assert {event["event_id"] for event in backend.events}.issuperset(support.noted(env))
    assert Counter((e["operation"], e["metadata"].get("error.type")) for e in roots(backend.events)) == {
        ("work", None): 20,
        ("fails", "ValueError"): 3,
        ("slow", "TimeLimitExceeded"): 1,
        ("asynchronous", None): 1,
    }
    failed = [event for event in roots(backend.events) if event["operation"] == "fails"]
    assert sorted(event["metadata"]["dramatiq.retries"] for event in failed) == [0, 1, 2]
    assert len({event["trace_id"] for event in failed}) == 1
    seen = "Everything arrives after the message."
    hosts.write("Dramatiq", "sync", seen, sent="after the message", later="there is no response")
    hosts.write("Dramatiq", "async", seen)
    seen = "Everything of 23 messages arrives; the worker ends as without the package."
    hosts.write("Dramatiq", "SIGTERM", seen, stopped="everything is sent")
    hosts.write("Dramatiq", "concurrent", "Everything arrives of two processes with two threads each.")
    hosts.write("Dramatiq", "exception", "Everything arrives, an event for each attempt, with its error.")
    hosts.write("Dramatiq", "deadline", "The time limit of a message arrives, as `TimeLimitExceeded`.")
    hosts.write("Dramatiq", "stream", "An actor streams nothing to a caller.")


@pytest.mark.host(seconds=4)
def test_a_pipeline_is_one_trace(env: dict[str, str], backend: Backend) -> None:
    """The second message of a pipeline is sent when the first has ended, and belongs to the same trace. The backend
    refuses everything until both have ended."""
    trace_id = send(env, "pipeline").split("-")[1]
    backend.mode = "refuse"
    with worker(env) as dramatiq:
        support.wait_for(env, 2, dramatiq)
        backend.mode = "ok"
        dramatiq.stop()
    hosts.write("Dramatiq", "dead backend", "Everything arrives once it is back.", outage="kept, then sent")
    first, second = [event for event in roots(backend.events) if event["operation"] == "work"]
    assert (first["trace_id"], second["trace_id"]) == (trace_id, trace_id)


@pytest.mark.host(seconds=3)
def test_a_program_that_stops_its_worker_is_traced_on(env: dict[str, str], backend: Backend) -> None:
    """A worker inside another program flushes when it stops; what the program captures later arrives, too."""
    code = """
import dramatiq, zespan_serverless
from dramatiq.brokers.stub import StubBroker
from zespan_serverless.dramatiq import zespan_dramatiq

zespan_serverless.init(environment="mine")
broker = zespan_dramatiq(StubBroker())
actor = dramatiq.actor(lambda: None, actor_name="work", broker=broker)
worker = dramatiq.Worker(broker, worker_timeout=100)
worker.start()
actor.send()
broker.join("default")
worker.stop()
zespan_serverless.capture({"operation": "later"})
"""
    with Worker([str(environments.installed("workers", "queues")), "-c", code], env) as program:
        assert program.process.wait(60) == 0, program.log
    assert {(event["operation"], event["environment"]) for event in backend.events} == {
        ("work", "mine"),
        ("later", "mine"),
    }


@pytest.mark.host(seconds=5)
def test_documented_actor(env: dict[str, str], backend: Backend) -> None:
    """The block of the page is the example, and its actor's events arrive."""
    (block,) = blocks(PAGES["hosts/dramatiq"])
    assert (ROOT / "examples" / "workers" / "dramatiq_actors.py").read_text().partition("\n\n")[2] == block
    python, paths = environments.installed("workers", "queues"), f"{ROOT}:{ROOT / 'examples' / 'workers'}"
    env = {**env, "REDIS_URL": env["BROKER"], "PYTHONPATH": paths}
    code = "from dramatiq_actors import count_words; count_words.send('the page')"
    with Worker([str(python), "-c", code], env) as sender:
        assert sender.process.wait(60) == 0, sender.log
    with Worker([str(python), "-m", "dramatiq", "dramatiq_actors", "-p", "1", "-t", "1"], env) as dramatiq:
        until(lambda: len(backend.events) == 2, 60)
        dramatiq.stop()
    assert Counter(event["operation"] for event in backend.events) == {"count_words": 1, "count": 1}
