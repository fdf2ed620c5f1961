"""The example of a script, and those of the documentation."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.documentation import PAGES, blocks, run
from zespan_serverless import testing
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]


def job(backend: Backend, model: ModelEndpoint, lines: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "ZESPAN_API_KEY": "zsp_test",
        "ZESPAN_BASE_URL": backend.url,
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": model.url,
    }
    command = [sys.executable, str(ROOT / "examples" / "script" / "job.py")]
    return subprocess.run(
        command, env=environment, input=lines, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_line_is_a_step_and_a_call(backend: Backend) -> None:
    """Two lines: two steps with a call each, below the run."""
    with ModelEndpoint(latency_ms=1) as model:
        done = job(backend, model, "one\ntwo\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Hello, serverless world!\n" * 2
    *_, root = backend.events
    assert root["operation"] == "nightly digest"
    steps = [event for event in backend.events if event["operation"] == "line"]
    calls = [event for event in backend.events if event["span_kind"] == "llm"]
    assert {step["parent_span_id"] for step in steps} == {root["span_id"]}
    assert {call["parent_span_id"] for call in calls} == {step["span_id"] for step in steps}
    assert len(calls) == 2


def test_nothing_to_do(backend: Backend) -> None:
    """It exits with 1, and the event says why."""
    with ModelEndpoint(latency_ms=1) as model:
        done = job(backend, model, "")
    assert (done.returncode, done.stderr) == (1, "nothing to do\n")
    (root,) = backend.events
    assert (root["status"], root["error_message"]) == ("error", "nothing to do")


def test_the_documented_runs_have_events() -> None:
    """The block and the decorated main have an event each, the step its own."""
    with testing.recording() as events:
        run(blocks(PAGES["hosts/scripts"])[0])
        assert asyncio.run(run(blocks(PAGES["hosts/scripts"])[1]).main()) == 3
    assert [event["operation"] for event in events] == ["collect", "nightly digest", "main"]
