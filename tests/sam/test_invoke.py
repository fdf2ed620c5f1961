"""`zespan-serverless invoke --docker`: the same as without, in Lambda's image and with the kernel's own freezer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from zespan_serverless_dev.emulator.lambda_docker import DockerSandbox
from zespan_serverless_dev.invoke.plan import Fault, Plan, Signal
from zespan_serverless_dev.invoke.report import document
from zespan_serverless_dev.invoke.running import exit_code
from zespan_serverless_dev.invoke.session import Result, Session

from tools import docker

# The first test waits until the other module that needs Docker is done.
pytestmark = [pytest.mark.host(seconds=5), pytest.mark.timeout(900)]

FUNCTION = Path(__file__).parents[1] / "dev" / "invoke" / "function"


@pytest.fixture(autouse=True)
def lambdas_image(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZESPAN_LAMBDA_IMAGE", image)


def ran(payload: object, **options: object) -> Result:
    plan = Plan("app.handler", FUNCTION, payload=payload, docker=True, **options)  # type: ignore[arg-type]
    return Session(plan, lambda *_: None, lambda _: None).run()


def containers() -> list[str]:
    return docker._docker("ps", "--all", "--format", "{{.Names}}").split()


def test_events_of_a_paused_container_arrive() -> None:
    """Calls before and after a freeze are delivered in full, and no container is left."""
    result = ran({"sleep": 0.05}, calls=2, idle=0.5)
    assert [call.outcome for call in result.calls] == ["ok", "ok"]
    assert [call.cold for call in result.calls] == [True, False]
    assert result.ledger.sums()["delivered"] == 4
    assert document(result)["freeze"] == "docker pause"
    assert not any(name.startswith("zespan-") for name in containers())


@pytest.mark.parametrize("fault", ["hang", "500"])
def test_ledger_closes_after_a_kill(fault: Fault) -> None:
    """What a killed container's process has not delivered is found on its disk."""
    result = ran({"sleep": 0}, fault=fault, kill=Signal(None))
    assert (result.ledger.sums()["waiting"], result.ledger.sums()["lost"]) == (2, 0)
    assert exit_code(result) == 0


def test_next_process_sends_what_a_killed_one_has_left() -> None:
    """SIGKILL in a call ends the runtime alone: the next one in the container reports what was under way."""
    result = ran({"sleep": 1.0}, calls=2, kill=Signal(0.5))
    assert [call.outcome for call in result.calls] == ["killed", "ok"]
    assert result.ledger.sums() == {"captured": 3, "delivered": 3, "waiting": 0, "dropped": {}, "lost": 0}


def test_pause_stops_only_the_function_s_clock(tmp_path: Path) -> None:
    """While the container is paused its threads stand still; an invocation thaws it."""
    (tmp_path / "app.py").write_text(
        "import os, threading, time\n"
        "def tick():\n"
        "    while True:\n"
        "        open(os.environ['TMPDIR'] + '/ticks', 'a').write('.')\n"
        "        time.sleep(0.01)\n"
        "def handler(event, context):\n"
        "    threading.Thread(target=tick, daemon=True).start()\n"
    )
    with DockerSandbox("app.handler", tmp_path) as sandbox:
        ticks = sandbox.tmp_dir / "ticks"
        assert sandbox.invoke().status == 200
        sandbox.freeze()
        frozen = ticks.stat().st_size
        docker._docker("inspect", sandbox._name)
        assert ticks.stat().st_size == frozen
        assert sandbox.invoke().status == 200
        assert ticks.stat().st_size > frozen


def test_a_missing_image_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A container that does not start is exit code 2, with Docker's own words."""
    from zespan_serverless.cli import main

    monkeypatch.setenv("ZESPAN_LAMBDA_IMAGE", "localhost:1/no-such-image")
    assert main(["invoke", "app.handler", "--code", str(FUNCTION), "--docker"]) == 2
    said = capsys.readouterr().err
    assert "did not start" in said
    assert "no-such-image" in said


@pytest.mark.skipif(sys.platform != "linux", reason="sets PATH as on Linux")
def test_missing_docker_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without Docker the message says that it is needed."""
    from zespan_serverless.cli import main

    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["invoke", "app.handler", "--code", str(FUNCTION), "--docker"]) == 2
    assert "there is no command `docker` here" in capsys.readouterr().err
