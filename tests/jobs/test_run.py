"""`run`: one root event for a script, whatever becomes of it, and nothing left behind."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import Cell
from tests.jobs.conftest import Start
from zespan_serverless import ConfigurationError, run, span, testing
from zespan_serverless._process import sigterm
from zespan_serverless._record.record import Record
from zespan_serverless.exporters import Exporter, Outcome
from zespan_serverless.testing import Backend

HOST = "Script (`run`)"


def done(process: subprocess.Popen[str]) -> str:
    """Return its stderr when it has ended."""
    return process.communicate(timeout=30)[1]


def ready(process: subprocess.Popen[str]) -> None:
    """Wait until the script prints `ready`."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_the_end_holds_no_lock_while_it_captures() -> None:
    """What SIGTERM reports is not blocked by user code that runs while the end of a run is captured."""

    class Waits(Exporter):
        is_over: bool | None = None

        def encode(self, record: Record) -> bytes:
            ((report, _),) = sigterm._expected.values()
            terminated = threading.Thread(target=report)
            terminated.start()
            terminated.join(20)
            self.is_over = not terminated.is_alive()
            return b"{}"

        def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
            return Outcome("delivered")

    exporter = Waits()
    with run("script", exporter=exporter, flush_timeout=0.1):
        pass
    assert exporter.is_over


def root(backend: Backend) -> dict[str, Any]:
    """The one event of a run."""
    (found,) = [event for event in backend.events if "process.pid" in (event.get("metadata") or {})]
    return found


PRELUDE = """
import asyncio, os, signal, sys, threading, time
import zespan_serverless
from zespan_serverless import run, span
def ready(): print("ready", flush=True)
"""


def script(body: str) -> str:
    return PRELUDE + textwrap.dedent(body)


def test_everything_is_delivered_at_the_end(start: Start, backend: Backend, cell: Cell) -> None:
    """More events than one request takes, of threads, too, and the root event, in one trace."""
    process = start(
        script("""
        from concurrent.futures import ThreadPoolExecutor
        def step(number):
            with span(f"step {number}"): pass
        with run("digest", environment="batch"):
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(step, range(200)))
        """)
    )
    assert done(process) == ""
    assert process.returncode == 0
    end = root(backend)
    assert (end["operation"], end["status"], end["environment"]) == ("digest", "success", "batch")
    assert len(backend.events) == 201
    assert {event["trace_id"] for event in backend.events} == {end["trace_id"]}
    assert {event["parent_span_id"] for event in backend.events} == {end["span_id"], None}
    seen = "All of 201 events arrive before the process ends."
    cell(HOST, "sync", seen, sent="at the end of the run", later="there is no response")
    cell(HOST, "concurrent", "Threads without a context belong to the run; there is one run at a time.")
    cell(HOST, "stream", "A script streams nothing to a caller.")
    cell(HOST, "deadline", "None is known of a script.")


def test_what_it_takes_for_a_name() -> None:
    """The name given, else the script's file or the function's name; `service_name` wins."""

    @run
    def nightly() -> int:
        return 1

    @run("morning")
    def other() -> int:
        return 2

    with testing.recording() as events:
        assert (nightly(), other()) == (1, 2)
        with run():
            pass
    assert [event["operation"] for event in events[:2]] == ["nightly", "morning"]
    assert events[2]["operation"] not in ("", "-c")
    with testing.recording(service_name="service") as events:
        nightly()
    assert events[0]["operation"] == "service"


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("sys.exit()", "success", {"process.exit.code": 0}),
        ("sys.exit(0)", "success", {"process.exit.code": 0}),
        ("sys.exit(3)", "error", {"process.exit.code": 3, "error.type": "SystemExit"}),
        ("sys.exit(256)", "success", {"process.exit.code": 0}),
        ("sys.exit(-1)", "error", {"process.exit.code": 255, "error.type": "SystemExit"}),
        ("sys.exit(2**70)", "error", {"process.exit.code": 255, "error.type": "SystemExit"}),
        ("sys.exit('no input')", "error", {"process.exit.code": 1, "error.type": "SystemExit"}),
        ("raise ValueError('boom')", "error", {"error.type": "ValueError"}),
        (
            "signal.signal(signal.SIGINT, signal.default_int_handler); signal.raise_signal(signal.SIGINT)",
            "error",
            {"error.type": "KeyboardInterrupt"},
        ),
    ],
)
def test_exits_and_exceptions_pass_through(
    start: Start, backend: Backend, cell: Cell, code: str, status: str, expected: dict[str, object]
) -> None:
    """The exit code and what is printed are those of the script alone; the event says which."""
    body = script(f"""
    with run():
        with span("work"):
            {code}
    """)
    alone = start(body, ZESPAN_ENABLED="0")
    said = done(alone)
    process = start(body)
    assert done(process) == said
    assert process.returncode == alone.returncode
    end = root(backend)
    assert end["status"] == status
    assert {name: end["metadata"].get(name) for name in expected} == expected
    if "no input" in code:
        assert end["error_message"] == "no input"
    if "ValueError" in code:
        cell(
            HOST, "exception", "Everything arrives, with the error or the exit code; the exit code is the script's own."
        )


def test_an_async_main_is_decorated_or_has_the_block_inside(start: Start, backend: Backend, cell: Cell) -> None:
    """An `async def` main: decorated, or with the block inside."""
    process = start(
        script("""
        @run
        async def main():
            async def step():
                with span("step"): await asyncio.sleep(0.01)
            await asyncio.gather(step(), step())
        asyncio.run(main())
        async def second():
            with run("second"):
                with span("step"): await asyncio.sleep(0)
        asyncio.run(second())
        """)
    )
    assert done(process) == ""
    operations = [event["operation"] for event in backend.events]
    assert operations == ["step", "step", "main", "step", "second"]
    cell(HOST, "async", "Everything arrives before main returns; the event loop goes on meanwhile.")


def test_sigterm_ends_the_run(start: Start, backend: Backend, cell: Cell) -> None:
    """What there is is sent, with a root event that says why, and the process ends as SIGTERM would have it."""
    process = start(
        script("""
        with run("job"):
            with span("work"): pass
            ready()
            time.sleep(30)
        """)
    )
    ready(process)
    process.send_signal(signal.SIGTERM)
    assert done(process) == ""
    assert process.returncode == -signal.SIGTERM
    end = root(backend)
    assert (end["status"], end["error_message"]) == ("error", "ended by SIGTERM")
    assert (end["metadata"]["error.type"], end["metadata"]["process.exit.code"]) == ("SIGTERM", 143)
    assert [event["operation"] for event in backend.events] == ["work", "job"]
    seen = "Everything arrives, the run as ended by SIGTERM; then the signal ends the process."
    cell(HOST, "SIGTERM", seen, stopped="everything is sent")


def test_sigterm_with_a_slow_backend(start: Start, backend: Backend) -> None:
    """A script has longer than a sandbox on Lambda: flush_timeout."""
    backend.latency = 0.6
    process = start(script("with run('job'):\n    ready()\n    time.sleep(30)"))
    ready(process)
    process.send_signal(signal.SIGTERM)
    done(process)
    assert root(backend)["metadata"]["error.type"] == "SIGTERM"


def test_a_handler_of_the_script_decides(start: Start, backend: Backend) -> None:
    """It runs, and ends the run in its own way: one event, with its exit code."""
    process = start(
        script("""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        with run("job"):
            ready()
            time.sleep(30)
        """)
    )
    ready(process)
    process.send_signal(signal.SIGTERM)
    assert done(process) == ""
    assert process.returncode == 7
    assert root(backend)["metadata"]["process.exit.code"] == 7


def test_a_handler_that_goes_on(start: Start, backend: Backend) -> None:
    """A worker that finishes what it has begun has one event, a success."""
    process = start(
        script("""
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        with run("job"):
            ready()
            while not stop.wait(0.05): pass
            with span("the rest"): time.sleep(0.1)
        """)
    )
    ready(process)
    process.send_signal(signal.SIGTERM)
    assert done(process) == ""
    assert process.returncode == 0
    assert root(backend)["status"] == "success"
    assert "the rest" in {event["operation"] for event in backend.events}


def test_sigterm_at_any_moment(start: Start, backend: Backend) -> None:
    """Whenever it comes: at most one root event, none of a run that has begun is missing, and no hang."""
    for delay in (0.0, 0.05, 0.09, 0.095, 0.098, 0.1, 0.1, 0.102, 0.105, 0.11, 0.15):
        before = len(backend.events)
        process = start(
            script("""
            with run("job"):
                ready()
                time.sleep(0.1)
            """)
        )
        ready(process)
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        assert done(process) == ""
        assert process.returncode in (-15, 0)
        new = backend.events[before:]
        assert [event["operation"] for event in new] == ["job"], delay


def test_sigkill_takes_only_what_is_in_memory(start: Start, backend: Backend) -> None:
    """A run of hours sends as it goes: by batch_size and flush_interval."""
    process = start(
        script("""
        with run("job", batch_size=10, flush_interval=0.2):
            for number in range(25):
                with span(str(number)): pass
            ready()
            time.sleep(30)
        """)
    )
    ready(process)
    assert len(backend.wait_for(25, 10)) == 25
    process.kill()
    assert done(process) == ""
    assert len(backend.events) == 25


def test_a_hanging_backend_delays_the_end_of_a_script_within_bounds(start: Start, backend: Backend, cell: Cell) -> None:
    """A backend that hangs holds the end of a script for a bounded time; what is lost is said."""
    backend.mode = "hang"
    process = start(script("with run('job', flush_timeout=0.5):\n    pass\nprint('after', flush=True)"))
    began = time.monotonic()
    err = done(process)
    took = time.monotonic() - began
    assert process.returncode == 0
    assert "telemetry" in err
    assert "closed" in err
    seen = f"Events are dropped and counted, and the log says so; the script took {took:.1f} s in all."
    cell(HOST, "dead backend", seen, outage="the end waits 10 s at most, then dropped and counted")


def test_sigterm_while_the_backend_hangs(start: Start, backend: Backend) -> None:
    """Nor does it hold a process that is told to end."""
    backend.mode = "hang"
    process = start(script("with run('job', flush_timeout=0.3):\n    ready()"))
    ready(process)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=5)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("told", ["print(drop.events, drop.reason, flush=True)", "time.sleep(30)", "sys.exit(1)"])
def test_sigterm_while_the_backend_is_away(start: Start, backend: Backend, told: str) -> None:
    """What is lost by it is counted, logged, and given to `on_error`, which does not hold the process either."""
    backend.mode = "refuse"
    process = start(
        script(f"""
        def on_error(drop):
            {told}

        with run('job', flush_timeout=0.3, on_error=on_error):
            with span('work'): pass
            ready()
            time.sleep(30)
        """)
    )
    ready(process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    if "print" in told:
        assert out.split() == ["2", "closed"]
        assert "events are being dropped: closed" in err


def test_children_of_multiprocessing(start: Start, backend: Backend) -> None:
    """A pool ends its workers with SIGTERM, a process skips atexit: what they have captured is delivered anyway."""
    process = start(
        script("""
        import multiprocessing
        def step(number):
            with span(f"step {number}"): return number
        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            with run("job"):
                with context.Pool(2) as pool:
                    assert pool.map(step, range(8)) == list(range(8))
                child = context.Process(target=step, args=(8,))
                child.start()
                child.join()
        """)
    )
    assert done(process) == ""
    assert process.returncode == 0
    end = root(backend)
    steps = [event for event in backend.events if event["operation"].startswith("step")]
    assert sorted(event["operation"] for event in steps) == [f"step {number}" for number in range(9)]
    assert {event["trace_id"] for event in steps} == {end["trace_id"]}


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_that_begin_while_they_import(start: Start, backend: Backend, method: str) -> None:
    """Telemetry that begins with the module begins before multiprocessing knows this for a child: it is sent, too."""
    process = start(
        script(f"""
        import multiprocessing
        zespan_serverless.init()
        def step(number):
            with span(f"step {{number}}"): pass
        if __name__ == "__main__":
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                pool.map(step, range(4))
                pool.close()
                pool.join()
        """)
    )
    assert done(process) == ""
    assert sorted(event["operation"] for event in backend.events) == [f"step {number}" for number in range(4)]


def test_children_that_are_spawned(start: Start, backend: Backend) -> None:
    """They start anew: with `init()` or `run()` of their own their events are delivered at their end."""
    process = start(
        script("""
        import multiprocessing
        def step(number):
            zespan_serverless.init()
            with span(f"step {number}"): pass
        def job():
            with run("child"): pass
        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            for child in (context.Process(target=step, args=(1,)), context.Process(target=job)):
                child.start()
                child.join()
        """)
    )
    assert done(process) == ""
    assert sorted(event["operation"] for event in backend.events) == ["child", "step 1"]


def test_the_end_of_a_forked_child(start: Start, backend: Backend) -> None:
    """A child that runs out of the block of its parent adds no second root event, but what it has captured."""
    process = start(
        script("""
        with run("job"):
            child = os.fork()
            with span("child" if child == 0 else "parent"): pass
            if child: os.waitpid(child, 0)
        """),
        PYTHONWARNINGS="ignore::DeprecationWarning",  # of fork in a process with threads, from Python 3.12 on
    )
    assert done(process) == ""
    root(backend)
    assert sorted(event["operation"] for event in backend.events) == ["child", "job", "parent"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's namespaces")
def test_the_first_process_of_a_container(start: Start, backend: Backend) -> None:
    """The kernel spares it SIGTERM: it goes on, and what there was has been sent."""
    probe = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("not allowed to make a namespace")
    process = start(
        script("""
        if os.environ.pop("OUTSIDE", ""):
            os.execvp("unshare", ["unshare", "--pid", "--fork", "--kill-child", sys.executable, __file__])
        with run("job"):
            assert os.getpid() == 1
            with span("work"): pass
            ready()
            time.sleep(1)
        """),
        OUTSIDE="1",
    )
    ready(process)
    (inside,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(inside), signal.SIGTERM)
    assert [event["operation"] for event in backend.wait_for(1, 5)] == ["work"]
    assert done(process) == ""
    assert root(backend)["status"] == "success"


def test_inside_another_one() -> None:
    """A run in a run is part of it."""
    with testing.recording() as events, run("outer"), run("inner"), span("work"):
        pass
    assert [event["operation"] for event in events] == ["work", "outer"]


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 3), (256, 0), (257, 1), (-1, 255), (2**70, 255)])
def test_the_exit_code_in_the_event_is_the_one_that_the_parent_sees(code: int, expected: int) -> None:
    """Of which there are 256; what does not fit into a C long is -1."""
    with testing.recording() as events, pytest.raises(SystemExit) as caught, run("work"):
        sys.exit(code)
    assert caught.value.code == code
    assert [event["metadata"]["process.exit.code"] for event in events] == [expected]


def test_one_after_the_other() -> None:
    """A worker that runs many times has an event each time; one object can be used again."""
    turn = run("turn")
    with testing.recording() as events:
        for _ in range(3):
            with turn:
                pass
    assert [event["operation"] for event in events] == ["turn"] * 3
    assert len({event["trace_id"] for event in events}) == 3


def test_what_is_decorated_stays_what_it_is() -> None:
    """Name, arguments, result and async-ness."""

    @run(environment="test")
    def add(one: int, *, two: int = 2) -> int:
        """Adds."""
        return one + two

    @run("async")
    async def later(one: int) -> int:
        return one

    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert inspect.iscoroutinefunction(later)
    with testing.recording() as events:
        assert (add(1, two=3), asyncio.run(later(5))) == (4, 5)
    assert [event["operation"] for event in events] == ["add", "async"]


def test_what_is_awaited_is_the_run() -> None:
    """Also of a partial function, and of an object that is called: the run ends when they do."""

    async def work(name: str) -> None:
        with span(name):
            await asyncio.sleep(0)

    class Work:
        async def __call__(self) -> None:
            await work("step")

    for function in (run(functools.partial(work, "step")), run(Work())):
        with testing.recording() as events:
            asyncio.run(function())
        step, root = events
        assert (step["operation"], step["parent_span_id"]) == ("step", root["span_id"])


def test_mistakes_raise_at_once() -> None:
    """While decorating, or when the block is entered."""

    wrong: Any
    for wrong in (42, int):
        with pytest.raises(ConfigurationError):
            run(wrong)
    with pytest.raises(ConfigurationError, match="unknown setting"):
        run(flush_timeuot=1)  # type: ignore[call-overload]
