"""The package's work in a warm invocation, counted, so that it does not depend on the machine."""

from __future__ import annotations

import sys

import pytest

from tools.bench.setting import Setting
from tools.bench.work import work

# What is counted today, and a third more: enough for another Python and for a feature, but not for a gross regression.
# If they have to be raised, say why in the commit message.
PYTHON_CALLS = 620
C_CALLS = 560

pytestmark = [
    pytest.mark.host(seconds=4),
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its runtime client for Linux only"),
]


def test_a_warm_invocation_makes_few_calls(setting: Setting) -> None:
    """With one model call and one flush, the package adds a limited number of calls of functions, in all threads."""
    added = work(setting)["package"]
    assert added["arrived"] == 12
    assert 0 < added["python_added"] <= PYTHON_CALLS
    assert 0 < added["c_added"] <= C_CALLS
