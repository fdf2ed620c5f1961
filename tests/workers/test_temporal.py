"""Temporal's development server and worker: one event for each attempt of an activity, and none for a replay."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.lambda_rie import Sandbox

from tests import environments, hosts
from tests.documentation import PAGES, blocks
from tests.support import ROOT, roots, until
from tests.workers import support
from tests.workers.support import Worker
from zespan_serverless.testing import Backend

WORKER = "tests.workers.temporal_worker"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a development server."""
    with support.temporal_server() as address:
        yield address


@pytest.fixture
def env(backend: Backend, tmp_path: Path) -> dict[str, str]:
    return support.environment(tmp_path, backend.url, ROOM="room")


def worker(server: str, env: dict[str, str]) -> Worker:
    return Worker([str(environments.installed("workers", "temporal")), "-m", WORKER, server, "work"], env)


def start(server: str, env: dict[str, str], count: int, name: str, what: str = "start") -> Any:
    """Start workflows and wait for their ends. Returns their traceparents."""
    command = [str(environments.installed("workers", "temporal")), "-m", WORKER, server, what, str(count), name]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null")


@pytest.mark.host(seconds=12)
def test_every_attempt_arrives_once(server: str, env: dict[str, str], backend: Backend) -> None:
    """Threads and coroutines, three attempts each, without a workflow cache: an event per attempt, in the starter's
    trace, although workflows are replayed at every step; and an activity without a workflow."""
    with worker(server, env) as temporal:
        traces = [start(server, env, count, name) for count, name in ((5, "work"), (5, "asynchronous"), (2, "flaky"))]
        traces.append(start(server, env, 1, "work", "alone"))
        assert temporal.stop(signal.SIGTERM) == 0, temporal.log
    assert {event["event_id"] for event in backend.events}.issuperset(support.noted(env))
    attempts = [event for event in roots(backend.events) if "temporal.attempt" in event["metadata"]]
    assert Counter((e["operation"], e["metadata"]["temporal.attempt"], e["status"]) for e in attempts) == {
        ("work", 1, "success"): 11,
        ("asynchronous", 1, "success"): 10,
        ("flaky", 1, "error"): 4,
        ("flaky", 2, "error"): 4,
        ("flaky", 3, "success"): 4,
    }
    assert {event["trace_id"] for event in attempts} == {text.split("-")[1] for some in traces for text in some}
    seen = "Everything arrives after the attempt. A replay sends nothing."
    hosts.write("Temporal", "sync", seen, sent="after the attempt", later="there is no response")
    hosts.write("Temporal", "async", seen)
    seen = "Everything of 12 workflows arrives; the worker ends as without the package."
    hosts.write("Temporal", "SIGTERM", seen, stopped="everything is sent")
    hosts.write("Temporal", "concurrent", "Everything arrives, each workflow in its own trace.")
    hosts.write("Temporal", "exception", "Everything arrives, an event for each attempt, with its error.")
    hosts.write("Temporal", "stream", "An activity streams nothing to a caller.")


@pytest.mark.host(seconds=8)
def test_an_untraced_workflow_is_one_trace(server: str, env: dict[str, str], backend: Backend) -> None:
    """Its activities have the trace id that is the run's id, also those that exceed their time limit. The backend
    refuses everything until the workflow has ended."""
    with worker(server, env) as temporal:
        backend.mode = "refuse"
        start(server, {**env, "ROOM": "", "ZESPAN_ENABLED": "0"}, 1, "slow")
        backend.mode = "ok"
        until(lambda: len(roots(backend.events)) == 1, 60)
        temporal.stop(signal.SIGTERM)
    (attempt,) = [event for event in roots(backend.events) if event["operation"] == "slow"]
    assert attempt["trace_id"] == attempt["metadata"]["temporal.workflow.run_id"].replace("-", "")
    assert (attempt["parent_span_id"], attempt["metadata"]["error.type"]) == (None, "CancelledError")
    hosts.write("Temporal", "deadline", "An attempt that times out arrives, as `CancelledError`.")
    hosts.write("Temporal", "dead backend", "Everything arrives once it is back.", outage="kept, then sent")


@pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only")
@pytest.mark.host(seconds=15)
def test_a_worker_on_lambda(server: str, env: dict[str, str], backend: Backend) -> None:
    """An event for each activity, and none for the invocation: everything arrives before the response, although the
    function is frozen then."""
    python = environments.installed("workers", "temporal")
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    start(server, {**env, "QUEUE": "lambda"}, 3, "asynchronous", "begin")
    command = [str(python.with_name("temporal")), "worker", "deployment", "set-current-version", "--address", server]
    version = ["--deployment-name", "tests", "--build-id", "1", "--allow-no-pollers", "--yes"]
    subprocess.run([*command, *version], check=True, capture_output=True, timeout=60)
    variables = {name: env[name] for name in ("ZESPAN_API_KEY", "ZESPAN_BASE_URL", "IDS")}
    variables |= {"PYTHONPATH": f"{ROOT}:{packages}", "TEMPORAL_ADDRESS": server, "ROOM": "room"}
    with Sandbox("tests.workers.temporal_lambda.handler", ROOT, env=variables, timeout=60) as sandbox:
        answer = sandbox.invoke({}, client_timeout=90)
        sandbox.freeze()
        assert answer.payload is None, answer.log
        assert support.noted(env), answer.log
        assert {event["event_id"] for event in backend.events}.issuperset(support.noted(env))
        attempts = [event for event in roots(backend.events) if event["operation"] != "starter"]
    assert {event["operation"] for event in attempts} == {"asynchronous"}
    assert len(attempts) == len(support.noted(env))


@pytest.mark.host(seconds=6)
def test_documented_worker(server: str, env: dict[str, str], backend: Backend) -> None:
    """The block of the page is the example, whose activity has an event."""
    block = blocks(PAGES["hosts/temporal"])[0]
    folder = ROOT / "examples" / "workers"
    assert (folder / "temporal_worker.py").read_text().partition("\n\n")[2] == block
    python = environments.installed("workers", "temporal")
    env = {**env, "TEMPORAL_ADDRESS": server, "PYTHONPATH": f"{ROOT}:{folder}"}
    code = (
        "import asyncio, temporal_worker as t\n"
        "async def main():\n"
        "    c = await t.connect()\n"
        "    print(await c.execute_workflow(t.Report.run, 'the page', id='r', task_queue='reports'))\n"
        "asyncio.run(main())\n"
    )
    with Worker([str(python), "-m", "temporal_worker"], env) as temporal:
        done = subprocess.run(
            [str(python), "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout == "2\n", done.stderr + temporal.log
        until(lambda: len(roots(backend.events)) == 1, 60)
    assert roots(backend.events)[0]["operation"] == "count_words"


def test_an_activity_that_is_completed_later_has_not_failed() -> None:
    """What `raise_complete_async` raises propagates, and the event says that the activity completes later."""
    program = """
import asyncio, json
from temporalio import activity, worker
from temporalio.testing import ActivityEnvironment
from zespan_serverless import testing
from zespan_serverless.temporal import ZespanInterceptor

class Activity(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input):
        activity.raise_complete_async()

async def main():
    traced = ZespanInterceptor().intercept_activity(Activity(None))
    asked = worker.ExecuteActivityInput(fn=main, args=[], executor=None, headers={})
    try:
        await ActivityEnvironment().run(traced.execute_activity, asked)
    except BaseException as error:
        return type(error).__name__

with testing.recording() as events:
    raised = asyncio.run(main())
print(json.dumps([raised, *((e["status"], e["metadata"].get("temporal.completes_later")) for e in events)]))
"""
    python = environments.installed("workers", "temporal")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run([python, "-c", program], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    assert json.loads(done.stdout) == ["_CompleteAsyncError", ["success", True]]


def test_a_cancellation_that_strikes_while_an_event_is_written(tmp_path: Path) -> None:
    """Temporal raises it in the thread of the activity: it passes, the event is kept, and the journal goes on."""
    program = """
import ctypes, functools, json, os, sys, threading
from unittest import mock
from temporalio.exceptions import CancelledError
import zespan_serverless.temporal
from zespan_serverless import capture, init
from zespan_serverless._process import container

init(journal=sys.argv[1], base_url="http://127.0.0.1:9")
capture({"operation": "first"})
thread = ctypes.c_ulong(threading.get_ident())
strike = functools.partial(ctypes.pythonapi.PyThreadState_SetAsyncExc, thread, ctypes.py_object(CancelledError))
raised = []
with mock.patch.object(os, "pwrite", lambda *args: strike()):
    try:
        capture({"operation": "second"})
    except CancelledError as error:
        raised.append(type(error).__name__)
capture({"operation": "third"})
delivery = container.current().delivery
print(json.dumps([raised, delivery.pending, delivery._accounts.journal.is_healthy]))
sys.stdout.flush()
os._exit(0)
"""
    python = environments.installed("workers", "temporal")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "ZESPAN_API_KEY": "zsp_test"}
    command = [str(python), "-c", program, str(tmp_path / "journal")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    assert json.loads(done.stdout) == [["CancelledError"], 3, True], done.stderr
    assert sum(path.read_bytes().count(b'"operation"') for path in (tmp_path / "journal").glob("*")) == 3
