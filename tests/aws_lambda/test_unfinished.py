"""Functions that are interrupted: the process that survives reports them, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.lambda_rie import Sandbox
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.aws_lambda.support import Event, StartFunction, calls, roots, until
from zespan_serverless.testing import Backend

BLOCKING, THREAD = "AWS_Lambda_python3.11", "AWS_Lambda_python3.12"
TIMEOUT = 3  # seconds; with less, the init alone takes it up on a busy machine

flush_modes = pytest.mark.parametrize("flush_mode", ["auto", "before_return"])


def told(backend: Backend) -> list[Event]:
    """Return every event that has arrived; one that has been sent twice counts once, and was the same both times."""
    seen: dict[str, Event] = {}
    for event in backend.events:
        assert seen.setdefault(event["event_id"], event) == event
    return list(seen.values())


def statuses(backend: Backend) -> list[str]:
    """Return those of the invocations; each has one event."""
    found = roots(told(backend))
    ids = Counter(event["metadata"]["faas.invocation_id"] for event in found)
    assert set(ids.values()) <= {1}, ids
    return [event["status"] for event in found]


def ends(sandbox: Sandbox, event: dict[str, Any]) -> str:
    """Return an invocation that is torn down; its request id."""
    answer = sandbox.invoke(event)
    assert answer.reset, answer.log
    assert answer.request_id
    return answer.request_id


def goes_on(sandbox: Sandbox, backend: Backend, count: int) -> None:
    """The next invocation works, and afterwards there are this many invocations' events."""
    until(lambda: sandbox.invoke({}).payload == "answered")  # the emulator drops what comes while it resets
    until(lambda: len(statuses(backend)) >= count)
    sandbox.stop()


# ---------------------------------------------------------------------- timeouts


@flush_modes
@pytest.mark.parametrize("polling", [BLOCKING, THREAD])
@pytest.mark.parametrize("extension", [False, True])
def test_timeout_is_reported_when_it_happens(
    start: StartFunction, backend: Backend, flush_mode: str, polling: str, extension: bool
) -> None:
    """It is reported when it happens: when it began, how long it took, which request it was, and where it hung."""
    env = {"ZESPAN_FLUSH_MODE": flush_mode}
    sandbox = start("unfinished.handler", env=env, timeout=TIMEOUT, execution_env=polling, extension=extension)
    answer = sandbox.invoke({"sleep": 30})
    assert answer.timed_out
    until(lambda: roots(backend.events))
    (root,) = roots(backend.events)
    assert (root["status"], root["metadata"]["error.type"]) == ("timeout", "timeout")
    assert root["metadata"]["faas.invocation_id"] == answer.request_id
    assert root["metadata"]["time_left_at_start_ms"] - 100 <= root["latency_ms"] <= answer.wall_ms
    assert root["metadata"]["faas.coldstart"] is True
    assert "unfinished.py" in root["metadata"]["stack"].splitlines()[-1]
    assert root["metadata"]["stack"].endswith("in act")
    (step,) = [event for event in told(backend) if event["operation"] == "look up"]
    assert step["parent_span_id"] == root["span_id"]
    goes_on(sandbox, backend, 2)
    assert statuses(backend) == ["timeout", "success"]


def test_timeout_in_a_model_call(start: StartFunction, backend: Backend, model: ModelEndpoint) -> None:
    """The call that took too long is reported with its model, its prompt and its start."""
    model.latency_ms = 30_000
    env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    sandbox = start("unfinished.handler", env=env, timeout=8)
    ends(sandbox, {"ask": "why?"})
    until(lambda: len(backend.events) >= 3)
    (root,), (call,) = roots(backend.events), calls(backend.events)
    assert (call["status"], call["model"], call["provider"]) == ("timeout", "gpt-4o-mini", "openai")
    assert "why?" in call["prompt_text"]
    assert call["parent_span_id"] == root["span_id"]
    began = datetime.fromisoformat(call["timestamp"]).timestamp() - call["latency_ms"] / 1000
    assert abs(began - model.requests[0].time) < 3
    assert "stack" not in call["metadata"]
    assert "openai" in root["metadata"]["stack"]
    goes_on(sandbox, backend, 2)
    assert statuses(backend) == ["timeout", "success"]
    assert len(calls(told(backend))) == 1


@pytest.mark.parametrize("event", [{"sleep": 30}, {"ask": "why?"}])
def test_timeout_of_an_async_handler(
    start: StartFunction, backend: Backend, model: ModelEndpoint, event: dict[str, Any]
) -> None:
    """An event loop is no different."""
    model.latency_ms = 30_000
    env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    sandbox = start("unfinished.asynchronous", env=env, timeout=8)
    ends(sandbox, event)
    goes_on(sandbox, backend, 2)
    assert statuses(backend) == ["timeout", "success"]
    assert [call["status"] for call in calls(told(backend))] == ["timeout"] * ("ask" in event)


def test_timeout_of_a_handler_that_catches_everything(start: StartFunction, backend: Backend) -> None:
    """A handler that nothing stops but SIGKILL is reported as any other."""
    sandbox = start("unfinished.handler", timeout=TIMEOUT)
    ends(sandbox, {"catch": 30})
    goes_on(sandbox, backend, 2)
    assert statuses(backend) == ["timeout", "success"]


def test_timeout_of_a_function_that_minds_sigterm(start: StartFunction, backend: Backend) -> None:
    """Its own handler runs, and the stack says what it was doing before that."""
    sandbox = start("unfinished.handler", timeout=TIMEOUT, env={"MINDS_SIGTERM": "1"})
    ends(sandbox, {"sleep": 30})
    goes_on(sandbox, backend, 2)
    assert "SIGTERM\n" in sandbox.log()
    timeout, _ = roots(told(backend))
    assert timeout["status"] == "timeout"
    assert timeout["metadata"]["stack"].endswith("in act")


@flush_modes
def test_timeout_in_code_that_holds_the_gil(start: StartFunction, backend: Backend, flush_mode: str) -> None:
    """While C code holds the GIL no other thread runs: the next process reports what it finds, as a crash."""
    sandbox = start("unfinished.handler", env={"ZESPAN_FLUSH_MODE": flush_mode}, timeout=TIMEOUT)
    request_id = ends(sandbox, {"block": True})
    assert roots(backend.events) == []
    goes_on(sandbox, backend, 2)
    assert sorted(statuses(backend)) == ["crashed", "success"]
    (root,) = [root for root in roots(told(backend)) if root["status"] == "crashed"]
    assert root["metadata"]["faas.invocation_id"] == request_id
    assert "at its timeout" in root["error_message"]


@pytest.mark.parametrize("mode", ["refuse", "hang"])
def test_timeout_without_a_backend(start: StartFunction, backend: Backend, mode: Any) -> None:
    """The next process reports it, when the backend is back."""
    backend.mode = mode
    sandbox = start("unfinished.handler", timeout=TIMEOUT)
    ends(sandbox, {"sleep": 30})
    backend.mode = "ok"
    goes_on(sandbox, backend, 2)
    assert sorted(statuses(backend)) == ["success", "timeout"]
    assert [event["operation"] for event in told(backend)].count("look up") == 2


def test_each_of_several_timeouts_is_reported_once(start: StartFunction, backend: Backend) -> None:
    """Each is reported once, whichever process does it."""
    sandbox = start("unfinished.handler", timeout=TIMEOUT)
    for _ in range(3):
        ends(sandbox, {"sleep": 30})
        backend.mode = "ok" if backend.mode == "hang" else "hang"
    backend.mode = "ok"
    goes_on(sandbox, backend, 4)
    assert sorted(statuses(backend)) == ["success", "timeout", "timeout", "timeout"]


@flush_modes
def test_answer_in_the_last_moments_is_no_timeout(start: StartFunction, backend: Backend, flush_mode: str) -> None:
    """A function that answers in the last moments, after its deadline was noted, has not timed out."""
    sandbox = start("unfinished.handler", env={"ZESPAN_FLUSH_MODE": flush_mode}, timeout=TIMEOUT)
    sandbox.invoke({})
    answer = sandbox.invoke({"until": 0.1})
    assert answer.payload == "answered"
    assert not answer.timed_out
    ends(sandbox, {"kill": True})
    goes_on(sandbox, backend, 4)
    assert sorted(statuses(backend)) == ["crashed", "success", "success", "success"]


def test_a_retry_of_an_end_in_time(start: StartFunction, backend: Backend) -> None:
    """That an earlier invocation of the same trace came near its deadline says nothing of a later one that crashed."""
    sandbox = start("unfinished.handler", timeout=TIMEOUT)
    event = {"headers": {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}, "requestContext": {"http": {}}}
    sandbox.invoke({})
    assert sandbox.invoke({**event, "until": 0.1}).payload == "answered"
    backend.mode = "refuse"
    ends(sandbox, {**event, "kill": True})
    backend.mode = "ok"
    goes_on(sandbox, backend, 4)
    assert {root["trace_id"] for root in roots(told(backend))} > {"ab" * 16}
    assert sorted(statuses(backend)) == ["crashed", "success", "success", "success"]


def test_after_init_at_module_level(start: StartFunction, backend: Backend) -> None:
    """What is started above the decorator has a journal, too, and tells of a timeout."""
    sandbox = start("unfinished.handler", env={"INIT": "1"}, timeout=TIMEOUT)
    ends(sandbox, {"sleep": 30})
    until(lambda: statuses(backend) == ["timeout"])
    ends(sandbox, {"exit": 1})
    goes_on(sandbox, backend, 3)
    assert sorted(statuses(backend)) == ["crashed", "success", "timeout"]


def test_without_a_journal_timeouts_are_reported_but_no_crashes(start: StartFunction, backend: Backend) -> None:
    """SIGTERM is enough to report a timeout; a crash cannot be reported."""
    sandbox = start("unfinished.handler", env={"ZESPAN_JOURNAL": "off"}, timeout=TIMEOUT)
    ends(sandbox, {"sleep": 30})
    until(lambda: statuses(backend) == ["timeout"])
    ends(sandbox, {"exit": 1})
    goes_on(sandbox, backend, 2)
    assert statuses(backend) == ["timeout", "success"]
    assert [path.name for path in sandbox.tmp_dir.parent.glob("**/*.journal")] == []


# ---------------------------------------------------------------------- crashes

CRASHES: list[dict[str, Any]] = [{"exit": 0}, {"exit": 3}, {"kill": True}, {"segfault": True}]


@flush_modes
@pytest.mark.parametrize("event", CRASHES, ids=str)
def test_crash_is_reported_by_the_next_process(
    start: StartFunction, backend: Backend, event: dict[str, Any], flush_mode: str
) -> None:
    """The next process reports that its predecessor ended in an invocation, and sends what that had captured."""
    sandbox = start("unfinished.handler", env={"ZESPAN_FLUSH_MODE": flush_mode})
    sandbox.invoke({})
    request_id = ends(sandbox, event)
    goes_on(sandbox, backend, 3)
    assert sorted(statuses(backend)) == ["crashed", "success", "success"]
    (root,) = [root for root in roots(told(backend)) if root["status"] == "crashed"]
    assert root["metadata"]["faas.invocation_id"] == request_id
    assert root["metadata"]["error.type"] == "crashed"
    below = [event for event in told(backend) if event["parent_span_id"] == root["span_id"]]
    assert [event["operation"] for event in below] == ["look up"]


@pytest.mark.parametrize("mode", ["refuse", "hang"])
def test_crash_is_reported_once_the_backend_is_back(start: StartFunction, backend: Backend, mode: Any) -> None:
    """However many processes come and go until the backend is back, nothing is lost, and nothing told twice."""
    backend.mode = mode
    sandbox = start("unfinished.handler", env={"ZESPAN_FLUSH_TIMEOUT": "0.2"})
    assert sandbox.invoke({}).payload == "answered"
    for event in CRASHES:
        ends(sandbox, event)
    backend.mode = "ok"
    goes_on(sandbox, backend, 6)
    assert sorted(statuses(backend)) == ["crashed"] * 4 + ["success"] * 2
    assert [event["operation"] for event in told(backend)].count("look up") == 6


def test_model_call_that_a_kill_interrupts_is_reported(
    start: StartFunction, backend: Backend, model: ModelEndpoint
) -> None:
    """The call that was under way is reported with its model and its prompt."""
    model.latency_ms = 30_000
    env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    sandbox = start("unfinished.handler", env=env, timeout=20)
    sandbox.invoke({"ask": "why?"}, client_timeout=0.01)
    until(lambda: model.requests, 15)
    time.sleep(0.1)  # the begin of an invocation is on record within 15 ms
    assert sandbox.runtime_pid is not None
    os.kill(sandbox.runtime_pid, signal.SIGKILL)
    until(lambda: "Reset initiated" in sandbox.log())
    goes_on(sandbox, backend, 2)
    assert sorted(statuses(backend)) == ["crashed", "success"]
    (call,) = calls(told(backend))
    assert (call["status"], call["model"]) == ("crashed", "gpt-4o-mini")
    assert "why?" in call["prompt_text"]


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A control group that a process can be put into, with 64 MB more than it has."""
    group = Path("/sys/fs/cgroup/memory/zespan-serverless-tests")
    if not (group.parent / "memory.limit_in_bytes").exists():
        pytest.skip("no control group for memory")
    try:
        group.mkdir(exist_ok=True)
    except OSError:
        pytest.skip("no control group can be made")
    yield group
    with suppress(OSError):
        group.rmdir()


def test_kill_for_memory_is_reported_as_a_crash(start: StartFunction, backend: Backend, little_memory: Path) -> None:
    """What the kernel kills for its memory is reported as a crash."""
    sandbox = start("unfinished.handler", timeout=20)
    sandbox.invoke({})
    (little_memory / "memory.limit_in_bytes").write_text(str(96 * 1_048_576))
    (little_memory / "cgroup.procs").write_text(str(sandbox.runtime_pid))
    ends(sandbox, {"eat": True})
    goes_on(sandbox, backend, 3)
    assert sorted(statuses(backend)) == ["crashed", "success", "success"]


@flush_modes
def test_sys_exit_is_not_taken_for_a_crash(start: StartFunction, backend: Backend, flush_mode: str) -> None:
    """A handler that leaves by an exception has ended: its own event says so, and no process reports it as a crash."""
    sandbox = start("unfinished.handler", env={"ZESPAN_FLUSH_MODE": flush_mode})
    ends(sandbox, {"leave": 3})
    goes_on(sandbox, backend, 2)
    assert statuses(backend) == ["error", "success"]


def test_sys_exit_logs_what_is_lost_without_journal_and_backend(start: StartFunction, backend: Backend) -> None:
    """What the process takes with it is counted and said."""
    backend.mode = "refuse"
    sandbox = start("unfinished.handler", env={"ZESPAN_JOURNAL": "off", "ZESPAN_FLUSH_TIMEOUT": "0.3"})
    ends(sandbox, {"leave": 3})
    assert "telemetry events are being dropped: closed" in sandbox.log()


IN_RUNTIME = "import sys, awslambdaric.bootstrap, zespan_serverless as z\n"


def test_exit_after_init_above_the_decorator(backend: Backend) -> None:
    """What init() has taken on, to send what is left at the end, no decorator below takes back."""
    script = "z.init(base_url=sys.argv[1], journal='off'); z.zespan_lambda(print); z.capture({}); sys.exit(1)"
    env = {**os.environ, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9"}
    subprocess.run([sys.executable, "-c", IN_RUNTIME + script, backend.url], env=env, check=False, timeout=20)
    assert len(backend.events) == 1


@pytest.mark.parametrize("method", ["os", "fork"])
def test_children_send_what_is_theirs(backend: Backend, method: str) -> None:
    """A child of a decorated function's process sends what it has captured when it ends."""
    script = """
import multiprocessing, os
handler = z.zespan_lambda(lambda event, context: None, base_url=sys.argv[1], journal="off", root_event=False)
handler({}, None)
def work():
    z.capture({"operation": "in the child"})
if sys.argv[2] == "os":
    child = os.fork()
    if not child:
        work()
        sys.exit()
    os.waitpid(child, 0)
else:
    child = multiprocessing.get_context(sys.argv[2]).Process(target=work)
    child.start()
    child.join()
"""
    env = {**os.environ, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9"}
    command = [sys.executable, "-W", "ignore", "-c", IN_RUNTIME + script, backend.url, method]
    subprocess.run(command, env=env, check=True, timeout=30)
    assert [event["operation"] for event in backend.events] == ["in the child"]


# ---------------------------------------------------------------------- what is on disk


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_have_no_journal(tmp_path: Path, method: str) -> None:
    """A child's journal would not be read while the runtime's process lives, so its unsent events are logged."""
    work = """
import multiprocessing
def work():
    z.init(base_url="http://127.0.0.1:9", flush_timeout=0.1, on_error=lambda lost: print(lost.reason, flush=True))
    z.capture({})
if __name__ == "__main__":
    child = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    child.start()
    child.join()
"""
    (tmp_path / "main.py").write_text(IN_RUNTIME + work)
    env = {**os.environ, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", str(tmp_path / "main.py"), method]
    assert subprocess.run(command, env=env, check=True, capture_output=True, timeout=30).stdout.split() == [b"closed"]


@pytest.mark.parametrize("store_prompts", ["1", "0"])
def test_prompts_are_on_disk_only_if_they_may_be_stored(
    start: StartFunction, backend: Backend, model: ModelEndpoint, tmp_path: Path, store_prompts: str
) -> None:
    """While a model is thinking the prompt is on disk, if it may be stored at all; the keys never are."""
    model.latency_ms = 30_000
    env = {
        "OPENAI_BASE_URL": model.url,
        "OPENAI_API_KEY": "sk-very-secret",
        "ZESPAN_API_KEY": "zsp_very_secret",
        "ZESPAN_STORE_PROMPTS": store_prompts,
    }
    sandbox = start("unfinished.handler", env=env, timeout=20, tmp_dir=tmp_path)
    sandbox.invoke({"ask": "a private question"}, client_timeout=0.01)
    until(lambda: model.requests, 15)
    (journal,) = tmp_path.glob("*/*.journal")
    data = journal.read_bytes()
    assert b"gpt-4o-mini" in data
    assert (b"a private question" in data) is (store_prompts == "1")
    assert b"very" not in data


# ---------------------------------------------------------------------- traces that are not sampled


@pytest.mark.parametrize(("event", "status"), [({"sleep": 30}, "timeout"), ({"exit": 3}, "crashed")])
def test_unfinished_unsampled_traces_are_reported(
    start: StartFunction, backend: Backend, event: dict[str, Any], status: str
) -> None:
    """With `sample_errors`, and nothing of those that end well before and after it."""
    env = {"ZESPAN_SAMPLE_RATE": "0", "ZESPAN_SAMPLE_ERRORS": "1"}
    sandbox = start("unfinished.handler", env=env, timeout=TIMEOUT)
    assert sandbox.invoke({}).payload == "answered"
    sandbox.invoke(event)
    for _ in range(2):
        assert sandbox.invoke({}).payload == "answered"
    until(lambda: statuses(backend))
    sandbox.stop()
    assert statuses(backend) == [status]
