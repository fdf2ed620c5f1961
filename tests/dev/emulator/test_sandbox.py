"""The emulated sandbox does to a bare handler what Lambda does."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from zespan_serverless_dev.emulator.lambda_rie import Sandbox
from zespan_serverless_dev.probe import Facts

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only"),
]

FOLDER = Path(__file__).parent / "function"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox("app.handler", FOLDER, timeout=1) as sandbox:
        yield sandbox


def stat(pid: int) -> list[str]:
    """Return a process's state, its parent's id and so on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def alive(pid: int | None) -> bool:
    """Whether the process runs; one that is dead and not yet collected by its parent does not."""
    assert pid is not None
    try:
        return stat(pid)[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out waiting"
        time.sleep(0.01)


def test_cold_then_warm(sandbox: Sandbox) -> None:
    """The first invocation pays the init, the second is answered by the same process without one."""
    assert sandbox.runtime_pid is None
    cold, warm = sandbox.invoke(), sandbox.invoke()
    assert cold.status == warm.status == 200
    assert cold.payload["pid"] == warm.payload["pid"] == sandbox.runtime_pid
    assert cold.init_ms is not None
    assert warm.init_ms is None
    assert cold.request_id != warm.request_id
    for invoke in (cold, warm):
        assert not invoke.reset
        assert invoke.response_ms is not None
        assert invoke.handler_ms is not None
        assert (invoke.init_ms or 0) < invoke.response_ms <= invoke.wall_ms
        assert 0 < invoke.payload["remaining_ms"] <= 1000


def test_each_invocation_has_its_own_log(sandbox: Sandbox) -> None:
    """What one invocation prints is in its part of the log and in no other."""
    first, second = sandbox.invoke({"call": 1}), sandbox.invoke({"call": 2})
    assert "called with {'call': 1}" in first.log
    assert "called with {'call': 2}" in second.log
    assert "{'call': 1}" not in second.log
    assert first.log + second.log == sandbox.log()


def test_handler_time_is_the_handlers(sandbox: Sandbox) -> None:
    """A handler that takes 200 ms is measured as such, cold or warm."""
    for invoke in (sandbox.invoke({"sleep": 0.2}), sandbox.invoke({"sleep": 0.2})):
        assert invoke.handler_ms is not None
        assert 200 <= invoke.handler_ms <= invoke.wall_ms - (invoke.init_ms or 0)


def test_environment_is_lambdas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The handler sees Lambda's variables and those given, and nothing of this process."""
    monkeypatch.setenv("ZESPAN_API_KEY", "from outside")
    with Sandbox(
        "app.handler",
        FOLDER,
        env={"GIVEN": "yes"},
        memory=1024,
        execution_env="AWS_Lambda_python3.12",
        init_type="provisioned-concurrency",
        tmp_dir=tmp_path,
    ) as sandbox:
        env: dict[str, str] = sandbox.invoke().payload["env"]
    assert env["GIVEN"] == "yes"
    assert env["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.12"
    assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency"
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "1024"
    assert env["LAMBDA_TASK_ROOT"] == str(FOLDER)
    assert env["AWS_LAMBDA_RUNTIME_API"].startswith("127.0.0.1:")
    assert (env["HOME"], env["TMPDIR"]) == ("/tmp", str(tmp_path))
    assert "ZESPAN_API_KEY" not in env


@pytest.mark.parametrize("probed", [False, True], ids=["alone", "with the probe"])
def test_sitecustomize_of_the_function(tmp_path: Path, probed: bool) -> None:
    """The function's own sitecustomize is what it imports."""
    (tmp_path / "sitecustomize.py").write_text("VALUE = 42\n")
    (tmp_path / "app.py").write_text("import sitecustomize\ndef handler(*_):\n    return sitecustomize.VALUE\n")
    probe = Facts(tmp_path / "facts") if probed else None
    with Sandbox("app.handler", tmp_path, probe=probe) as sandbox:
        assert sandbox.invoke().payload == 42


def test_headers_reach_the_runtime(sandbox: Sandbox) -> None:
    """Every invocation has a trace id, as in Lambda, and a given one is passed on."""
    assert sandbox.invoke().payload["env"]["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    traced = sandbox.invoke(headers={"x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793"})
    assert traced.payload["env"]["_X_AMZN_TRACE_ID"] == "Root=1-5759e988-bd862e3fe1be46a994272793"


def test_exception_is_an_answer(sandbox: Sandbox) -> None:
    """A handler that raises has answered, with the error, and its process lives on."""
    pid = sandbox.invoke().payload["pid"]
    failed = sandbox.invoke({"raise": "no luck"})
    assert (failed.payload["errorType"], failed.payload["errorMessage"]) == ("ValueError", "no luck")
    assert failed.response_ms is not None
    assert not failed.reset
    assert sandbox.invoke().payload["pid"] == pid


def test_bytes_that_are_no_event(sandbox: Sandbox) -> None:
    """Raw bytes are passed as they are; the runtime refuses what is not JSON before any handler sees it."""
    assert sandbox.invoke(raw=b"{").payload["errorType"] == "Runtime.UnmarshalError"


def test_timeout_resets_the_sandbox(sandbox: Sandbox) -> None:
    """The function timeout kills the process; the next invocation pays a new init and finds the old /tmp."""
    before = sandbox.invoke({"leave": "trace"}).payload
    late = sandbox.invoke({"sleep": 10})
    assert late.timed_out
    assert late.reset
    assert "Task timed out after 1.00 seconds" in late.body
    assert late.payload is late.response_ms is late.handler_ms is None
    assert 1000 <= late.wall_ms < 5000
    after = sandbox.invoke()
    assert after.init_ms is not None
    assert after.payload["pid"] != before["pid"]
    assert after.payload["tmp"] == before["tmp"] == ["trace"]


def test_crash_resets_the_sandbox() -> None:
    """A process that dies is an error, not a timeout, and the next invocation has a new one."""
    with Sandbox("app.handler", FOLDER) as sandbox:
        crash = sandbox.invoke({"exit": 1})
        assert crash.status == 502
        assert crash.reset
        assert not crash.timed_out
        assert crash.payload["errorType"] == "Runtime.ExitError"
        assert sandbox.invoke().init_ms is not None


def test_client_that_gives_up(sandbox: Sandbox) -> None:
    """A client's own timeout is no status, with the reason as body."""
    impatient = sandbox.invoke({"sleep": 0.5}, client_timeout=0.1)
    assert impatient.status is None
    assert "TimeoutError" in impatient.body


def test_freeze_takes_the_cpu_away(sandbox: Sandbox) -> None:
    """A frozen sandbox's threads stand still until it is thawed, and an invocation thaws it."""
    ticks = sandbox.tmp_dir / "ticks"
    sandbox.invoke({"tick": True})
    until(ticks.exists)
    sandbox.freeze()
    time.sleep(0.05)  # the signal is asynchronous
    frozen = ticks.stat().st_size
    time.sleep(0.2)
    assert ticks.stat().st_size == frozen
    sandbox.thaw()
    until(lambda: ticks.stat().st_size > frozen)
    sandbox.freeze()
    assert not sandbox.invoke().reset


@pytest.mark.parametrize(
    ("extension", "execution_env", "handled"),
    [
        (False, "AWS_Lambda_python3.12", False),
        (True, "AWS_Lambda_python3.12", True),
        (True, "AWS_Lambda_python3.11", False),
    ],
    ids=["alone", "polling in a thread", "polling in the main thread"],
)
def test_sigterm_needs_an_extension(extension: bool, execution_env: str, handled: bool) -> None:
    """SIGTERM comes only with an extension, and reaches Python only where the runtime client polls in a thread."""
    with Sandbox("app.handler", FOLDER, extension=extension, execution_env=execution_env) as sandbox:
        sandbox.invoke()
        assert ("handled SIGTERM" in sandbox.stop()) is handled


def test_extension_survives_resets() -> None:
    """After a timeout and a crash the other extension is there again: scale-down still begins with SIGTERM."""
    with Sandbox("app.handler", FOLDER, timeout=1, extension=True, execution_env="AWS_Lambda_python3.12") as sandbox:
        assert sandbox.invoke({"sleep": 2}).timed_out
        assert sandbox.invoke({"exit": 1}).reset
        last = sandbox.invoke()
        assert last.status == 200
        assert "handled SIGTERM" in sandbox.stop().partition(last.log)[2]


@pytest.mark.parametrize("extension", [False, True], ids=["killed", "exits by itself"])
def test_stop_leaves_nothing_behind(extension: bool) -> None:
    """After stop there is no process and no folder, only the log; stopping again is harmless."""
    with Sandbox("app.handler", FOLDER, extension=extension, execution_env="AWS_Lambda_python3.12") as sandbox:
        child = sandbox.invoke({"spawn": 60}).payload["pid"]
        runtime = sandbox.runtime_pid
        log = sandbox.stop()
        assert log == sandbox.log() == sandbox.stop()
    assert "called with {'spawn': 60}" in log
    assert not sandbox.tmp_dir.exists()
    until(lambda: not alive(runtime) and not alive(child))


def test_stop_kills_what_does_not_go() -> None:
    """An emulator that does not answer to SIGTERM is killed, in the middle of an invocation too."""
    with Sandbox("app.handler", FOLDER) as sandbox:
        sandbox.invoke({"sleep": 30}, client_timeout=0.3)
        runtime = sandbox.runtime_pid
        assert runtime is not None
        emulator = int(stat(runtime)[1])
        os.kill(emulator, signal.SIGSTOP)
        start = time.monotonic()
        sandbox.stop(wait=0.5)
        assert 0.5 <= time.monotonic() - start < 5
    until(lambda: not alive(runtime) and not alive(emulator))


def test_broken_emulator_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator that does not start is an error at once, not a test that hangs."""
    monkeypatch.setenv("ZESPAN_RIE", "/bin/false")
    with pytest.raises(RuntimeError, match="did not start"):
        Sandbox("app.handler", FOLDER)


def test_two_at_a_time(sandbox: Sandbox) -> None:
    """Two sandboxes are two: processes, folders and ports of their own."""
    with Sandbox("app.handler", FOLDER) as other:
        one, two = sandbox.invoke({"leave": "here"}), other.invoke()
    assert one.payload["pid"] != two.payload["pid"]
    assert (one.payload["tmp"], two.payload["tmp"]) == (["here"], [])
    assert os.getpid() not in (one.payload["pid"], two.payload["pid"])
