"""The setting `flush`: other SDKs are flushed in our time, whatever they do with it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.delivery.support import lock_of
from tests.support import until
from zespan_serverless import ConfigurationError, capture, flush, init, run, shutdown, testing, zespan_lambda
from zespan_serverless._process import current, known_sdks
from zespan_serverless._process.others import Other, Others
from zespan_serverless.settings import check
from zespan_serverless.settings._flush import SDKS, Flushable
from zespan_serverless.testing import Backend
from zespan_serverless.types import FlushReport, OtherFlush

LONG = 30.0  # seconds: a hang that no test waits for


class Hanging:
    """An SDK whose flush returns when `released` is set."""

    def __init__(self) -> None:
        self.released, self.calls = threading.Event(), 0

    def flush(self) -> None:
        self.calls += 1
        self.released.wait(LONG)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    one = Hanging()
    yield one
    one.released.set()


def outcomes(report: FlushReport) -> list[tuple[str, str]]:
    return [(one.name, one.outcome) for one in report.others]


# ---------------------------------------------------------------------- what can be flushed


def seconds(timeout: float = 9.0) -> float:
    return timeout


def milliseconds(*, timeout_millis: int = 9000) -> int:
    return timeout_millis


class Provider:
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True

    def shutdown(self) -> None:
        raise AssertionError("it is needed again")


@pytest.mark.parametrize(
    ("value", "name", "takes"),
    [
        (print, "print", ""),
        (seconds, "seconds", "timeout"),
        (milliseconds, "milliseconds", "timeout_millis"),
        (Provider(), "Provider", "timeout_millis"),
        (types.SimpleNamespace(flush=seconds), "SimpleNamespace", "timeout"),
        (types.SimpleNamespace(flush_traces=print), "SimpleNamespace", ""),
    ],
)
def test_what_can_be_flushed(value: object, name: str, takes: str) -> None:
    """Functions, and objects with a method that flushes; those that take a time are given one, in their units."""
    (found,) = check({"flush": [value]})["flush"]
    assert (found.name, found.takes) == (name, takes)


def test_time_is_given_in_the_units_of_the_function() -> None:
    """Seconds or milliseconds, at least one of these."""
    assert Flushable("", seconds, "timeout")(0.25) == 0.25
    assert [Flushable("", milliseconds, "timeout_millis")(left) for left in (0.25, 0.0001)] == [250, 1]


def generates() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("sentry", "flush must be a list, such as flush=["),
        (Provider(), "flush must be a list, such as flush=["),
        (["sentri"], "use one of agents, braintrust, ddtrace"),
        ([Provider], "pass the Provider that your code uses"),
        ([object()], "force_flush(), flush(), flush_traces() and is no function"),
        ([None], "force_flush(), flush(), flush_traces() and is no function"),
        ([lambda client: client], "pass lambda"),
        ([generates], "use a def"),
    ],
)
def test_what_cannot_be_flushed_is_refused_with_advice(value: object, advice: str) -> None:
    """While decorating, with what to type instead."""
    with pytest.raises(ConfigurationError) as raised:
        zespan_lambda(flush=value)  # type: ignore[call-overload]
    assert advice in str(raised.value)


def test_every_name_is_found_by_a_function_of_its_own() -> None:
    """Names of SDKs that have not been imported have nothing to flush."""
    assert set(known_sdks._FINDERS) == set(SDKS)
    assert [known_sdks.find(name) for name in SDKS] == [[]] * len(SDKS)


def test_a_named_sdk_is_found_when_it_has_been_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be imported, or get its client, after the configuration."""
    init(exporter="memory", flush=["sentry"])
    assert outcomes(flush()) == [("sentry", "absent")]
    given: list[float] = []
    monkeypatch.setitem(sys.modules, "sentry_sdk", types.SimpleNamespace(flush=lambda timeout: given.append(timeout)))
    assert outcomes(flush(5)) == [("sentry", "done")]
    assert [0 < left <= 5 for left in given] == [True]


# ---------------------------------------------------------------------- whatever it does


def test_they_are_flushed_at_the_end_of_every_invocation() -> None:
    """Each once, and the report says so; the second invocation finds them in order."""
    called: list[str] = []
    reports: list[FlushReport] = []

    async def later() -> None:
        await asyncio.sleep(0)
        called.append("async")

    @zespan_lambda(exporter="memory", flush=[lambda: called.append("sync"), later, Provider()], on_flush=reports.append)
    def handler(event: object, context: object) -> int:
        return 1

    for _ in range(2):
        assert handler({}, testing.LambdaContext()) == 1
    until(lambda: len(reports) == 2)
    assert sorted(called) == ["async", "async", "sync", "sync"]
    assert [outcomes(report) for report in reports] == [
        [("<lambda>", "done"), ("later", "done"), ("Provider", "done")]
    ] * 2


def test_async_functions_leave_the_loop_free_while_others_are_flushed() -> None:
    """The loop turns while the flush of another SDK takes its time, and the function waits for that flush."""
    turns: list[int] = []
    done = threading.Event()

    def slow() -> None:
        until(lambda: len(turns) > 3)
        done.set()

    @zespan_lambda(exporter="memory", flush=[slow], flush_timeout=20.0)
    async def handler(event: object, context: object) -> bool:
        return done.is_set()

    awaited: Any = handler  # under a running loop its result is to be awaited

    async def main() -> bool:
        task = asyncio.ensure_future(awaited({}, testing.LambdaContext()))
        while not task.done():
            turns.append(1)
            await asyncio.sleep(0.01)
        return bool(task.result())

    assert asyncio.run(main()) is False
    assert done.is_set()


def _fails() -> None:
    raise ValueError("no network")


def _exits() -> None:
    sys.exit(3)


@pytest.mark.parametrize(
    ("theirs", "detail"),
    [(_fails, "ValueError: no network"), (_exits, "SystemExit: 3"), (lambda: False, "it returned False")],
)
def test_one_that_fails_is_reported_and_logged_once(
    theirs: Callable[[], object], detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs our events nothing, nor the next flush."""
    with Backend() as backend, caplog.at_level(logging.WARNING, "zespan_serverless"):
        init(base_url=backend.url, flush=[theirs])
        for _ in range(2):
            capture({"operation": "x"})
            report = flush()
            assert (report.delivered, [(one.outcome, one.detail) for one in report.others]) == (1, [("failed", detail)])
    assert caplog.text.count(detail) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_log_handler_that_exits_costs_one_flush() -> None:
    """It ends the thread that logs; the next flush has another thread, and does not wait for what cannot come."""

    class Exits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "no network" in record.getMessage():
                sys.exit(3)

    handler, logger = Exits(), logging.getLogger("zespan_serverless")
    logger.addHandler(handler)
    try:
        init(exporter="memory", enabled=True, flush=[_fails])
        assert outcomes(flush(0.3)) == [("_fails", "timeout")]
        assert outcomes(flush(30.0)) == [("_fails", "failed")]
    finally:
        logger.removeHandler(handler)


def _first_of(flushed: Any) -> Other:
    """Return the first entry of a container's delivery."""
    first: Other = flushed._others._all[0]
    return first


def test_one_that_hangs_costs_the_time_of_one_flush(hanging: Hanging) -> None:
    """It is not waited for again until it has returned, and been quick; the others are flushed all the while."""
    counted: list[int] = []
    init(exporter="memory", flush=[hanging, lambda: counted.append(1)])
    container = current()
    assert container is not None
    other = _first_of(container.delivery)

    def flushed(seconds: float) -> list[str]:
        return [one.outcome for one in container.delivery.flush(seconds).others]

    assert flushed(0.2) == ["timeout", "done"]
    assert flushed(LONG) == ["skipped", "done"]
    assert hanging.calls == 1
    hanging.released.set()
    until(lambda: other._late == 1)
    assert flushed(LONG) == ["skipped", "done"]  # but it has been asked, and is quick
    until(lambda: other._late == 0)
    assert flushed(LONG) == ["done", "done"]
    assert (hanging.calls, len(counted)) == (3, 4)


@pytest.mark.parametrize(("times", "pause"), [(1, 5.0), (2, 10.0), (9, 60.0)])
def test_one_that_has_been_slow_is_waited_for_after_a_pause(times: int, pause: float) -> None:
    """The longer the more often it took too long in a row; `flush()` by hand does not mind the pause."""
    calls: list[int] = []
    init(exporter="memory", flush=[lambda: calls.append(1)])
    container = current()
    assert container is not None
    other = _first_of(container.delivery)

    def flushed(ago: float, *, probe: bool = False) -> str:
        other._late, other._late_at = times, time.time() - ago
        (one,) = container.delivery.flush(LONG, probe=probe).others
        until(lambda: other._late == 0)
        return one.outcome

    assert flushed(pause - 2) == "skipped"
    assert flushed(pause - 2, probe=True) == "done"
    assert flushed(pause + 2) == "done"
    assert len(calls) == 3


def test_one_that_is_not_over_when_the_flush_is_cut_short_is_not_called_slow(
    hanging: Hanging, caplog: pytest.LogCaptureFixture
) -> None:
    """Who awaits our flush may be cancelled, such as by a client that has left."""
    others = Others(check({"flush": [hanging]})["flush"])
    for timeout, logged in ((30.0, 0), (0.1, 1)):
        flush = others.begin(timeout)
        assert flush is not None
        if logged:
            flush.wait()
        assert [one.outcome for one in others.end(flush)] == ["timeout"]
        assert caplog.text.count("took too long") == logged
    others.dismiss()


def _uses_up(timeout: float) -> None:
    time.sleep(timeout * 0.98)


@pytest.mark.slow
def test_one_that_uses_up_its_time_is_slow() -> None:
    """Also if it returns just before the end of its time, as those do that are given one."""
    init(exporter="memory", flush=[_uses_up])
    container = current()
    assert container is not None
    assert [one.outcome for one in container.delivery.flush(1.0).others] == ["timeout"]
    until(lambda: _first_of(container.delivery)._late == 1)


def test_without_time_nothing_is_flushed(hanging: Hanging) -> None:
    """As with our own events."""
    init(exporter="memory", flush=[hanging])
    assert flush(0).others == ()
    assert hanging.calls == 0


def test_a_flush_that_calls_our_flush_does_not_wait_for_itself() -> None:
    """It gets ours alone."""
    inner: list[FlushReport] = []
    init(exporter="memory", flush=[lambda: inner.append(flush(LONG))])
    assert [one.outcome for one in flush(LONG).others] == ["done"]
    assert [report.others for report in inner] == [()]


def test_a_flush_in_a_finalizer_does_not_wait_while_it_holds_up_our_lock(hanging: Hanging) -> None:
    """The garbage collector may run it anywhere in our code, and other threads wait for that."""
    init(exporter="memory", enabled=True, flush=[hanging])
    container = current()
    assert container is not None
    together: Any = container.delivery
    capture({"operation": "x"})
    with lock_of(together._delivery):
        began = time.monotonic()
        report = flush(LONG / 2)
    assert time.monotonic() - began < LONG / 3
    assert (report.pending, report.reason) == (1, "stuck")


def test_signals_stay_the_users_while_others_are_flushed() -> None:
    """A timeout of the user's by SIGALRM interrupts the wait, and the next flush works."""

    class Alarm(Exception):
        pass

    def ring(number: int, frame: object) -> None:
        raise Alarm

    released = threading.Event()
    init(exporter="memory", flush=[lambda: released.wait(LONG)])
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Alarm):
            flush(LONG)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        released.set()
    assert [one.outcome for one in flush(LONG).others] == ["done"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_flushes_in_threads_of_its_own(hanging: Hanging) -> None:
    """Also if the parent's hang."""
    calls: list[int] = []
    init(exporter="memory", flush=[hanging, lambda: calls.append(os.getpid())])
    flush(0.1)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            hanging.released.set()
            report = flush(LONG)
            fine = outcomes(report) == [("Hanging", "done"), ("<lambda>", "done")] and calls[-1] == os.getpid()
            status = 0 if fine else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_one_that_forks_is_flushed_in_the_parent_and_its_child_ends() -> None:
    """The child has no other thread."""
    children: list[int] = []

    def forks() -> None:
        pid = os.fork()
        if pid:
            children.append(pid)

    init(exporter="memory", flush=[forks])
    assert outcomes(flush(LONG)) == [("forks", "done")]
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0


def test_after_shutdown_a_new_start_flushes_them_again() -> None:
    """Nothing is shut down but ours."""
    provider = Provider()
    for _ in range(2):
        init(exporter="memory", flush=[provider])
        assert outcomes(shutdown()) == [("Provider", "done")]


def test_the_same_list_twice_is_the_same_setting(caplog: pytest.LogCaptureFixture) -> None:
    """Bound methods of one object are equal."""
    provider = Provider()
    with caplog.at_level(logging.WARNING, "zespan_serverless"):
        for _ in range(2):
            init(exporter="memory", flush=[provider, provider.force_flush, "sentry", "sentry"])
    assert not caplog.records


def test_reports_can_be_compared_and_shown() -> None:
    """As the other reports."""
    assert OtherFlush("sentry", "done", 0.1) == OtherFlush("sentry", "done", 0.1)
    assert "others=(OtherFlush(detail='', name='sentry'" in repr(FlushReport(others=(OtherFlush("sentry", "done"),)))


def test_hosts_that_keep_running_do_not_flush_others_after_each_request(hanging: Hanging) -> None:
    """Their own threads go on there; what ends a process flushes them."""
    init(exporter="memory", flush=[hanging])
    container = current()
    assert container is not None
    capture({"operation": "x"})
    container.delivery.flush_in_background(0.2)
    until(lambda: not container.delivery.pending)
    assert hanging.calls == 0


# ---------------------------------------------------------------------- the end of a process

ENDING = """
import os, signal, sys, time
from zespan_serverless import init, capture

def theirs(timeout):
    os.write(2, b"flushed in time" if 0 < timeout <= 1.0 else b"flushed without end")
    if sys.argv[2] == "hangs":
        time.sleep(60)

init(exporter="console", flush=[theirs])
capture({"operation": "last"})
if sys.argv[1] == "SIGTERM":
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)
"""


@pytest.mark.slow
@pytest.mark.parametrize("manner", ["returns", "hangs"])
@pytest.mark.parametrize("end", ["exit", "SIGTERM"])
def test_at_the_end_of_a_process_they_are_flushed_within_its_bounds(end: str, manner: str) -> None:
    """The exit waits for flush_timeout at most, SIGTERM for a quarter of a second; the process ends as without us."""
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", ENDING, end, manner], capture_output=True, text=True, timeout=50, check=False
    )
    assert "flushed in time" in ended.stderr
    assert '"last"' in ended.stdout
    assert ended.returncode == (-signal.SIGTERM if end == "SIGTERM" else 0)
    assert time.monotonic() - began < 15


def test_the_end_of_a_job_flushes_them() -> None:
    """Before the process goes."""
    called: list[int] = []
    with run(exporter="memory", flush=[lambda: called.append(1)]):
        assert not called
    assert called == [1]
