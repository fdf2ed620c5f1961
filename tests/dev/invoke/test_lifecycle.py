"""A running `dev` is told what happens in a sandbox, and its controls are obeyed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from zespan_serverless_dev.invoke.plan import Plan, Signal
from zespan_serverless_dev.invoke.running import exit_code
from zespan_serverless_dev.invoke.session import Result, Session
from zespan_serverless_dev.server import DevServer

from tests.support import until
from zespan_serverless.cli import main

pytestmark = [
    pytest.mark.host(seconds=4),
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only"),
]

FUNCTION = Path(__file__).parent / "function"
PLAN = Plan("app.handler", FUNCTION, event="event.json", payload={"sleep": 0.05}, memory=10_240)


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev


def ran(dev: DevServer, **options: Any) -> Result:
    return Session(replace(PLAN, dev=dev.page_url, **options), lambda *_: None, lambda _: None).run()


def lane(dev: DevServer) -> dict[str, Any]:
    (sandbox,) = dev.get("sandboxes")["sandboxes"]
    found: dict[str, Any] = dev.get(f"lane?sandbox={sandbox['id']}")
    return found


def test_lane_has_what_happened(dev: DevServer) -> None:
    """The page gets the sandbox, each call with its times, spans and flush, the freezes, and the end."""
    result = ran(dev, calls=2)
    found = lane(dev)
    sandbox, (first, second) = found["sandbox"], found["invocations"]
    assert (sandbox["host"], sandbox["function"], sandbox["state"]) == ("aws_lambda", "function", "ended")
    assert (sandbox["memory_mb"], sandbox["timeout_ms"], sandbox["end"]) == (10_240, 30_000, "scale_down")
    assert [call["request_id"] for call in (first, second)] == [call.request_id for call in result.calls]
    assert (first["cold"], second["cold"], first["name"]) == (True, False, "event.json")
    assert first["init"]["start"] < first["init"]["end"] <= first["start"] < first["response"] <= first["end"]
    assert second["init"] is None
    assert first["reserve_ms"] == second["reserve_ms"] == 200
    for call, own in zip((first, second), result.calls, strict=True):
        assert [each["name"] for each in call["calls"]] == ["sleep"]
        assert call["flushes"][0]["delivered"] == 2
        assert (call["outcome"], call["billed_ms"]) == ("ok", own.billed_ms)
        assert call["parts"]["handler_ms"] >= 50
    marks = [mark["type"] for mark in found["marks"]]
    assert marks == ["freeze", "thaw", "freeze", "thaw", "sigterm", "exit"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fault": "500", "kill": Signal(None)},
        {"fault": "refuse", "kill": Signal(None), "given": {"ZESPAN_JOURNAL": "off"}},
        {"fault": "hang", "given": {"ZESPAN_JOURNAL": "off", "ZESPAN_FLUSH_TIMEOUT": "0.2"}},
    ],
    ids=["delivered", "waiting", "lost", "dropped"],
)
def test_both_ledgers_agree(dev: DevServer, options: dict[str, Any], request: pytest.FixtureRequest) -> None:
    """The page's ledger and that of the command say the same of each event; the fault is over with the run."""
    result = ran(dev, **options)
    sums = result.ledger.sums()
    assert dev.get("ledger")["sum"] == sums
    state = request.node.callspec.id
    assert (sum(sums["dropped"].values()) if state == "dropped" else sums[state]) == sums["captured"] == 2
    assert exit_code(result) == (1 if state == "lost" else 0)
    assert dev.fault == "ok"


def test_controls_are_obeyed(dev: DevServer) -> None:
    """A sandbox that stays calls again, and a current call is killed, or runs into its timeout."""
    session = Session(
        replace(PLAN, dev=dev.page_url, stays=True, timeout=5, payload={"sleep": 1.0}), lambda *_: None, lambda _: None
    )
    thread = threading.Thread(target=session.run)
    thread.start()

    def control(name: str) -> None:
        (sandbox,) = dev.get("sandboxes")["sandboxes"]
        dev.post(f"sandboxes/{sandbox['id']}/control", {"control": name})

    def under_way() -> bool:
        return bool(calls := lane(dev)["invocations"]) and calls[-1]["end"] is None

    try:
        until(lambda: len(session.result.calls) == 1)
        for count, name in enumerate(("kill", "timeout"), 2):
            control("again")
            until(under_way)
            control(name)
            until(lambda wanted=count: len(session.result.calls) == wanted)  # type: ignore[misc]
    finally:
        session.end()
        thread.join()
    assert [call.outcome for call in session.result.calls] == ["ok", "killed", "timeout"]
    assert session.result.ledger.sums()["lost"] == 0


def test_fault_needs_the_token(dev: DevServer, capsys: pytest.CaptureFixture[str]) -> None:
    """With the URL alone telemetry can be sent to `dev`; a fault needs the token, and the error says so."""
    command = ["invoke", "app.handler", "--code", str(FUNCTION)]
    assert main([*command, "--dev", dev.url, "--fault", "hang"]) == 2
    assert "the URL with its token" in capsys.readouterr().err
    with pytest.raises(HTTPError):
        dev.get("lane?sandbox=none")
    assert main([*command, "--dev", dev.url]) == 0
    assert lane(dev)["sandbox"]["state"] == "ended"
