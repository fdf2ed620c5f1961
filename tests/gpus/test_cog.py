"""Cog's own server with its Rust runtime: one event for each prediction, which has arrived before its last output."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests import environments, hosts
from tests.support import ROOT, TRACE, TRACEPARENT, Served, below, roots, until
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=4)

APPS = Path(__file__).parent / "apps"
_numbers = itertools.count()


class Cog(Served):
    """One server of Cog, which runs the model in a child process."""

    def __init__(self, backend: Backend, model: str, how: str = "room", **env: str) -> None:
        port = 19_000 + (os.getpid() * 101 + next(_numbers)) % 1_000  # below those that the system gives to clients
        python = environments.installed("gpus", "cog")
        variables = {
            "PATH": f"{python.parent}:{os.environ['PATH']}",  # where the server looks for `python`
            "PYTHONPATH": str(ROOT),
            "PORT": str(port),
            "COG_PREDICT_TYPE_STUB": f"cog_model.py:{model}",
            "HOW": how,
            "ZESPAN_API_KEY": "zsp_test",
            "ZESPAN_BASE_URL": backend.url,
            **env,
        }
        super().__init__([str(python), "-m", "cog.server.http", "--host", "127.0.0.1"], port, APPS, variables)

    def ready(self) -> None:
        """Wait until the model has been loaded."""
        until(lambda: json.loads(self.ask("/health-check").body)["status"] == "READY", 60)

    def predict(self, **given: Any) -> Any:
        """Make a prediction, as soon as the slot of the one before is free."""
        body = {"input": {"user": "u1", **given}, "context": {"traceparent": TRACEPARENT}}
        answers = iter(lambda: self.ask("/predictions", body), None)
        return json.loads(next(answer for answer in answers if answer.status != 409).body)

    def signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)


def stopped_with_each_output(backend: Backend, model: str, how: str) -> list[Any]:
    """Make three predictions on a server that is stopped when it has answered each, and killed at the end."""
    with Cog(backend, model, how) as cog:
        cog.ready()
        answers = []
        for raises in (False, True, False):
            answers.append(cog.predict(raises=raises))
            cog.signal(signal.SIGSTOP)
            time.sleep(0.05)  # what a stopped process has sent arrives
            if len(answers) < 3:
                cog.signal(signal.SIGCONT)
        cog.signal(signal.SIGKILL)
    return answers


@pytest.mark.parametrize("model", ["Sync", "Coroutine", "Generator", "AsyncGenerator"])
def test_nothing_is_lost_when_a_container_is_stopped_with_an_output(backend: Backend, model: str) -> None:
    """Every event has arrived before the last output, in the caller's trace, with the user and the error."""
    answers = stopped_with_each_output(backend, model, "room")
    streams = "Generator" in model
    assert [answer["status"] for answer in answers] == ["succeeded", "failed", "succeeded"]
    assert answers[0]["output"] == (["piece", "answer"] if streams else "answer")
    found = roots(backend.events)
    errors = [(root["metadata"].get("error.type"), root["error_message"]) for root in found]
    assert errors == [(None, None), ("LookupError", "mine"), (None, None)]
    assert {(event["trace_id"], event["user_id"]) for event in backend.events} == {(TRACE, "u1")}
    assert all(len(below(root, backend.events)) == 1 for root in found)
    if streams:
        hosts.write("Cog", "stream", "Everything arrives after the last piece, before the prediction is over.")
        return
    summary: Any = {"sent": "before the last output", "later": "the time of the flush"} if model == "Sync" else {}
    hosts.write("Cog", "sync" if model == "Sync" else "async", "Everything arrives before the output.", **summary)
    hosts.write("Cog", "exception", "Everything arrives before the answer, with the error.")


def test_without_the_decorator_events_are_lost(backend: Backend) -> None:
    """With `init()` alone the same predictions lose what had not been sent when the process was stopped."""
    stopped_with_each_output(backend, "Sync", "init")
    assert len(backend.events) < 3


def test_predictions_at_once_an_outage_and_the_end_of_a_container(backend: Backend) -> None:
    """Predictions that run at once have an event each, and so has a cancelled one. While the backend hangs, an output
    waits for `flush_timeout` at most; what is pending at SIGTERM is sent at the end of the process."""
    with Cog(backend, "Coroutine", ZESPAN_FLUSH_TIMEOUT="0.3", COG_MAX_CONCURRENCY="8") as cog:
        cog.ready()
        cog.ask("/predictions/long", {"input": {"user": "u2", "seconds": 1000}}, "PUT", prefer="respond-async")
        many = [cog.later("/predictions", {"input": {"user": "u1", "seconds": 0.2}}) for _ in range(4)]
        assert {json.loads(one().body)["status"] for one in many} == {"succeeded"}
        cog.ask("/predictions/long/cancel", {})
        until(lambda: len(roots(backend.events)) == 5, 60)
        cancelled = [root for root in roots(backend.events) if root["user_id"] == "u2"]
        assert [root["metadata"]["error.type"] for root in cancelled] == ["CancelledError"]
        assert len({root["trace_id"] for root in roots(backend.events)}) == 5

        backend.mode = "hang"
        assert cog.predict()["status"] == "succeeded"
        assert len(roots(backend.events)) == 5
        backend.mode = "ok"
        cog.terminate()
        assert cog.wait().code == 0, cog.log
    assert len(roots(backend.events)) == 6
    hosts.write("Cog", "concurrent", "Everything arrives, an event for each prediction.")
    seen = "An output waits for `flush_timeout` at most; the events are sent with those of the next predictions."
    hosts.write("Cog", "dead backend", seen, outage="kept, then sent")
    seen = "Everything arrives; the server ends as without the package."
    hosts.write("Cog", "SIGTERM", seen, stopped="everything is sent")
    hosts.write("Cog", "deadline", "Cog has no time limit; its end is a cancellation.")
