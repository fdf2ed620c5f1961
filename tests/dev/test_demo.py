"""`make demo`, as a newcomer runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.host(seconds=20)

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only")
def test_demo_delivers_everything_and_says_so() -> None:
    """It ends well: cold, warm and streamed calls have their events, a call to a hanging backend gets them later."""
    demo = subprocess.run(
        [sys.executable, "-m", "zespan_serverless_dev.demo"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    *calls, cost, end = demo.stdout.split("\n\n")[1:]
    cold, warm, streamed, hanging, recovered = calls[:5]
    assert "init" in cold
    assert "init" not in warm + streamed
    for call in (cold, warm, streamed):
        assert (
            len(re.findall(r"arrived .*gpt-4o call \(12 \+ 5 tokens\) \+ invocation, trace \w+$", call, re.MULTILINE))
            == 1
        )
    assert "nothing; the events wait" in hanging
    assert "given up" in hanging
    assert "of an earlier call" in recovered
    assert "the caller waits" in cost
    assert re.search(r"Events of all \d+ invocations have arrived", end)
