"""Every test starts as a process that has just imported the package, with nothing of ours in its environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests import hosts
from zespan_serverless import testing


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No settings, events or spans of another test; no ZESPAN_* or proxy variables; the environment put back after."""
    before = dict(os.environ)
    for name in before:
        if name.upper().startswith("ZESPAN_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    testing.reset()
    yield
    testing.reset()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def cell() -> Callable[[str, hosts.Situation, str], None]:
    """cell(host, situation, seen): what this test has seen, for the table of hosts (see `hosts`)."""
    return hosts.write
