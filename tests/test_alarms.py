"""Timeouts by SIGALRM that interrupt our code: the exception reaches the code that set the alarm, and the invocation
ends."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests import alarms
from tests.support import ROOT

ROUNDS = 600


@pytest.mark.slow
@pytest.mark.parametrize("host", alarms.HOSTS)
def test_an_alarm_may_strike_at_any_moment(host: str) -> None:
    """It comes out of the call, wherever it has struck. No invocation stays under way, no span current, no
    signal blocked, and what the function has done is told; later flushes and invocations are as ever."""
    asked = subprocess.run(
        [sys.executable, "-m", "tests.alarms", host, str(ROUNDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    seen = json.loads(asked.stdout)
    assert seen.pop("caught") >= alarms.ENOUGH
    assert seen == {"blocked": 0, "swallowed": 0, "active": 0, "current": 0, "rootless": 0, "untold": 0, "reason": ""}
