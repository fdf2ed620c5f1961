"""RQ's workers on Redis: one event for each attempt of a job, and none is lost when its process ends by os._exit."""

from __future__ import annotations

import itertools
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import environments, hosts
from tests.documentation import PAGES, blocks
from tests.support import ROOT, TRACE, TRACEPARENT, roots, until
from tests.workers import support
from tests.workers.support import Worker
from zespan_serverless.testing import Backend

DATABASES = itertools.count()


@pytest.fixture
def env(redis: str, backend: Backend, tmp_path: Path) -> dict[str, str]:
    """The environment of what enqueues and works, with a database of its own."""
    return support.environment(tmp_path, backend.url, BROKER=f"unix://{redis}?db={next(DATABASES)}")


def worker(env: dict[str, str], kind: str) -> Worker:
    """A worker that ends when the queue is empty."""
    python = environments.installed("workers", "queues")
    command = [str(python), "-m", "rq.cli", "worker", "-u", env["BROKER"], "-w", f"zespan_serverless.rq.{kind}"]
    return Worker(command, env)


def enqueue(env: dict[str, str], asked: Any) -> Any:
    return support.run(environments.installed("workers", "queues"), "tests.workers.rq_jobs", asked, env=env)


@pytest.mark.host(seconds=5)
@pytest.mark.parametrize("kind", ["ZespanWorker", "ZespanSpawnWorker", "ZespanSimpleWorker"])
def test_nothing_is_lost_at_the_end_of_a_process(env: dict[str, str], backend: Backend, kind: str) -> None:
    """Every event of 5 jobs and each job's own arrives, in the trace of the process that enqueued it."""
    traced = {"meta": {"traceparent": TRACEPARENT}}
    enqueue(env, [[name, [number], traced] for number, name in enumerate(["work", "asynchronous"] * 2 + ["work"])])
    with worker(env, kind) as rq:
        support.wait_for(env, 5, rq)
        assert rq.stop(signal.SIGTERM) == 0, rq.log
    assert {event["event_id"] for event in backend.events}.issuperset(support.noted(env))
    found = roots(backend.events)
    assert len(found) == 5
    assert {event["trace_id"] for event in backend.events} == {TRACE}
    if kind == "ZespanWorker":
        seen = "Everything arrives before the job's process ends."
        hosts.write("RQ", "sync", seen, sent="before the job's process ends", later="there is no response")
        hosts.write("RQ", "async", seen)
        hosts.write(
            "RQ", "SIGTERM", "Everything arrives; the worker ends as without the package.", stopped="everything is sent"
        )
        hosts.write("RQ", "concurrent", "A process performs one job at a time.")
        hosts.write("RQ", "stream", "A job streams nothing to a caller.")


@pytest.mark.host(seconds=3)
def test_the_process_of_a_job_finds_the_package_imported(env: dict[str, str], backend: Backend) -> None:
    """The worker imports, once for all jobs, what their processes need for a trace with a model call."""
    enqueue(env, [["imported", [1], {}]])
    with worker(env, "ZespanWorker") as rq:
        support.wait_for(env, 1, rq)
        assert rq.stop() == 0, rq.log
        assert "telemetry failed" not in rq.log
    found = {name.removeprefix("zespan_serverless.") for name in support.lines(env, " imported")}
    assert found >= {"_delivery.journal", "_http.client", "exporters._event", "providers._prices"}
    assert len(backend.events) == 2


@pytest.mark.host(seconds=6)
def test_failures_time_limits_and_retries(env: dict[str, str], backend: Backend) -> None:
    """A job that fails, one that exceeds its time limit, and one that is tried again: an event each, with its error."""
    limits = [["slow", [1], {"job_timeout": 1}], ["fails", [2], {"retry": 1}]]
    enqueue(env, limits)
    with worker(env, "ZespanWorker") as rq:
        until(lambda: len(roots(backend.events)) == 3, 60)
        rq.stop()
    assert Counter(event["metadata"]["error.type"] for event in roots(backend.events)) == {
        "JobTimeoutException": 1,
        "ValueError": 2,
    }
    left = [e["metadata"].get("rq.retries_left") for e in roots(backend.events) if "fails" in e["operation"]]
    assert left == [1, 0]
    hosts.write("RQ", "exception", "Everything arrives, an event for each attempt, with its error.")
    hosts.write("RQ", "deadline", "The time limit of a job arrives, as `JobTimeoutException`.")


@pytest.mark.host(seconds=6)
def test_the_next_job_sends_what_the_jobs_before_could_not(env: dict[str, str], backend: Backend) -> None:
    """While the backend refuses everything, events stay in the journals of the jobs' processes, which have ended."""
    backend.mode = "refuse"
    env = {**env, "ZESPAN_FLUSH_TIMEOUT": "0.2"}
    enqueue(env, [["work", [number], {}] for number in range(2)])
    with worker(env, "ZespanWorker") as rq:
        support.wait_for(env, 2, rq)
        rq.stop()
    assert backend.events == []
    backend.mode = "ok"
    enqueue(env, [["work", [2, 1.0], {}]])
    with worker(env, "ZespanWorker") as rq:
        until(lambda: {event["event_id"] for event in backend.events}.issuperset(support.noted(env)[:2]), 60)
        rq.stop()
    assert {event["event_id"] for event in backend.events}.issuperset(support.noted(env))
    seen = "Events stay in the journal until the next job; a job's process ends after `flush_timeout` at most."
    hosts.write("RQ", "dead backend", seen, outage="kept, then sent")


@pytest.mark.host(seconds=5)
def test_documented_example(env: dict[str, str], backend: Backend) -> None:
    """The first block of the page enqueues a job in the trace that is current; the second is a worker with settings."""
    first, second = blocks(PAGES["hosts/rq"])
    assert (ROOT / "examples" / "workers" / "rq_app.py").read_text().partition("\n\n")[2] == first
    python, folder = environments.installed("workers", "queues"), Path(env["TMPDIR"])
    (folder / "my_worker.py").write_text(second)
    env = {**env, "REDIS_URL": env["BROKER"], "PYTHONPATH": f"{ROOT}:{ROOT / 'examples' / 'workers'}:{folder}"}
    code = "import rq_app; rq_app.publish('the page')"
    with Worker([str(python), "-c", code], env) as publisher:
        publisher.process.wait(60)
    command = [str(python), "-m", "rq.cli", "worker", "-b", "-u", env["BROKER"], "-w", "my_worker.TeamWorker"]
    with Worker(command, env) as rq:
        rq.process.wait(60)
    (job,) = [event for event in roots(backend.events) if event["operation"] == "rq_app.count_words"]
    (run,) = [event for event in roots(backend.events) if event["operation"] == "publisher"]
    assert (job["trace_id"], job["parent_span_id"]) == (run["trace_id"], run["span_id"])
    assert job["environment"] == "batch"


@pytest.mark.host
def test_wrong_settings_keep_a_worker_from_starting() -> None:
    """A misspelt setting says so before a worker takes a job, which would fail with it."""
    code = """
from redis import Redis
from zespan_serverless.rq import ZespanWorker

class Batch(ZespanWorker):
    zespan_settings = {"flush_timout": 1}

Batch(["default"], connection=Redis(port=1))
"""
    command = [str(environments.installed("workers", "queues")), "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env=support.environment(ROOT, ""), capture_output=True, text=True, check=False
    )
    assert "ConfigurationError" in done.stderr
    assert "flush_timeout" in done.stderr


@pytest.mark.host
def test_a_time_limit_from_another_thread_passes() -> None:
    """Where there is no SIGALRM, RQ raises its time limit in the job's thread: telemetry code does not swallow it."""
    code = """
import threading, time
from rq.timeouts import JobTimeoutException, TimerDeathPenalty
import zespan_serverless.rq
from zespan_serverless._base.guard import Guarded

try:
    with TimerDeathPenalty(0.2, JobTimeoutException):
        with Guarded("a place"):
            while True:
                time.sleep(0.01)
except JobTimeoutException:
    print("passed")
"""
    command = [str(environments.installed("workers", "queues")), "-c", code]
    env = support.environment(ROOT, "")
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "passed\n", done.stderr
