"""The work of a web request, counted, so that it does not depend on the machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import ROOT
from tools.profile_web import REQUESTS, ROUNDS, Asgi, Wsgi, added
from zespan_serverless.testing import Backend

# Calls of Python functions in the thread that serves, of which 140 and 136 are counted for a request under Python 3.11,
# 3 and 8 for a piece; and a sixth more.
CALLS = {Asgi: 163, Wsgi: 159}
PIECE_CALLS = {Asgi: 3.5, Wsgi: 9.5}


@pytest.fixture(autouse=True)
def destination(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Make the middleware send to this backend."""
    monkeypatch.setenv("ZESPAN_API_KEY", "zsp_test")
    monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
    return backend


@pytest.mark.parametrize("server", CALLS)
def test_a_request_makes_few_calls(server: type[Asgi | Wsgi], destination: Backend) -> None:
    """The middleware adds a limited number of calls to those of the application, in the thread that serves it."""
    counted = added(server, "calls", 1)
    assert 0 < sum(number for (_, kind, _), number in counted.items() if kind == "python") <= CALLS[server]
    requests = (1 + ROUNDS) * REQUESTS
    assert len(destination.wait_for(requests)) == requests


@pytest.mark.parametrize("server", PIECE_CALLS)
def test_a_piece_of_a_response_makes_few_calls(server: type[Asgi | Wsgi]) -> None:
    """A response in pieces costs a few calls for each of them, however many there are."""
    counted = added(server, "calls", 20)
    assert 0 < sum(number for (_, kind, _), number in counted.items() if kind == "python") <= PIECE_CALLS[server]


@pytest.mark.slow
def test_the_profile_loses_no_event() -> None:
    """python -m tools.profile_web delivers its events before its backend ends, so that it prints no warning."""
    command = [sys.executable, "-m", "tools.profile_web", "--shown", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.count("MainThread") == 4
    assert not done.stderr
