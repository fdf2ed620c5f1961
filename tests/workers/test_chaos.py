"""Celery's child processes are killed, recycled and cut by time limits, its worker is killed, and the backend fails in
every way: nothing that a task has captured is lost.

ZESPAN_CHAOS_SEED=7 repeats a run as far as timing allows; ZESPAN_CHAOS_SECONDS=600 has it go on for longer.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests import environments
from tests.support import roots
from tests.test_chaos import HEIR
from tests.workers import support
from tests.workers.support import Worker
from zespan_serverless.testing import Backend

APP = "tests.workers.celery_app"
MODES: list[Any] = ["ok", "ok", "ok", "hang", "refuse", "drop", 429, 500, 503]
SECONDS = float(os.environ.get("ZESPAN_CHAOS_SECONDS", "12"))
SEED = os.environ.get("ZESPAN_CHAOS_SEED") or str(random.randrange(10**6))
OPTIONS = ["--max-tasks-per-child", "9", "--soft-time-limit", "1", "--time-limit", "2"]


@pytest.mark.host(seconds=30)
@pytest.mark.timeout(SECONDS + 300)
def test_nothing_captured_is_lost(redis: str, backend: Backend, tmp_path: Path) -> None:
    """Whatever ends a child process or the worker, every event whose capture has returned arrives; so do the others."""
    python, chance = environments.installed("workers", "queues"), random.Random(SEED)
    url = f"redis+socket://{redis}?virtual_host=9"
    sizes = {"ZESPAN_MAX_EVENTS": "100000", "ZESPAN_MAX_BYTES": "100000000", "ZESPAN_FLUSH_TIMEOUT": "0.3"}
    env = support.environment(tmp_path, backend.url, BROKER=url, ROOM="room", **sizes)
    command = [str(python), "-m", "celery", "-A", APP, "worker", "-P", "prefork", "-c", "6", "-l", "error", *OPTIONS]
    left, counted = SECONDS, Counter[str]()
    while left > 0:
        counted["workers"] += 1
        seeds = [["chaos", [chance.randrange(10**9)], {}] for _ in range(200 if SECONDS < 60 else 500)]
        support.run(python, APP, seeds, env={**env, "ROOM": ""})
        before, life = len(support.noted(env)), min(left, chance.uniform(4, max(10, SECONDS / 10)))
        with Worker([*command, "--without-gossip", "--without-mingle"], env) as worker:
            support.wait_for(env, before + 1, worker)  # its start takes seconds on a busy machine
            _strike(worker, backend, chance, time.monotonic() + life, counted)
            if chance.random() < 0.5:
                with suppress(subprocess.TimeoutExpired):
                    worker.stop(chance.choice([signal.SIGTERM, signal.SIGQUIT]), 5)
        left -= life
    backend.mode = "ok"
    journals = tmp_path / f"zespan-serverless-{os.geteuid()}"
    heir = subprocess.run(
        [python, "-c", HEIR, journals], env=env, capture_output=True, text=True, check=False, timeout=90
    )
    assert heir.returncode == 0, heir.stderr
    captured, arrived = support.noted(env), {event["event_id"] for event in backend.events}
    tasks = {event["metadata"]["faas.invocation_id"] for event in roots(backend.events)}
    told = f"seed {SEED}: {dict(counted)}, {len(captured)} events captured, {len(tasks)} tasks"
    assert captured
    assert [name for name in captured if name not in arrived] == [], told
    print(told)  # noqa: T201


def _strike(worker: Worker, backend: Backend, chance: random.Random, end: float, counted: Counter[str]) -> None:
    """Change the backend's mode, and kill child processes, until the end."""
    while time.monotonic() < end and worker.process.poll() is None:
        time.sleep(chance.uniform(0.05, 0.4))
        backend.mode = chance.choice(MODES)
        path = Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children")
        children = path.read_text().split() if path.exists() else []
        if children and chance.random() < 0.3:
            with suppress(ProcessLookupError):
                os.kill(int(chance.choice(children)), chance.choice([signal.SIGKILL, signal.SIGTERM]))
                counted["kills"] += 1
