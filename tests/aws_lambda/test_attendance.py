"""The extension and the invocation agree on when it is over, whatever becomes of the handler."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws_lambda.support import StartFunction, calls, roots
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host

PROMPTLY = 2500  # milliseconds: our own patience is 250, a function's timeout 10,000


def test_invocation_with_invalid_json_ends_at_once(start: StartFunction, backend: Backend) -> None:
    """An event that the runtime cannot read is over at once, and the next one is traced as ever."""
    sandbox = start("steps.handler")
    for _ in range(2):
        bad = sandbox.invoke(raw=b"{")
        assert bad.payload["errorType"] == "Runtime.UnmarshalError"
        assert bad.wall_ms - (bad.init_ms or 0) < PROMPTLY
    assert sandbox.invoke().status == 200
    assert len(calls(backend.events)) == len(roots(backend.events)) == 1
    again = sandbox.invoke(raw=b"{")
    assert again.wall_ms < PROMPTLY
    assert sandbox.invoke().status == 200
    assert len(calls(backend.events)) == len(roots(backend.events)) == 2


@pytest.fixture
def busy_core() -> Iterator[None]:
    """Something else that computes on core 0, all the time."""
    burn = "import os; os.sched_setaffinity(0, {0})\nwhile os.getppid() != 1: pass"
    with subprocess.Popen([sys.executable, "-S", "-c", burn]) as process:
        yield
        process.kill()


@functools.cache
def six_mb() -> bytes:
    return json.dumps({"rows": [{"id": n, "name": "row", "values": [n, n + 1, 1.5]} for n in range(103_000)]}).encode()


def test_large_event_is_waited_for(start: StartFunction, backend: Backend) -> None:
    """An event of 6 MB, which takes long to parse, is waited for: its flush comes after the response, if at all it can.

    On a busy machine an answer may be given up for lost while the emulator itself waits for a core.
    """
    assert 6_000_000 < len(six_mb()) < 6 * 1024 * 1024
    sandbox = start("large.handler", timeout=10)
    sandbox.invoke({"rows": []})
    backend.latency = 0.5
    after_response = 0
    for number in (2, 3, 4):
        answer = sandbox.invoke(raw=six_mb())
        assert answer.payload == 103_000
        assert answer.response_ms is not None
        after_response += answer.wall_ms - answer.response_ms > 400
        assert len(calls(backend.events)) == len(roots(backend.events)) == number
    assert after_response > 0


def test_large_event_on_a_small_function_loses_nothing(start: StartFunction, backend: Backend, busy_core: None) -> None:
    """With a tenth of a core everything takes long, but nothing is lost and nothing hangs."""
    sandbox = start("large.handler", env={"SMALL": "1"}, timeout=20)
    for number in (1, 2):
        answer = sandbox.invoke(raw=six_mb())
        assert answer.payload == 103_000
        assert answer.response_ms is not None
        assert answer.wall_ms - answer.response_ms < 2 * PROMPTLY
        assert len(calls(backend.events)) == len(roots(backend.events)) == number


@pytest.mark.parametrize(
    ("call", "invocations"),
    [("", 0), ("with context", 1), ("without context", 1), ("twice", 2), ("made-up context", 2)],
)
def test_foreign_handler_is_not_waited_for(start: StartFunction, backend: Backend, call: str, invocations: int) -> None:
    """A foreign handler is not waited for; what a decorated helper of it captures is delivered in its invocation."""
    sandbox = start("foreign.handler")
    for number in (1, 2, 3):
        answer = sandbox.invoke({"call": call})
        assert answer.status == 200
        assert answer.wall_ms - (answer.init_ms or 0) < PROMPTLY
        assert len(roots(backend.events)) == len(calls(backend.events)) == invocations * number


@pytest.mark.parametrize("handler", ["nested.outer", "nested.twice", "nested.with_another_between"])
def test_nested_decorated_functions_are_one_invocation(start: StartFunction, backend: Backend, handler: str) -> None:
    """Decorated functions inside one another are one invocation, with one root event."""
    sandbox = start(handler)
    for number in (1, 2):
        assert sandbox.invoke().payload == "inner"
        assert len(roots(backend.events)) == len(calls(backend.events)) == number
        assert calls(backend.events)[-1]["parent_span_id"] == roots(backend.events)[-1]["span_id"]


def test_system_exit_ends_the_process_after_its_events_are_sent(start: StartFunction, backend: Backend) -> None:
    """SystemExit ends the process as ever, after its events have been sent; the next invocation has a new one."""
    sandbox = start("steps.handler")
    assert sandbox.invoke({"leave": 1}).payload["errorType"] == "Runtime.ExitError"
    assert len(calls(backend.events)) == 1
    (root,) = roots(backend.events)
    assert root["metadata"]["error.type"] == "SystemExit"
    assert sandbox.invoke().status == 200
    assert roots(backend.events)[1]["metadata"]["start_kind"] == "reinit"


def test_events_of_a_handler_that_times_out_are_sent(start: StartFunction, backend: Backend) -> None:
    """A handler that is too slow times out when it would have; what it captured is sent, and the next one works."""
    sandbox = start("steps.handler", timeout=1)
    sandbox.invoke()
    late = sandbox.invoke({"sleep": 10})
    assert late.timed_out
    assert 1000 <= late.wall_ms < 5000
    assert [root["status"] for root in roots(backend.events)] == ["success", "timeout"]
    assert len(calls(backend.events)) == 2
    assert sandbox.invoke().status == 200
    assert (len(calls(backend.events)), len(roots(backend.events))) == (3, 3)
    assert roots(backend.events)[-1]["metadata"]["start_kind"] == "reinit"


@pytest.mark.parametrize("mode", ["hang", "drip"])
@pytest.mark.parametrize("flush_mode", ["auto", "before_return"])
def test_hanging_backend_makes_no_invocation_time_out(
    start: StartFunction, backend: Backend, mode: Any, flush_mode: str
) -> None:
    """A backend that hangs cannot make an invocation time out, whatever the settings; its events are sent later."""
    env = {"ZESPAN_FLUSH_TIMEOUT": "60", "ZESPAN_FLUSH_MODE": flush_mode}
    sandbox = start("steps.handler", env=env, timeout=2)
    backend.mode = mode
    stuck = sandbox.invoke()
    assert stuck.payload
    assert not stuck.timed_out
    assert 500 < stuck.wall_ms - (stuck.init_ms or 0) < 2000
    assert stuck.response_ms is not None
    if flush_mode == "auto":
        assert stuck.response_ms - (stuck.init_ms or 0) < 1200
    assert backend.events == []
    backend.mode = "ok"
    assert not sandbox.invoke().timed_out
    assert len({event["event_id"] for event in calls(backend.events)}) == 2
    assert len({event["event_id"] for event in roots(backend.events)}) == 2


def test_response_close_to_the_deadline_is_delivered(start: StartFunction, backend: Backend) -> None:
    """A handler that ends just before its deadline has its answer delivered; its events wait for the next one."""
    sandbox = start("steps.handler", timeout=1, env={"ZESPAN_FLUSH_TIMEOUT": "60"})
    sandbox.invoke()
    backend.mode = "hang"
    close = sandbox.invoke({"sleep": 0.82})
    assert close.payload
    assert not close.timed_out
    backend.mode = "ok"
    sandbox.invoke()
    assert len(calls(backend.events)) == len(roots(backend.events)) == 3


def test_call_without_context_does_not_flush_past_the_deadline(start: StartFunction, backend: Backend) -> None:
    """A helper that is called without the context still knows the deadline, and does not flush past it."""
    sandbox = start("foreign.handler", timeout=1)
    sandbox.invoke()
    backend.mode = "hang"
    answer = sandbox.invoke({"call": "without context", "sleep": 0.5})
    assert answer.payload == ["helped"]
    assert not answer.timed_out


def test_refused_registration_flushes_before_the_return(start: StartFunction, backend: Backend) -> None:
    """Where our name is taken the flush comes before the return, and nothing else is different."""
    sandbox = start("refused.handler")
    for number in (1, 2):
        answer = sandbox.invoke()
        assert answer.payload == "answered"
        assert answer.response_ms is not None
        answered = backend.requests[-1].answered
        assert answered is not None
        assert answered < answer.sent + answer.response_ms / 1000
        assert len(calls(backend.events)) == len(roots(backend.events)) == number


def test_decorating_in_the_handler_flushes_before_the_return(start: StartFunction, backend: Backend) -> None:
    """Decorating in the handler, after the init, flushes before the return, without harm."""
    sandbox = start("lazy.handler")
    for number in (1, 2):
        answer = sandbox.invoke()
        assert answer.payload == "answered"
        assert answer.wall_ms - (answer.init_ms or 0) < PROMPTLY
        assert len(calls(backend.events)) == len(roots(backend.events)) == number


def test_broken_module_is_reported_at_once_after_the_registration(start: StartFunction) -> None:
    """A broken module is reported at once: our registration does not keep the init waiting."""
    answer = start("broken.handler").invoke()
    assert answer.payload["errorType"] == "Runtime.ImportModuleError"
    assert answer.wall_ms < 3 * PROMPTLY


def test_another_extension_is_not_disturbed(start: StartFunction, backend: Backend) -> None:
    """Another extension and ours do not disturb each other, not even after a reset."""
    sandbox = start("steps.handler", extension=True, timeout=2)
    for number in (1, 2):
        assert sandbox.invoke().status == 200
        assert len(calls(backend.events)) == len(roots(backend.events)) == number
    assert sandbox.invoke({"sleep": 10}).timed_out
    assert sandbox.invoke().status == 200
    assert [root["status"] for root in roots(backend.events)] == ["success", "success", "timeout", "success"]
    assert sandbox.log().count("Internal agent zespan-serverless") == 2


@pytest.mark.parametrize("method", ["subprocess", "spawn", "forkserver"])
def test_child_that_imports_the_module_registers_nothing(start: StartFunction, backend: Backend, method: str) -> None:
    """A process that a module starts and that imports it again registers nothing: the init does not hang."""
    sandbox = start("children.handler", env={"CHILD_AT_IMPORT": method})
    answer = sandbox.invoke()
    assert answer.payload == {"registered": True}
    assert "False in the child" in sandbox.log()
    assert sandbox.log().count("Internal agent zespan-serverless") == 1
    assert len(roots(backend.events)) == 1


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_children_of_a_handler_register_nothing(start: StartFunction, backend: Backend, method: str) -> None:
    """Children of a handler work and register nothing, however they are started."""
    sandbox = start("children.handler")
    for number in (1, 2):
        answer = sandbox.invoke({"start": method})
        assert not answer.timed_out
        assert (answer.payload["registered"], answer.payload["exit"]) == (False, 0)
        assert len(roots(backend.events)) == number
    assert sandbox.log().count("Internal agent zespan-serverless") == 1


@pytest.mark.parametrize("fork", ["multiprocessing", "os"])
def test_forked_child_dies_of_sigterm_alone(start: StartFunction, backend: Backend, fork: str) -> None:
    """A forked child dies of SIGTERM as without us; its parent does not take that for its own, and sends its events."""
    sandbox = start("children.handler")
    for number in (1, 2):
        answer = sandbox.invoke({"fork": fork})
        assert answer.payload == {"exit": -15}
        assert not answer.reset
        assert len(roots(backend.events)) == len(calls(backend.events)) == number


def test_only_a_marker_and_an_empty_journal_stay_on_disk(start: StartFunction, tmp_path: Path) -> None:
    """On the sandbox's disk there stay a file that tells a reset from a cold start, and a journal without events."""
    sandbox = start("steps.handler", tmp_dir=tmp_path)
    sandbox.invoke()
    sandbox.invoke()
    mark, folder = sorted(tmp_path.iterdir())
    assert mark.name.startswith(".zespan-sandbox-")
    assert mark.stat().st_size == 0
    (journal,) = folder.iterdir()
    assert journal.stat().st_size < 200
    assert (folder.stat().st_mode & 0o777, journal.stat().st_mode & 0o777) == (0o700, 0o600)
