"""`zespan-serverless invoke`: real functions under AWS's emulator, and what becomes of their events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from zespan_serverless_dev.invoke.drawing import drawn_call, drawn_end
from zespan_serverless_dev.invoke.plan import Fault, Plan, Signal
from zespan_serverless_dev.invoke.report import document
from zespan_serverless_dev.invoke.running import FAILED, LOST, exit_code
from zespan_serverless_dev.invoke.session import Result, Session

from tests.support import until

pytestmark = [
    pytest.mark.host(seconds=4),
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only"),
]

EXAMPLES = Path(__file__).parents[3] / "examples" / "aws_lambda"
FUNCTION = Path(__file__).parent / "function"
WHOLE_CPUS = 10_240  # MB: no quota holds a test up

# Example: the event, its payload, and how many events a call makes.
CASES: dict[str, tuple[str, object, int]] = {
    "chat": ("apigw-v2", {"prompt": "Hi"}, 2),
    "digest": ("schedule", None, 9),
    "fastapi_stream": ("apigw-v2 POST /ask", {"prompt": "Hi"}, 2),
    "sqs_worker": ("sqs", {"text": "Where is my parcel?"}, 3),
    "unchanged": ("function-url", {"prompt": "Hi"}, 2),
}
FAULTS: tuple[Fault, ...] = get_args(Fault)
# Each example without a fault and with two, each fault with two examples.
RUNS: list[tuple[str, Fault | None]] = [
    *((name, None) for name in CASES),
    *zip(CASES, FAULTS, strict=True),
    *zip(CASES, FAULTS[1:] + FAULTS[:1], strict=True),
]


def ran(plan: Plan, on_call: Callable[..., object] = lambda *_: None) -> Result:
    return Session(replace(plan, memory=WHOLE_CPUS), on_call, lambda _: None).run()


def own(payload: object, **options: Any) -> Plan:
    """Return a plan for the function of these tests."""
    return Plan("app.handler", FUNCTION, event="event", payload=payload, **options)


def of_example(name: str, fault: Fault | None) -> Plan:
    sample, payload, _ = CASES[name]
    wrapper = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/zespan/wrapper"} if name == "unchanged" else {}
    folder = EXAMPLES / name
    return Plan("app.handler", folder, sample, payload, sample=sample, model=True, fault=fault, env=wrapper)


@pytest.mark.host(seconds=25)
@pytest.mark.loss
@pytest.mark.timeout(400)  # fifteen sandboxes, on a machine that may be busy
def test_ledger_closes_for_each_example_and_fault() -> None:
    """Every AWS example with faults: each event is delivered, or known to wait; none is lost, none is missing."""
    assert CASES.keys() == {folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()}
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(ran, [of_example(*run) for run in RUNS]))
    for (name, fault), result in zip(RUNS, results, strict=True):
        sums, count = result.ledger.sums(), CASES[name][2]
        says = f"{name}, {fault}: {document(result)}"
        state = "delivered" if fault is None else "waiting"
        assert sums == {"captured": count, "delivered": 0, "waiting": 0, "dropped": {}, "lost": 0, state: count}, says
        assert (exit_code(result), result.broken) == (0, []), says


def test_lost_events_are_reported() -> None:
    """Without a journal a process that is killed takes events with it: that is exit code 1, and each is named."""
    result = ran(own({"sleep": 0}, fault="500", kill=Signal(None), given={"ZESPAN_JOURNAL": "off"}))
    assert result.ledger.sums()["lost"] == 2
    assert exit_code(result) == LOST
    drawn = "\n".join(drawn_end(result))
    assert "2 lost" in drawn
    assert "lost      sleep, of call 1" in drawn


def test_other_destination_hides_no_loss(tmp_path: Path) -> None:
    """What one of two destinations has got and the other has lost is lost."""
    source = (
        (FUNCTION / "app.py").read_text().replace("@zespan_lambda", '@zespan_lambda(exporter=["zespan", "memory"])')
    )
    (tmp_path / "app.py").write_text(source)
    plan = replace(own({"sleep": 0}, fault="500", kill=Signal(None), given={"ZESPAN_JOURNAL": "off"}), code=tmp_path)
    result = ran(plan)
    assert result.ledger.sums()["lost"] == 2
    assert {name for entry in result.ledger.entries.values() for name in entry.fates} == {"zespan", "memory"}
    assert exit_code(result) == LOST


def test_next_process_sends_what_a_killed_one_has_left() -> None:
    """A process that is killed in a call leaves its spans on disk, and the next one in the sandbox reports them."""
    result = ran(own({"sleep": 1.0}, calls=2, timeout=10, kill=Signal(0.3)))
    first, second = result.calls
    assert (first.outcome, second.outcome) == ("killed", "ok")
    assert second.cold
    assert second.invoke.payload is not None
    crashed = [entry for entry in result.ledger.entries.values() if entry.known.get("status") == "crashed"]
    assert [entry.name for entry in crashed] == ["invocation (crashed)"]
    assert result.ledger.sums()["lost"] == 0
    assert exit_code(result) == 0
    assert any("kill" in line and "sent by this command" in line for line in drawn_call(first, result))


def test_failures_of_the_function_have_a_code_of_their_own() -> None:
    """A handler that raises, or runs into its timeout, is exit code 3: its events are not lost."""
    failed = ran(own({"raise": "no luck"}))
    assert (failed.calls[0].outcome, exit_code(failed)) == ("error", FAILED)
    assert any(line.split() == ["answer", "ValueError:", "no", "luck"] for line in drawn_call(failed.calls[0], failed))
    late = ran(own({"sleep": 30}, timeout=1, calls=2))
    assert [call.outcome for call in late.calls] == ["timeout", "timeout"]
    assert (late.ledger.sums()["lost"], exit_code(late)) == (0, FAILED)


def test_warm_calls_and_what_is_known_of_them() -> None:
    """Calls after the first are warm; each has its events, its times in order, and its own log."""
    seen: list[int] = []
    result = ran(own({"sleep": 0.05}, calls=3, idle=0.0), lambda call, _: seen.append(call.number))
    assert seen == [1, 2, 3]
    assert [call.cold for call in result.calls] == [True, False, False]
    for call in result.calls:
        assert call.start is not None
        assert call.response is not None
        assert call.sent < call.start < call.response < call.end
        ((depth, span),) = call.spans()
        assert (depth, span.name, span.end is not None) == (0, "sleep", True)
        assert "called with" in call.invoke.log
        assert call.max_memory_mb
        assert call.billed_ms >= 50
    ids = {call.request_id for call in result.calls}
    assert len(ids) == 3
    assert result.ledger.sums()["delivered"] == 6
    assert [entry.delivered_in for entry in result.ledger.entries.values()] == [1, 1, 2, 2, 3, 3]


def test_sigterm_in_a_call() -> None:
    """A process that gets SIGTERM in a call reports what it was doing; nothing is lost."""
    result = ran(own({"sleep": 5.0}, sigterm=Signal(0.3)))
    assert result.calls[0].outcome == "killed"
    assert result.ledger.sums()["lost"] == 0
    assert [name for name, _ in result.signals] == ["sigterm"]


def test_function_without_the_package(tmp_path: Path) -> None:
    """A function that does not use the package is invoked all the same, and the ledger says why it is empty."""
    (tmp_path / "plain.py").write_text("def handler(event, context):\n    print('\\x1b[2J')\n    return event")
    result = ran(Plan("plain.handler", tmp_path, payload={"a": 1}))
    drawn = "".join(drawn_call(result.calls[0], result))
    assert ("\\u001b[2J" in drawn, "\x1b" in drawn) == (True, False)  # its output cannot control the terminal
    assert result.calls[0].invoke.payload == {"a": 1}
    assert exit_code(result) == 0
    assert any("does not use zespan-serverless" in line for line in drawn_end(result))


def test_fallback_at_the_end(tmp_path: Path) -> None:
    """What SIGTERM's flush parks is waiting, and the end of the run shows that flush."""
    result = ran(own({"sleep": 0}, fault="500", given={"ZESPAN_FALLBACK": f"file://{tmp_path}/parked"}))
    assert result.ledger.sums()["waiting"] == 2
    assert {entry.reason for entry in result.ledger.entries.values()} == {"parked"}
    assert any("flush at the end" in line and "2 parked" in line for line in drawn_end(result))


def test_watch_runs_again_after_a_change(tmp_path: Path) -> None:
    """With --watch the function is run again when its file changes; Ctrl-C ends it with code 0."""
    (app := tmp_path / "app.py").write_text("def handler(event, context):\n    print('the first version')")
    command = [sys.executable, "-u", "-m", "zespan_serverless", "invoke", "app.handler", "--watch"]
    with (
        (tmp_path / "output").open("w+") as output,
        subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output, process_group=0) as watching,
    ):
        read = (tmp_path / "output").read_text
        try:
            until(lambda: "Waiting for a change" in read())
            assert "the first version" in read()
            app.write_text(app.read_text().replace("first", "second"))
            until(lambda: read().count("Waiting for a change") == 2)
            assert "the second version" in read()
            watching.send_signal(signal.SIGINT)
            assert watching.wait(30) == 0
        finally:
            watching.kill()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "SIGTERM", "the terminal is closed"]
)
def test_interrupted_command_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    """A command that is interrupted in a call ends its sandbox, and has exit code 130."""
    (tmp_path / "app.py").write_text(
        "import os, time\n"
        "def handler(event, context):\n"
        "    open('started', 'w').write(str(os.getpid()))\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-m", "zespan_serverless", "invoke", "app.handler", "--timeout", "900"]
    streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    default = partial(signal.signal, number, signal.SIG_DFL)  # under nohup, SIGHUP is ignored, and so it is in children
    with subprocess.Popen(command, cwd=tmp_path, preexec_fn=default, **streams) as running:
        started = tmp_path / "started"
        until(lambda: started.exists() and started.read_text())
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
    assert (running.returncode, said) == (130, b"")
    until(lambda: not Path("/proc", started.read_text()).exists())  # the system may take a moment to reap it


@pytest.mark.host(seconds=8)
def test_the_command_prints_a_drawing_or_json() -> None:
    """The command prints a drawing, or one document of JSON, and its exit code is the run's."""
    command = [sys.executable, "-m", "zespan_serverless", "invoke", "app.handler", "--code", str(FUNCTION)]
    drawn = subprocess.run([*command, '{"sleep": 0}'], capture_output=True, text=True, timeout=60)
    assert drawn.returncode == 0, drawn.stderr
    for part in ("init", "handler", "response", "flush", "arrived", "sleep + invocation", "SIGTERM", "+ 0 lost"):
        assert part in drawn.stdout
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert subprocess.run([*command, '{"sleep": 0}'], env=ascii_only, capture_output=True, timeout=60).returncode == 0
    assert "Note: " not in drawn.stdout.replace("Note: its CPU is not limited", "")
    asked = subprocess.run(
        [*command, '{"raise": "x"}', "--json", "-n", "2"], capture_output=True, text=True, timeout=60
    )
    assert asked.returncode == FAILED
    told = json.loads(asked.stdout)
    assert [call["outcome"] for call in told["calls"]] == ["error", "error"]
    assert told["ledger"] == {"captured": 2, "delivered": 2, "waiting": 0, "dropped": {}, "lost": 0}
    assert {event["state"] for event in told["events"]} == {"delivered"}
    assert told["freeze"] == "SIGSTOP"
