"""Every test starts as a process that has just imported the package, with nothing of ours in its environment."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests import hosts
from zespan_serverless import testing

FOLDER = Path(__file__).parent

pthread_sigmask: Any = getattr(signal, "pthread_sigmask", None)

# What runs on a real host: --quick leaves it out, and single tests that are marked as slow. The longest come first: if
# they began last, all other workers would wait for them.
SLOW = (
    *("peers", "conformance", "sam", "test_chaos", "test_memory", "providers/openai/test_interrupted"),
    *("aws_lambda/test_unfinished", "vercel/test_vercel", "web/test_servers"),
    *("google_cloud/test_http", "aws_lambda/test_attendance", "jobs/test_run", "aws_lambda/test_web"),
    *("aws_lambda/test_sigterm", "aws_lambda/test_examples", "test_template", "emulator/test_demo"),
    *("azure_functions/test_functions", "azure_functions/test_flushes", "azure_functions/test_streams"),
    *("azure_functions/test_examples", "azure_functions/test_triggers", "google_cloud/test_events"),
    *("google_cloud/test_example", "google_cloud/test_jobs", "vercel", "web/test_applications", "web/test_examples"),
    *("web/test_held", "aws_lambda/test_auto", "aws_lambda/test_by_hand", "aws_lambda/test_durable"),
    *("aws_lambda/test_flush_modes", "aws_lambda/test_handlers", "aws_lambda/test_key_from_aws"),
    *("aws_lambda/test_main_line", "aws_lambda/test_managed_instances", "aws_lambda/test_results"),
    *("aws_lambda/test_situations", "aws_lambda/test_snapstart", "aws_lambda/test_switched_off"),
    *("emulator/test_sandbox", "jobs"),
)

# On a busy machine anything may take long, once.
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only what runs in this process")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what is slow, if that is asked for."""
    return (config.getoption("quick") and _place(collection_path) < len(SLOW)) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out single tests that are slow, if that is asked for; put first the files that are."""
    if config.getoption("quick"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("slow")])
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
    items.sort(key=lambda item: _place(item.path))


@functools.cache
def _place(path: Path) -> int:
    """Of a file among those that are slow; behind them if it is not."""
    name = path.relative_to(FOLDER).with_suffix("").as_posix() if path.is_relative_to(FOLDER) else ""
    return next((n for n, slow in enumerate(SLOW) if name == slow or name.startswith(f"{slow}/")), len(SLOW))


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
