"""The snapshot that Cloudflare makes of a Worker after its import, and from which its isolates start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import environments, hosts
from tests.support import ROOT, below, roots
from zespan_serverless.testing import Backend

pytestmark = [
    pytest.mark.host(seconds=6),
    pytest.mark.skipif(not shutil.which("node"), reason="the Worker runs on Node"),
]

HERE = Path(__file__).parent


def test_isolates_of_one_snapshot_share_nothing_that_is_sent(backend: Backend) -> None:
    """Each isolate has a cold start of its own and ids of its own, although it has the memory of the others, down to
    the state of `random`; each event arrives once."""
    python = environments.installed("cloudflare", "worker")
    command = ["node", "--experimental-wasm-stack-switching", str(HERE / "snapshot.mjs")]
    command += [str(python.parents[1] / "node_modules"), "snapshot_worker", str(HERE), str(ROOT)]
    env = {"PATH": os.environ["PATH"], "ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_test"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    (number, pending), (same, left) = (json.loads(line) for line in done.stdout.splitlines())
    assert (same, pending, left) == (number, 0, 0)
    found = roots(backend.events)
    assert [root["operation"] for root in found] == ["GET /first", "GET /second"] * 2
    assert [root["metadata"]["faas.coldstart"] for root in found] == [True, False] * 2
    assert [len(below(root, backend.events)) for root in found] == [1] * 4
    assert len({root["trace_id"] for root in found}) == 4
    assert len({event["event_id"] for event in backend.events}) == len(backend.events) == 8
    seen = (
        "In Pyodide's own: isolates of one snapshot have ids and cold starts of their own, and each event arrives once."
    )
    hosts.write("Cloudflare Workers", "snapshot", seen)
