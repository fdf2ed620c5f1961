"""Workflows of Vercel's SDK, in its own local world: the queue is in the process, the storage in a folder."""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.documentation import PAGES, blocks
from tests.support import ROOT, TRACE, TRACEPARENT, Event, below, roots
from tests.vercel.driver import interpreter
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=6)

APPS = Path(__file__).parent / "apps"
ANSWER = "Hello, serverless world!"


def test_each_attempt_of_a_step_has_an_event_and_a_replay_has_none(backend: Backend, tmp_path: Path) -> None:
    """Everything has arrived when the workflow goes on: the process ends by os._exit. The steps of a run are one trace,
    or are in that of their first argument; a step's result and exception are its own."""
    if (command := interpreter()) is None:
        pytest.skip("Vercel's packages need Python 3.12: run the tests on it, or have `make test` find one")
    (block,) = [each for each in blocks(PAGES["hosts/vercel"]) if "zespan_vercel_step" in each]
    (tmp_path / "workflow_page.py").write_text(block)
    with ModelEndpoint(latency_ms=1) as model:
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, APPS, tmp_path))),
            "WORKFLOW_LOCAL_DATA_DIR": str(tmp_path / "data"),
            "ZESPAN_API_KEY": "zsp_test",
            "ZESPAN_BASE_URL": backend.url,
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "none",
        }
        program = [str(command), str(APPS / "workflow_runs.py"), TRACEPARENT]
        done = subprocess.run(program, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"twice": "ABFatalError", "asks": "Hi", "report": ANSWER}
    seen = sorted(map(attempt, roots(backend.events)), key=str)
    assert seen == [
        ("ask", 1, None),
        ("fail", 1, "LookupError"),
        ("shout", 1, "RetryableError"),
        ("shout", 1, None),
        ("shout", 2, None),
        ("summarize", 1, None),
    ]
    inside = {
        root["operation"]: [event["operation"] for event in below(root, backend.events)]
        for root in roots(backend.events)
    }
    assert {name: len(operations) for name, operations in inside.items()} == {
        "ask": 1,
        "fail": 0,
        "shout": 1,
        "summarize": 1,
    }
    traces = defaultdict(set)
    for root in roots(backend.events):
        traces[root["metadata"]["vercel.workflow.run_id"]].add((root["operation"] == "fail", root["trace_id"]))
    of_twice = next(ids for ids in traces.values() if len(ids) > 1)
    assert (True, TRACE) in of_twice
    assert [len(ids) for ids in traces.values() if ids is not of_twice] == [1, 1]
    assert len({trace for ids in traces.values() for _, trace in ids}) == 4


def attempt(root: Event) -> tuple[str, int, str | None]:
    """Return the name of a step, the number of the attempt, and the type of its exception."""
    said = root["metadata"]
    assert said["faas.invocation_id"] == f"{said['vercel.workflow.step.id']}/{said['vercel.workflow.step.attempt']}"
    return root["operation"], said["vercel.workflow.step.attempt"], said.get("error.type")
