"""The work of a web request, counted in a process of its own, so that it depends on nothing else."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support import ROOT

# Calls of Python functions in the thread that serves, of which 135 and 138 are counted for a request under Python 3.11,
# 3 and 8 for a piece; and a sixth more.
CALLS = {"Asgi": 163, "Wsgi": 163}
PIECE_CALLS = {"Asgi": 3.5, "Wsgi": 9.5}


def profile(*arguments: str) -> dict[str, int]:
    """Return the calls that python -m tools.profile_web prints for each server; it prints no warning of lost events."""
    command = [sys.executable, "-m", "tools.profile_web", "--shown", "1", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert not done.stderr
    found = re.findall(r"^(\w+), calls of a .*\nMainThread: (\d+) python", done.stdout, re.MULTILINE)
    return {server: int(calls) for server, calls in found}


@pytest.mark.parametrize(("arguments", "most"), [((), CALLS), (("--pieces", "20"), PIECE_CALLS)], ids=["one", "pieces"])
def test_a_request_makes_few_calls(arguments: tuple[str, ...], most: dict[str, float]) -> None:
    """The middleware adds a limited number of calls to those of the application, and to each piece of a response."""
    calls = profile(*arguments)
    assert calls.keys() == most.keys()
    assert all(0 < calls[server] <= most[server] for server in most), calls
