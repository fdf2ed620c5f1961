"""Once per process: who configures, what a second configuration does, by hand, forks."""

from __future__ import annotations

import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from zespan_serverless import FlushIncomplete, _observe, capture, flush, init, shutdown, testing, zespan_lambda
from zespan_serverless._process import container
from zespan_serverless.testing import Backend


def test_the_first_configuration_wins_and_a_second_one_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    """Two decorators with different settings share the first one's."""
    with Backend() as backend, caplog.at_level(logging.WARNING, "zespan_serverless"):
        init(base_url=backend.url, environment="first")
        init(base_url=backend.url, environment="first")
        assert not caplog.records
        for _ in range(2):
            init(environment="second")
        capture({"operation": "x"})
        assert flush().delivered == 1
        assert [e["environment"] for e in backend.events] == ["first"]
    assert len(caplog.records) == 1
    assert "environment" in caplog.text


def test_container_starts_once_under_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first invocations of a threaded process find one container."""
    made = []
    original = container.Container.__init__

    def counting(self: container.Container, settings: object) -> None:
        made.append(1)
        time.sleep(0.05)  # the others come to the lock meanwhile
        original(self, settings)  # type: ignore[arg-type]

    monkeypatch.setattr(container.Container, "__init__", counting)
    gate = threading.Barrier(16)

    def first() -> None:
        gate.wait()
        _observe.start({"exporter": "memory"})

    threads = [threading.Thread(target=first) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_flush_reports_pending_events_and_can_raise() -> None:
    """A backend that refuses connections leaves events pending, and the report says why."""
    with Backend() as backend:
        backend.mode = "refuse"
        init(base_url=backend.url)
        capture({"operation": "x"})
        report = flush(0.3)
        assert (report.delivered, report.dropped, report.pending) == (0, 0, 1)
        assert report.reason
        with pytest.raises(FlushIncomplete) as caught:
            flush(0.3, raise_on_pending=True)
        assert caught.value.report.pending == 1
        backend.mode = "ok"
        assert flush(5).delivered == 1
        assert len(backend.events) == 1


def test_after_shutdown_events_are_counted_until_a_new_start() -> None:
    """shutdown() delivers, then drops with a reason; init() begins anew."""
    with Backend() as backend:
        init(base_url=backend.url)
        capture({"operation": "a"})
        assert shutdown().delivered == 1
        capture({"operation": "late"})
        stopped = container.current()
        assert stopped is not None
        assert stopped.delivery.dropped == {"closed": 1}
        init(base_url=backend.url)
        capture({"operation": "b"})
        flush()
        assert [e["operation"] for e in backend.events] == ["a", "b"]


def test_init_as_context_manager_delivers_at_the_end_of_the_block() -> None:
    """Scripts need no flush of their own."""
    with Backend() as backend:
        with init(base_url=backend.url):
            capture({"operation": "a"})
            assert not backend.events
        assert len(backend.events) == 1


def test_a_script_delivers_at_exit() -> None:
    """What init() started sends what is left when the interpreter exits."""
    with Backend() as backend:
        code = "import zespan_serverless as z; z.init(); z.capture({'operation': 'at exit'})"
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "ZESPAN_BASE_URL": backend.url})
        assert [e["operation"] for e in backend.events] == ["at exit"]


def test_sampling_keeps_or_drops_whole_traces() -> None:
    """All events of a trace share its fate."""

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        capture({"operation": "x"})

    with testing.recording(sample_rate=0.5) as events:
        for _ in range(100):
            handler({}, testing.LambdaContext())
    traces = [e["trace_id"] for e in events]
    assert 0 < len(set(traces)) < 100
    assert all(traces.count(t) == 2 for t in traces)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_sends_its_own_events_and_not_its_parents() -> None:
    """Locks, threads and buffered events are the parent's; the child starts with none of them."""
    with Backend() as backend:
        init(base_url=backend.url)
        capture({"operation": "warm-up"})
        flush()  # the sender thread is running, its connection open
        capture({"operation": "parent"})
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                capture({"operation": "child"})
                status = 0 if flush(5).delivered == 1 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert flush(5).delivered == 1
        assert sorted(str(e["operation"]) for e in backend.events) == ["child", "parent", "warm-up"]


def _job() -> None:
    capture({"operation": "child"})


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_worker_of_multiprocessing_delivers_when_it_ends() -> None:
    """multiprocessing's children skip atexit; their events are sent all the same."""
    with Backend() as backend:
        init(base_url=backend.url)
        capture({"operation": "parent"})
        flush()
        worker = multiprocessing.get_context("fork").Process(target=_job)
        worker.start()
        worker.join(20)
        assert worker.exitcode == 0
        assert [e["operation"] for e in backend.events] == ["parent", "child"]


OUTLIVES = """
import multiprocessing, multiprocessing.util, os, threading, time
from zespan_serverless import init, task_scope

def work():
    init(on_error=lambda dropped: os.write(1, f"{dropped.events} {dropped.reason}".encode()))
    with task_scope("in time"):
        pass
    ended = threading.Event()

    def linger():
        ended.set()
        time.sleep(60)

    multiprocessing.util.Finalize(None, linger, exitpriority=0)  # after those of this package

    def outlive():
        ended.wait()
        with task_scope("late"):
            pass
        os._exit(7)

    threading.Thread(target=outlive, daemon=True).start()

child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
raise SystemExit(child.exitcode)
"""


def test_work_that_begins_after_the_end_of_its_process_is_counted() -> None:
    """A child of multiprocessing may go on after its last flush, as with Dramatiq's asynchronous actors before Python
    3.13: on_error is told of what it captures then."""
    with Backend() as backend:
        env = {**os.environ, "ZESPAN_BASE_URL": backend.url, "ZESPAN_ENABLED": "1", "ZESPAN_JOURNAL": "off"}
        command = [sys.executable, "-c", OUTLIVES]
        ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stdout) == (7, "1 closed"), ended.stderr
        assert [event["operation"] for event in backend.events] == ["in time"]


def test_a_flush_in_an_invocation_keeps_the_reserve() -> None:
    """Flushing by hand never takes what the function needs to return in time."""

    @zespan_lambda
    def handler(event: object, context: object) -> float:
        capture({"operation": "x"})
        return flush().elapsed

    with Backend() as backend:
        backend.mode = "hang"
        _observe.start({"base_url": backend.url, "flush_reserve": 1.5, "root_event": False})
        took = handler({}, testing.LambdaContext(timeout=1.8))
        assert 0.2 < took < 1.5


LATE = """
import sys
from zespan_serverless import *

@globals()[sys.argv[1]]
def function(event=None, context=None):
    return 1

function(None)
with span("late"):
    pass
"""


@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize("decorator", ["zespan_lambda", "zespan_azure", "zespan_gcf", "zespan_cloud_event"])
def test_events_pending_at_exit_are_sent_or_reported(decorator: str, is_away: bool) -> None:
    """This holds for a decorated function in any process, its platform's or not."""
    with Backend() as backend:
        backend.mode = "refuse" if is_away else "ok"
        ended = subprocess.run(
            [sys.executable, "-c", LATE, decorator],
            env={**os.environ, "ZESPAN_BASE_URL": backend.url},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert len(backend.events) == (0 if is_away else 2)
    assert ("dropped: closed" in ended.stderr) is is_away


CHILD = """
import multiprocessing, sys
from zespan_serverless import capture, zespan_lambda

def handler(event, context):
    return 1

def work():
    zespan_lambda(handler)({}, None)
    capture({"operation": "late"})

if __name__ == "__main__":
    child = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    child.start()
    child.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_events_pending_in_a_multiprocessing_child_are_sent(method: str, tmp_path: Path) -> None:
    """They skip atexit; telemetry begins in the child."""
    script = tmp_path / "script.py"
    script.write_text(CHILD)
    with Backend() as backend:
        env = {**os.environ, "ZESPAN_BASE_URL": backend.url}
        subprocess.run([sys.executable, str(script), method], env=env, timeout=60, check=True)
        assert sorted(event["operation"] for event in backend.events) == ["handler", "late"]
