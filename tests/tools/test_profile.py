"""What a warm invocation on Lambda costs in each thread, counted, so that it does not depend on the machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.bench.standins import StandIns
from tools.profile import KINDS, MAIN, Profile, added

# What is counted today, and a quarter more. If they have to be raised, say why in the commit message.
BEFORE_THE_RESPONSE = {"python": 335, "c": 315}
AFTERWARDS = {"zespan-extension": 285, "zespan-sender": 150}  # calls of Python's functions

pytestmark = [
    pytest.mark.host(seconds=6),
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its runtime client for Linux only"),
]


def test_the_response_waits_for_few_calls(tmp_path: Path) -> None:
    """With one model call, each thread of the package makes a limited number of calls of functions."""
    with StandIns() as standins:
        counted = added(Profile(standins, tmp_path, invocations=5), "package", "calls")
    sums = {
        (thread, kind): sum(number for (of, its, _), number in counted.items() if (of, its) == (thread, kind))
        for thread in (MAIN, *AFTERWARDS)
        for kind in KINDS
    }
    for kind, most in BEFORE_THE_RESPONSE.items():
        assert 0 < sums[MAIN, kind] <= most
    for thread, most in AFTERWARDS.items():
        assert 0 < sums[thread, "python"] <= most
