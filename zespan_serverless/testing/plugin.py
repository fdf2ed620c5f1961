"""Fixtures, a marker and an option for pytest, which finds them automatically.

    def test_handler(zespan_events, lambda_context):
        handler({"prompt": "hi"}, lambda_context())
        assert [event["operation"] for event in zespan_events] == ["look up", "my-function"]

Every run of pytest loads this module, so the rest is imported by the first fixture. Nothing here may fail in an old
pytest, because that would end every run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from . import Backend, LambdaContext
    from ._recording import Event

_MARKER = """\
zespan(setting=..., allow_drops=False, allow_waiting=False): record the events of the test with these settings, which \
prevail over those of the decorators; the test fails if an event is dropped or left waiting, unless that is allowed"""

_FIXTURES = {"zespan_events", "zespan_backend", "lambda_sandbox"}
_RECORDINGS = "_zespan_recordings"
"""The attribute of a test that holds its recordings."""


@pytest.fixture
def zespan_events(request: pytest.FixtureRequest) -> Iterator[Sequence[Event]]:
    """Return the events that functions would send during the test, as a list. Nothing is sent.

    The test fails at its end if an event was dropped, or if an invocation has left one waiting.
    """
    from ._fixtures import RecordedEvents, watched

    if "zespan_backend" in request.fixturenames:  # a function that sends to it may be in another process
        request.getfixturevalue("zespan_backend")
    with watched(request.node, _RECORDINGS) as recording:
        yield RecordedEvents(recording)


@pytest.fixture
def zespan_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """Return a `testing.Backend` that functions send to over real HTTP, also from processes that the test starts.

    The test fails at its end if an event was dropped, or is still waiting because nothing has flushed it.
    """
    from ._fixtures import receiving

    with receiving(request.node, _RECORDINGS, monkeypatch) as backend:
        yield backend


@pytest.fixture
def lambda_context() -> type[LambdaContext]:
    """Return a function that creates AWS Lambda's `context`: `lambda_context(timeout=3)`."""
    from . import LambdaContext

    return LambdaContext


@pytest.fixture
def lambda_sandbox(request: pytest.FixtureRequest, zespan_backend: Backend) -> Iterator[Callable[..., Any]]:
    """Return a function that starts functions on AWS's Lambda emulator; their events go to `zespan_backend`.

        sandbox = lambda_sandbox("app.handler", "functions", timeout=3)
        assert sandbox.invoke({"prompt": "hi"}).payload == {"ok": True}
        assert len(zespan_backend.wait_for(2)) == 2

    The second argument is the folder of the code, by default pytest's root directory. The others are those of
    `zespan_serverless_dev.emulator.lambda_rie.Sandbox`. The test shuts the sandboxes down at its end, and fails if they
    have lost an event. It is skipped if the emulator cannot run.
    """
    from ._fixtures import sandboxes

    with sandboxes(request.config.rootpath, zespan_backend, getattr(request.node, _RECORDINGS)[0]) as start:
        yield start


def pytest_addoption(parser: pytest.Parser, pluginmanager: Any) -> None:
    keep_as_it_is(pluginmanager.rewrite_hook)
    group = parser.getgroup("zespan", "telemetry")
    group.addoption("--zespan-report", action="store_true", help="print the outcome of the events of each test")


def keep_as_it_is(rewriter: Any) -> None:
    """Let tests import the code that runs in production.

    pytest rewrites the `assert` statements of every package that has a plugin, and imports it with its own loader. In
    this package only the tests for exporters benefit from that.
    """
    marked = getattr(rewriter, "_must_rewrite", None)
    if isinstance(marked, set) and "zespan_serverless" in marked:
        marked.remove("zespan_serverless")
        marked.add("zespan_serverless.testing")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)
    # Pytest before 8.2 did not set it: nothing is sent from tests.
    os.environ.setdefault("PYTEST_VERSION", pytest.__version__)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Record a test with the marker, even if it does not request the list."""
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is not None and item.get_closest_marker("zespan") and _FIXTURES.isdisjoint(names):
        vars(item)["fixturenames"] = ["zespan_events", *names]  # the list is shared by all tests of a function


@pytest.hookimpl(hookwrapper=True)  # a wrapper that any version of pluggy supports
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the events to the report of a failed test, and the sums for the table."""
    outcome: Any = yield
    recordings = getattr(item, _RECORDINGS, None)
    if recordings and outcome.excinfo is None:
        from ._reporting import annotate

        annotate(outcome.get_result(), recordings)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("zespan_report"):
        from ._reporting import write_table

        write_table(terminalreporter)
