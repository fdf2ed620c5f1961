"""The package's work in a warm invocation, counted, so that it does not depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# What is counted today, and a third more: enough for another Python, and for a feature, but not for a gross regression.
# Say why in the commit message if they have to be raised.
PYTHON_CALLS = 850
C_CALLS = 770


@pytest.mark.slow
def test_a_warm_invocation_makes_few_calls() -> None:
    """With one model call and one flush, the package adds a limited number of calls of functions, in all threads."""
    command = [sys.executable, "-m", "tools.bench.counts"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    counted = json.loads(done.stdout)
    added = {kind: counted["package"][kind] - counted["bare"][kind] for kind in ("python", "c")}
    assert 0 < added["python"] <= PYTHON_CALLS
    assert 0 < added["c"] <= C_CALLS
