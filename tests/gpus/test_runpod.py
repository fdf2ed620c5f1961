"""RunPod's own worker with jobs of its API: one event for each job, which has arrived before the job's result."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import hosts
from tests.gpus.runpod_api import RunPod
from tests.support import TRACE, TRACEPARENT, below, roots, until
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=5)

JOBS: list[dict[str, Any]] = [{}, {}, {"raises": True}, {"refuses": True}]


def stopped_with_each_result(backend: Backend, kind: str, how: str) -> list[Any]:
    """Run JOBS on a worker that is stopped when it posts each result, and killed with the last. Return the results."""
    with RunPod(backend.url, kind, how) as runpod:
        runpod.on_done = runpod.freeze
        results = []
        for number, given in enumerate(JOBS):
            if number:
                runpod.thaw()
            results.append(runpod.run(f"job{number}", traceparent=TRACEPARENT, **given))
        runpod.kill()
    return results


@pytest.mark.parametrize("kind", ["sync", "coroutine", "generator", "async_generator"])
def test_nothing_is_lost_when_a_worker_is_stopped_with_a_result(backend: Backend, kind: str) -> None:
    """Every event has arrived before the result is posted, in the caller's trace, with what the job has failed with: an
    exception, or an error that the handler answers or yields."""
    results = stopped_with_each_result(backend, kind, "room")
    assert "mine" in json.dumps(results[2])
    assert results[3]["error"] == "no such page"
    found = roots(backend.events)
    assert [root["metadata"]["faas.invocation_id"] for root in found] == ["job0", "job1", "job2", "job3"]
    assert {root["operation"] for root in found} == {kind}
    errors = [(root["metadata"].get("error.type"), root["error_message"]) for root in found]
    assert errors == [(None, None), (None, None), ("LookupError", "mine"), ("error", "no such page")]
    assert {event["trace_id"] for event in backend.events} == {TRACE}
    calls = [[event["operation"] for event in below(root, backend.events)] for root in found]
    assert calls == [[f"job{number}"] * (2 if "generator" in kind else 1) for number in range(4)]
    said = found[0]["metadata"]
    assert (said["cloud.provider"], said["faas.instance"], said["cloud.region"]) == ("runpod", "pod1", "EU-RO-1")
    if "generator" in kind:
        hosts.write("RunPod", "stream", "Everything arrives after the last piece, before the job is done.")
        return
    summary: Any = {"sent": "before the result", "later": "the time of the flush"} if kind == "sync" else {}
    hosts.write("RunPod", "sync" if kind == "sync" else "async", "Everything arrives before the result.", **summary)
    hosts.write("RunPod", "exception", "Everything arrives before the result, with the error.")


def test_without_the_decorator_events_are_lost(backend: Backend) -> None:
    """With `init()` alone the same jobs lose what had not been sent when the worker was stopped."""
    stopped_with_each_result(backend, "sync", "init")
    assert len(backend.events) < len(JOBS)


def test_jobs_at_once_an_outage_and_the_end_of_a_worker(backend: Backend) -> None:
    """Jobs that run at once have an event each, and so has one that RunPod cancels. While the backend hangs, a result
    waits for `flush_timeout` at most; what is pending at SIGTERM is sent at the end of the process."""
    with RunPod(backend.url, "coroutine", CONCURRENCY="8", ZESPAN_FLUSH_TIMEOUT="0.3") as runpod:
        runpod.run("first")
        runpod.send("endless", seconds=1000)
        runpod.send(*(f"job{number}" for number in range(6)), seconds=0.2)
        runpod.wait(*(f"job{number}" for number in range(6)))
        runpod.cancel("endless")
        until(lambda: len(roots(backend.events)) == 8, 60)
        by_id = {root["metadata"]["faas.invocation_id"]: root for root in roots(backend.events)}
        assert by_id.pop("endless")["metadata"]["error.type"] == "CancelledError"
        assert all(len(below(root, backend.events)) == 1 for root in by_id.values())
        assert len({root["trace_id"] for root in by_id.values()}) == 7

        backend.mode = "hang"
        assert runpod.run("outage")["output"] == {"answer": "outage"}
        assert len(roots(backend.events)) == 8
        backend.mode = "ok"
        assert runpod.stop() == 0, runpod.log
    assert len(roots(backend.events)) == 9
    hosts.write("RunPod", "concurrent", "Everything arrives, an event for each job.")
    seen = "A result waits for `flush_timeout` at most; the events are sent with those of the next jobs."
    hosts.write("RunPod", "dead backend", seen, outage="kept, then sent")
    seen = "Everything arrives; the worker ends as without the package."
    hosts.write("RunPod", "SIGTERM", seen, stopped="everything is sent")
    hosts.write("RunPod", "deadline", "The worker does not know a job's time limit; its end is a cancellation.")
