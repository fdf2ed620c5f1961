"""Celery's worker on Redis: one event for each attempt of a task, in its publisher's trace, and none is lost."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests import environments, hosts
from tests.chaos import kills
from tests.documentation import PAGES, blocks
from tests.support import ROOT, calls, roots, until
from tests.workers import support
from tests.workers.support import Worker
from zespan_serverless import ConfigurationError, zespan_celery
from zespan_serverless.testing import Backend

DATABASES = itertools.count()
NO_RESPONSE = "there is no response"
APP = "tests.workers.celery_app"


@pytest.fixture
def env(redis: str, backend: Backend, tmp_path: Path) -> dict[str, str]:
    """The environment of publishers and workers, with a database of their own."""
    url = f"redis+socket://{redis}?virtual_host={next(DATABASES)}"
    return support.environment(tmp_path, backend.url, BROKER=url, RESULTS=url, ROOM="room")


def worker(env: dict[str, str], pool: str, *options: str) -> Worker:
    python = environments.installed("workers", "queues")
    quiet = ["-l", "warning", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    return Worker([str(python), "-m", "celery", "-A", APP, "worker", "-P", pool, "-c", "2", *quiet, *options], env)


def publish(env: dict[str, str], asked: Any, **more: str) -> Any:
    return support.run(environments.installed("workers", "queues"), APP, asked, env={**env, "ROOM": "", **more})


def states(events: list[dict[str, Any]]) -> Counter[tuple[str, str, str | None]]:
    """How many attempts have ended how: task, Celery's state, error."""
    return Counter(
        (event["operation"], event["metadata"]["celery.state"], event["metadata"].get("error.type"))
        for event in roots(events)
    )


@pytest.mark.host(seconds=5)
@pytest.mark.parametrize(
    ("pool", "number", "options"),
    [
        ("prefork", signal.SIGTERM, ["--max-tasks-per-child", "3"]),
        ("prefork", signal.SIGQUIT, []),
        ("gevent", signal.SIGTERM, []),
        ("solo", signal.SIGQUIT, []),
    ],
)
def test_nothing_is_lost_at_a_shutdown(
    env: dict[str, str], backend: Backend, pool: str, number: signal.Signals, options: list[str]
) -> None:
    """Every event of 20 tasks and every task's own arrives, although the worker ends right after the last task."""
    publish(env, [["work", [number], {}] for number in range(20)])
    with worker(env, pool, *options) as celery:
        support.wait_for(env, 20, celery)
        assert celery.stop(number) == 0, celery.log
    captured = {event["event_id"] for event in backend.events}
    assert captured.issuperset(support.noted(env))
    assert len(roots(backend.events)) == 20
    if number == signal.SIGTERM:  # SIGQUIT may strike a task
        assert states(backend.events) == {("work", "SUCCESS", None): 20}
        hosts.write("Celery", "sync", "Everything arrives after the task.", sent="after the task", later=NO_RESPONSE)
        seen = "Everything of 20 tasks arrives, also when child processes are recycled; exit 0, as without the package."
        hosts.write("Celery", "SIGTERM", seen, stopped="everything is sent")
        hosts.write("Celery", "concurrent", "Everything arrives in every pool, an event for each task.")
        hosts.write("Celery", "async", "Celery runs no coroutine functions.")
        hosts.write("Celery", "stream", "A task streams nothing to a caller.")


@pytest.mark.host(seconds=10)
def test_every_attempt_says_how_it_ended(env: dict[str, str], backend: Backend) -> None:
    """Failures, retries, ignored tasks, and both time limits: one event each, with the error."""
    published = [["fails", [1], {}], ["ignored", [2], {}], ["retried", [3], {}]]
    limits = [["soft", [4], {"soft_time_limit": 1}], ["soft", [5], {"time_limit": 2}]]
    publish(env, published + limits)
    env["SETTINGS"] = '{"environment": "batch"}'
    with worker(env, "prefork", "-c", "4") as celery:
        until(lambda: len(roots(backend.events)) == 7, 60)
        celery.stop()
        assert "settings differ" not in celery.log
    assert {event["environment"] for event in backend.events} == {"batch"}
    assert states(backend.events) == {
        ("fails", "FAILURE", "ValueError"): 1,
        ("ignored", "IGNORED", None): 1,
        ("retried", "RETRY", "ValueError"): 2,
        ("retried", "SUCCESS", None): 1,
        ("soft", "FAILURE", "SoftTimeLimitExceeded"): 1,
        ("soft", "TERMINATED", "TimeLimitExceeded"): 1,
    }
    (last,) = [
        event for event in roots(backend.events) if event["operation"] == "retried" and event["status"] == "success"
    ]
    metadata = last["metadata"]
    assert (metadata["celery.retries"], metadata["messaging.destination.name"]) == (2, "celery")
    hosts.write("Celery", "exception", "Everything arrives, an event for each attempt, with its error.")
    hosts.write("Celery", "deadline", "Both time limits arrive, as `SoftTimeLimitExceeded` and `TimeLimitExceeded`.")


@pytest.mark.host(seconds=5)
def test_a_canvas_is_one_trace(env: dict[str, str], backend: Backend) -> None:
    """All tasks of a chain with a group, and of a chord, belong to the trace of their publisher."""
    trace_id = publish(env, "canvas", TRACED="1", ROOM="room").split("-")[1]
    with worker(env, "threads") as celery:
        support.wait_for(env, 7, celery)
        celery.stop()
    tasks = [event for event in roots(backend.events) if "celery.state" in event["metadata"]]
    assert Counter(event["operation"] for event in tasks) == {"work": 6, "total": 1}
    assert {event["trace_id"] for event in backend.events} == {trace_id}
    spans = {event["span_id"] for event in backend.events}
    assert {event["parent_span_id"] for event in tasks} <= spans


@pytest.mark.host(seconds=8)
def test_the_next_worker_sends_what_a_killed_one_has_left(env: dict[str, str], backend: Backend) -> None:
    """SIGKILL to all processes while the backend refuses everything: the events are in the journal, and arrive."""
    backend.mode = "refuse"
    publish(env, [["work", [number], {}] for number in range(10)])
    with worker(env, "prefork") as celery:
        support.wait_for(env, 10, celery)
        celery.kill()
    assert backend.events == []
    backend.mode = "ok"
    publish(env, [["work", [number], {}] for number in range(2)])
    with worker(env, "prefork") as celery:
        support.wait_for(env, 12, celery)
        until(lambda: {event["event_id"] for event in backend.events}.issuperset(support.noted(env)), 60)
        celery.stop()
    seen = "Events wait in memory and in the journal. The next worker sends what a killed one has left."
    hosts.write("Celery", "dead backend", seen, outage="kept, then sent")


@pytest.mark.host(seconds=4)
@pytest.mark.parametrize("journal", ["off", "on"])
def test_a_second_sigterm_before_the_last_flush(env: dict[str, str], backend: Backend, journal: str) -> None:
    """It ends a child process, as without the package. Without a disk on_error is told of each event, and of the
    attempt's own; with a journal the next worker sends them."""
    backend.mode = "refuse"
    env |= {"ZESPAN_JOURNAL": journal, "ZESPAN_FLUSH_TIMEOUT": "0.3"}
    publish(env, [["cleans up", [1], {}]])
    with worker(env, "prefork", "-c", "1") as celery:
        support.wait_for(env, 1, celery)
        (line,) = support.lines(env)
        child = int(line.split()[1])
        os.kill(child, signal.SIGTERM)
        support.wait_for(env, 2, celery)
        os.kill(child, signal.SIGTERM)
        until(lambda: child not in kills.running(sessions=[celery.process.pid]), 60)
        celery.kill()
    backend.mode = "ok"
    if journal == "off":
        dropped = {line.split()[0] for line in support.lines(env, " dropped")}
        assert dropped.issuperset(support.noted(env))
        assert len(dropped) == 3
    else:
        with worker(env, "prefork", "-c", "1") as celery:
            publish(env, [["work", [2], {}]])
            until(lambda: {event["event_id"] for event in backend.events}.issuperset(support.noted(env)), 60)
            until(lambda: len(roots(backend.events)) == 2)
            celery.kill()
        assert Counter(root["operation"] for root in roots(backend.events)) == {"cleans up": 1, "work": 1}


@pytest.mark.host(seconds=6)
def test_the_documented_application_is_traced(env: dict[str, str], backend: Backend) -> None:
    """The block of the page is the example, whose model call is part of its task's trace."""
    python, folder = environments.installed("workers", "queues"), ROOT / "examples" / "workers"
    (block,) = blocks(PAGES["hosts/celery"])
    example = (folder / "celery_tasks.py").read_text()
    assert example.partition("\n\n")[2] == block
    with ModelEndpoint(latency_ms=1) as model:
        openai = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": model.url}
        paths = f"{ROOT}:{folder}"
        env = {**env, **openai, "CELERY_BROKER_URL": env["BROKER"], "PYTHONPATH": paths}
        code = "from celery_tasks import summarize; summarize.delay('the page')"
        subprocess.run([str(python), "-c", code], env=env, check=True, timeout=60)
        with Worker([str(python), "-m", "celery", "-A", "celery_tasks", "worker", "-c", "1"], env) as celery:
            until(lambda: len(backend.events) == 2, 60)
            celery.stop()
    (call,), (root,) = calls(backend.events), roots(backend.events)
    assert (call["parent_span_id"], call["trace_id"]) == (root["span_id"], root["trace_id"])
    assert root["operation"] == "celery_tasks.summarize"


def test_something_else_than_an_application() -> None:
    """The error says what to pass."""
    with pytest.raises(ConfigurationError, match=r"zespan_celery\(app\)"):
        zespan_celery(print)
