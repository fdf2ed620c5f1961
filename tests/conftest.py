"""Every test starts as a process that has just imported the package, with no variable of the package in its
environment."""

from __future__ import annotations

import gc
import os
import re
import signal
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests import hosts
from zespan_serverless import testing

pthread_sigmask: Any = getattr(signal, "pthread_sigmask", None)

# Fixtures that start a real host. A test that uses one of them gets the marker `host` here; other tests set it.
HOSTS = {"start", "served", "pair", "fastapi", "flask", "worker", "deploy", "sandbox"}

# Seconds that one test takes, unless its marker says otherwise: pytest.mark.host(seconds=10).
USUAL_SECONDS = {"host": 1.5, "slow": 3.0}

# Folders whose tests, and the programs that they start, make hundreds of clients for servers without TLS. Each client
# reads the certificates of all authorities, which takes 30 ms of CPU, unless a variable names another file. Not for
# tests that download packages: they need those certificates.
FEW_CERTIFICATES = {"comparison", "frameworks", "opentelemetry", "outbound", "peers", "providers", "sdks"}

# A module that is marked as a whole; in a list of marks, this one comes first.
_MARKED = re.compile(r"^pytestmark = (\[\s*)?pytest\.mark\.(host|slow)\b", re.MULTILINE)

# No deadline for one example: on a busy machine any of them may take long.
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("suite"), max_examples=25)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out tests marked as host or slow, and most examples")
    parser.addoption(
        "--leaks", action="store_true", help="fail a test that leaves an open socket to garbage collection"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples are tried, and let Ctrl-C reach the programs that tests start.

    A suite that a shell has started in the background ignores SIGINT, and so would all processes that it starts.

    Until all tests are collected, no garbage is: hundreds of modules make none, and a quarter of the time would go to
    the search for it.
    """
    gc.disable()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hypothesis.settings.load_profile("quick" if config.getoption("quick") else "suite")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --quick, do not import a module whose tests would all be left out: each process would pay for it."""
    if not config.getoption("quick") or collection_path.suffix != ".py":
        return None
    return True if _MARKED.search(collection_path.read_text()) else None


def pytest_collection_finish() -> None:
    """Keep what is loaded by now out of every later garbage collection; tests start hundreds of them."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --quick, leave out what takes long. Otherwise run the files that take longest first: if these began last,
    all other workers would wait for them.
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
    """Return the expected duration of a test that is marked as `host` or `slow`; 0 for any other test."""
    return max(
        (
            mark.kwargs.get("seconds", USUAL_SECONDS[mark.name])
            for mark in item.iter_markers()
            if mark.name in USUAL_SECONDS
        ),
        default=0.0,
    )


@pytest.fixture(autouse=True)
def own_garbage(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect the garbage of each test at its end, so that a socket which it has left open is not found in another.

    What is alive then stays out of later collections. Otherwise each would look through all SDKs that are imported by
    now, which takes a fifth of a second of CPU.
    """
    yield
    with warnings.catch_warnings():
        if not request.config.getoption("leaks"):
            warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a file with the certificate of one authority."""
    import trustme  # no part of the environments in which wheels are tested

    path = tmp_path_factory.mktemp("certificates") / "authority.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(autouse=True)
def fresh(own_garbage: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """Start without settings, events or spans of another test and without ZESPAN_* and proxy variables.

    Afterwards the environment is restored, and no signal may be left blocked.
    """
    before = dict(os.environ)
    for name in before:
        if name.upper().startswith("ZESPAN_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["ZESPAN_ENABLED"] = "1"  # under pytest the package is off by default
    if not FEW_CERTIFICATES.isdisjoint(request.path.parts):
        os.environ["SSL_CERT_FILE"] = request.getfixturevalue("one_authority")
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
    """A backend on the loopback interface that keeps the events it receives."""
    with testing.Backend() as backend:
        yield backend


@pytest.fixture
def cell() -> hosts.Cell:
    """cell(host, situation, seen): record what this test has seen, for docs/hosts.md (see `hosts`)."""
    return hosts.write
