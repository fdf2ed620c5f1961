"""Cloud Run jobs: real processes, with what Cloud Run puts into a task's environment."""

from __future__ import annotations

import signal
import time

import pytest

from tests.google_cloud.support import job
from tests.hosts import Cell
from tests.support import SPAN, TRACE, TRACEPARENT, below, roots
from zespan_serverless import ConfigurationError, zespan_job
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host


HOST = "Cloud Run job"
# https://cloud.google.com/run/docs/container-contract#jobs-env-vars
CLOUD_RUN_JOB = {
    "CLOUD_RUN_JOB": "nightly",
    "CLOUD_RUN_EXECUTION": "nightly-x7k2p",
    "CLOUD_RUN_TASK_INDEX": "2",
    "CLOUD_RUN_TASK_ATTEMPT": "1",
    "CLOUD_RUN_TASK_COUNT": "5",
}


def run(env: dict[str, str], work: str = "", **more: str) -> tuple[int, str, str, float]:
    """Exit code, output, errors and seconds of a task."""
    began = time.monotonic()
    process = job("nightly.py", {**env, **CLOUD_RUN_JOB, "WORK": work, **more})
    out, err = process.communicate(timeout=20)
    return process.returncode, out.decode(), err.decode(), time.monotonic() - began


def test_job_sends_one_event_for_its_task(env: dict[str, str], backend: Backend, cell: Cell) -> None:
    """Its result is its own; one event for the task, with what Cloud Run says of it, all sent before the end."""
    code, out, *_ = run(env, TRACEPARENT=TRACEPARENT)
    assert (code, out) == (0, "done\n")
    step, root = backend.events
    assert below(root, [step]) == [step]
    assert (root["trace_id"], root["parent_span_id"], root["operation"]) == (TRACE, SPAN, "nightly")
    about = root["metadata"]
    assert (about["faas.name"], about["faas.invocation_id"]) == ("nightly", "nightly-x7k2p")
    assert (about["cloud.platform"], about["gcp.cloud_run.job.execution"]) == ("gcp_cloud_run", "nightly-x7k2p")
    numbers = [about[f"gcp.cloud_run.job.task_{name}"] for name in ("index", "attempt", "count")]
    assert numbers == [2, 1, 5]
    seen = "Everything arrives before the process ends."
    cell(HOST, "sync", seen, sent="before the process ends", later="there is no response")


def test_async_job_stays_async(env: dict[str, str], backend: Backend, cell: Cell) -> None:
    """`async def` stays a coroutine function, which its caller runs."""
    assert run(env, "async")[:2] == (0, "done\n")
    (root,) = roots(backend.events)
    assert (root["tags"], len(below(root, backend.events))) == ({"kind": "async"}, 1)
    cell(HOST, "async", "Everything arrives before the process ends.")
    cell(HOST, "stream", "A job has no response.")


def test_concurrent_steps_belong_to_the_tasks_trace(env: dict[str, str], backend: Backend, cell: Cell) -> None:
    """Steps that run at once belong to the task's trace."""
    assert run(env, "many")[0] == 0
    (root,) = roots(backend.events)
    assert len(below(root, backend.events)) == 8
    cell(HOST, "concurrent", "All of 8 steps at once are in one trace.")


@pytest.mark.parametrize(
    ("work", "code", "status"), [("fail", 1, "error"), ("exit 0", 0, "success"), ("exit 3", 3, "error")]
)
def test_exceptions_and_exits_pass_through(
    work: str, code: int, status: str, env: dict[str, str], backend: Backend, cell: Cell
) -> None:
    """An exception and sys.exit pass through, with the same code and traceback as without us."""
    ours, theirs = run(env, work), run(env, work, ZESPAN_ENABLED="0")
    assert (ours[0], ours[1]) == (theirs[0], theirs[1]) == (code, "")
    assert ours[2].splitlines()[-1:] == theirs[2].splitlines()[-1:]
    (root,) = roots(backend.events)
    assert root["status"] == status
    assert root["metadata"].get("process.exit.code", 1) == code
    cell(HOST, "exception", "Everything arrives; exit code and traceback are as without the package.")


@pytest.mark.parametrize(("work", "code"), [("wait", 143), ("handler", 5)])
def test_stopped_task_says_so_and_ends_at_once(
    work: str, code: int, env: dict[str, str], backend: Backend, cell: Cell
) -> None:
    """A task that is told to stop says so in its event, and ends at once; a handler of its own has its way."""
    process = job("nightly.py", {**env, **CLOUD_RUN_JOB, "WORK": work})
    assert process.stdout is not None
    assert process.stdout.readline() == b"waiting\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode in (code, -signal.SIGTERM)
    (root,) = roots(backend.events)
    assert root["status"] == "error"
    assert root["metadata"]["process.exit.code"] == code
    if work == "wait":
        seen = "Everything arrives, the task's event too; then the signal ends the process."
        cell(HOST, "SIGTERM", seen, stopped="everything is sent")


def test_dead_backend_delays_the_end_by_ten_seconds_at_most(env: dict[str, str], backend: Backend, cell: Cell) -> None:
    """A job waits 10 s at most for a backend that is unavailable, ends as it would have, and says what is lost."""
    backend.mode = "refuse"
    code, out, err, seconds = run(env)
    assert (code, out) == (0, "done\n")
    assert "dropped" in err
    seen = f"Events are dropped, and the log says so; the task took {seconds:.1f} s in all, it waits for 10 s at most."
    cell(HOST, "dead backend", seen, outage="the end waits 10 s at most, then dropped and counted")
    cell(HOST, "deadline", "None is known: Cloud Run tells a task's timeout by SIGTERM only.")


def test_mistakes_are_found_while_decorating() -> None:
    """An unknown setting, and what is no function."""
    with pytest.raises(ConfigurationError):
        zespan_job(flush_time=1)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError):
        zespan_job(3)  # type: ignore[call-overload]
