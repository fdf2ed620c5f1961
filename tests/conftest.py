"""Every test starts as a process that has just imported the package, with nothing of ours in its environment."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests import hosts
from zespan_serverless import testing

pthread_sigmask: Any = getattr(signal, "pthread_sigmask", None)

# Fixtures that start a real host. A test that uses one of them is marked as `host`; others say so themselves.
HOSTS = {"start", "served", "pair", "fastapi", "flask", "worker", "deploy", "sandbox"}

# Seconds that one test takes, unless its marker says otherwise: pytest.mark.host(seconds=10).
USUAL_SECONDS = {"host": 1.5, "slow": 3.0}

# On a busy machine anything may take long, once.
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only what runs in this process")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, if that is asked for. Otherwise sort the files by how long they take, longest first:
    if these began last, all other workers would wait for them.
    """
    for item in items:
        if not HOSTS.isdisjoint(getattr(item, "fixturenames", ())) and not item.get_closest_marker("host"):
            item.add_marker("host")
    if config.getoption("quick"):
        config.hook.pytest_deselected(items=[item for item in items if _seconds(item)])
        items[:] = [item for item in items if not _seconds(item)]
        return
    files: defaultdict[Path, float] = defaultdict(float)
    for item in items:
        files[item.path] += _seconds(item)
    items.sort(key=lambda item: -files[item.path])


def _seconds(item: pytest.Item) -> float:
    """How long a test takes that is marked as `host` or `slow`; 0 for all others."""
    return max(
        (
            mark.kwargs.get("seconds", USUAL_SECONDS[mark.name])
            for mark in item.iter_markers()
            if mark.name in USUAL_SECONDS
        ),
        default=0.0,
    )


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No settings, events or spans of another test; no ZESPAN_* or proxy variables; the environment put back after."""
    before = dict(os.environ)
    for name in before:
        if name.upper().startswith("ZESPAN_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["ZESPAN_ENABLED"] = "1"  # which is off in tests, unless they ask for it
    testing.reset()
    blocked = pthread_sigmask(signal.SIG_BLOCK, ()) if pthread_sigmask else None
    yield
    testing.reset()
    os.environ.clear()
    os.environ.update(before)
    if pthread_sigmask:
        assert pthread_sigmask(signal.SIG_SETMASK, blocked) == blocked, "signals are left blocked"


@pytest.fixture
def backend() -> Iterator[testing.Backend]:
    """A backend on the loopback interface, which keeps what it gets."""
    with testing.Backend() as backend:
        yield backend


@pytest.fixture
def cell() -> Callable[[str, hosts.Situation, str], None]:
    """cell(host, situation, seen): what this test has seen, for the table of hosts (see `hosts`)."""
    return hosts.write
