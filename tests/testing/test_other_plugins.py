"""Beside pytest-asyncio, anyio, freezegun and time-machine, which are what they are, and in an old pytest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.environments import installed
from tests.testing.sessions import session

pytestmark = pytest.mark.slow(seconds=4)

ASYNC = """
@zespan_gcf
async def function(request):
    with span("step"):
        await asyncio.sleep(0)
    return "ok"

@pytest.mark.{marker}
async def test_list(zespan_events):
    assert await asyncio.gather(function(None), function(None)) == ["ok", "ok"]
    assert sorted(event["operation"] for event in zespan_events) == ["function", "function", "step", "step"]

@pytest.mark.{marker}
async def test_backend(zespan_backend):
    assert await function(None) == "ok"
    assert len(zespan_backend.wait_for(2)) == 2

@pytest.mark.{marker}
@pytest.mark.zespan(allow_waiting=True, flush_mode="before_return")
async def test_marker(zespan_backend):
    zespan_backend.mode = "refuse"
    assert await function(None) == "ok"

@pytest.mark.{marker}
async def test_waiting(zespan_backend):
    zespan_backend.mode = "refuse"
    assert await function(None) == "ok"
"""

FROZEN = """
import freezegun, time_machine

@zespan_gcf
async def function(request):
    with span("step"):
        await asyncio.sleep(0)
    return "ok"

CLOCKS = {
    "freezegun": lambda: freezegun.freeze_time("2030-01-01"),
    "freezegun_ticks": lambda: freezegun.freeze_time("2030-01-01", tick=True),
    "time_machine": lambda: time_machine.travel("2030-01-01T00:00:00+00:00", tick=False),
}

@pytest.fixture(params=CLOCKS)
def frozen(request):
    with CLOCKS[request.param]():
        yield

def test_time_of_the_events(zespan_events, frozen, lambda_context):
    handler({}, lambda_context())
    assert [event["timestamp"][:18] for event in zespan_events] == ["2030-01-01T00:00:0"] * 2

def test_delivery(zespan_backend, frozen, lambda_context):
    handler({}, lambda_context())
    assert len(zespan_backend.events) == 2

@pytest.mark.parametrize("mode", ["hang", "refuse"])
@pytest.mark.zespan(allow_waiting=True, flush_mode="before_return", flush_timeout=0.2)
class TestBackendIsAway:
    def test_function(self, zespan_backend, frozen, lambda_context, mode):
        zespan_backend.mode = mode
        assert handler({}, lambda_context()) == {"ok": True}

    def test_async_function(self, zespan_backend, frozen, mode):
        zespan_backend.mode = mode
        assert asyncio.run(function(None)) == "ok"

    def test_by_hand(self, zespan_backend, frozen, mode):
        zespan_backend.mode = mode
        init()
        capture({"operation": "x"})
        assert flush(0.2).pending == 1
"""


@pytest.mark.parametrize(
    ("plugin", "marker", "option"),
    [
        ("pytest_asyncio.plugin", "asyncio", "asyncio_default_fixture_loop_scope=function"),
        ("anyio.pytest_plugin", "anyio", ""),
    ],
)
def test_async_tests_use_the_same_fixtures(tmp_path: Path, plugin: str, marker: str, option: str) -> None:
    """Async tests use the same fixtures, and fail for events that do not arrive."""
    pytest.importorskip(plugin)
    tests = ASYNC.format(marker=marker) + '\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n'
    run = session(tmp_path, tests, *(("-o", option) if option else ()), plugins=plugin)
    outcomes = dict.fromkeys(["test_list", "test_backend", "test_marker"], "PASSED")
    assert run.outcomes == {**outcomes, "test_waiting": "ERROR"}, run.output


def test_frozen_clocks_block_no_flush(tmp_path: Path) -> None:
    """Events have the frozen time, and no flush hangs: each test ends although its backend never answers."""
    pytest.importorskip("freezegun")
    pytest.importorskip("time_machine")
    run = session(tmp_path, FROZEN, "-o", "timeout=20", plugins="pytest_timeout")
    assert len(run.outcomes) == 6 + 18
    assert set(run.outcomes.values()) == {"PASSED"}, run.output


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this pytest is older than that Python")
def test_an_old_pytest_works_as_before(tmp_path: Path) -> None:
    """It loads the plugin in every run, whose other tests must not fail for it; and the fixtures work there, too."""
    tests = """
    def test_others():
        pass

    def test_list(zespan_events, lambda_context):
        handler({}, lambda_context())
        assert len(zespan_events) == 2

    @pytest.mark.zespan
    def test_waiting(lambda_context):
        handler({}, lambda_context(timeout=0.1))

    def test_fails(zespan_events, lambda_context):
        handler({}, lambda_context())
        assert zespan_events == []
    """
    run = session(tmp_path, tests, "--zespan-report", python=installed("pytest", "oldest"))
    passing = dict.fromkeys(["test_others", "test_list"], "PASSED")
    assert run.outcomes == {**passing, "test_waiting": "ERROR", "test_fails": "FAILED"}, run.output
    assert "look up" in run.section("test_fails")
    assert "telemetry of 3 tests" in run.output
