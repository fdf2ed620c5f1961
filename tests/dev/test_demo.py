"""`make demo`, as a newcomer runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.host(seconds=35)

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only")
def test_demo_shows_what_is_lost_and_that_nothing_need_be() -> None:
    """The SDK loses calls, or its callers wait; this package does neither. It ends with a trace, and a next step."""
    command = [sys.executable, "-m", "zespan_serverless_dev.demo"]
    demo = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    _, timer, flushed, ours, tree, following = demo.stdout.split("\n\n")
    (arrived,) = re.findall(r"✗ of 6 model calls (\d) have arrived", timer)
    assert int(arrived) < 6
    assert re.search(r"of 20 model calls \d+ have arrived", flushed)  # its timer may have taken some at that moment
    assert "✗ when the backend hangs, the caller waits for 8," in flushed
    assert "✓ of 20 model calls 20 have arrived" in ours
    hanging, back = ours.split("The backend hangs:")[1].split("It is back:")
    assert "given up: the events are kept" in hanging
    (waited,) = re.findall(r"the caller has it after (\d+)", hanging)
    assert int(waited) < 5000
    assert re.search(r"✓ events of all \d+ invocations have arrived", back)
    assert [line.split()[:2] for line in tree.splitlines()[2:]] == [["├─", "gpt-4o"], ["└─", "gpt-4o-mini"]]
    assert re.search(r"zespan-serverless dev$", following, re.MULTILINE)
