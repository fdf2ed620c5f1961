"""A sandbox that is replaced while the backend is unavailable leaves its events in the fallback, not on its disk."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.aws_lambda.support import StartFunction, calls, roots
from tests.exporters.stores import aws
from zespan_serverless.cli import main
from zespan_serverless.exporters.stores import events_of, open_store
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host

KILLED = "Sending SIGKILL to runtime"


def parked(folder: Path) -> tuple[int, int]:
    """Return how many model calls and root events are parked, counting each id once."""
    store = open_store(str(folder))
    events = [json.loads(data) for name in store.list() for data in events_of(store.get(name))[1]]
    assert len({event["event_id"] for event in events}) == len(events)
    return len(calls(events)), len(roots(events))


@pytest.mark.parametrize("mode", ["refuse", "hang", 500])
@pytest.mark.parametrize("flush_mode", ["auto", "before_return"])
def test_a_sandbox_that_ends_during_an_outage_parks_its_events(
    start: StartFunction, backend: Backend, tmp_path: Path, mode: Any, flush_mode: str
) -> None:
    """In the time that Lambda gives after SIGTERM, and the log says where they are."""
    env = {"ZESPAN_FALLBACK": str(tmp_path / "parked"), "ZESPAN_FLUSH_TIMEOUT": "0.2", "ZESPAN_FLUSH_MODE": flush_mode}
    sandbox = start("parked.handler", env=env)
    backend.mode = mode
    assert sandbox.invoke().status == 200
    assert sandbox.invoke({"count": 3}).status == 200
    log = sandbox.stop()
    assert KILLED not in log
    assert parked(tmp_path / "parked") == (4, 2)
    assert f"being parked in {tmp_path / 'parked'}" in log
    assert "being dropped" not in log
    assert backend.events == []


def test_a_long_outage_parks_while_the_sandbox_lives(start: StartFunction, backend: Backend, tmp_path: Path) -> None:
    """So that nothing is lost if it is killed; the response does not wait for it longer than for a flush."""
    env = {
        "ZESPAN_FALLBACK": f"file://{tmp_path / 'parked'}",
        "ZESPAN_FALLBACK_AFTER": "0",
        "ZESPAN_FLUSH_TIMEOUT": "0.3",
    }
    sandbox = start("parked.handler", env=env)
    backend.mode = "hang"
    for _ in range(8):
        assert (sandbox.invoke().response_ms or 0) < 2000
    assert parked(tmp_path / "parked")[0] >= 4


def test_a_buffer_that_fills_up_is_parked_and_not_dropped(
    start: StartFunction, backend: Backend, tmp_path: Path
) -> None:
    """More events than the buffer holds, in an outage that is not long yet: none is lost."""
    env = {"ZESPAN_FALLBACK": str(tmp_path / "parked"), "ZESPAN_MAX_EVENTS": "20"}
    sandbox = start("parked.handler", env=env)
    backend.mode = 500
    for _ in range(20):
        sandbox.invoke({"count": 5})
    log = sandbox.stop()
    assert parked(tmp_path / "parked") == (100, 20)
    assert "being dropped" not in log


@pytest.mark.parametrize("mode", ["refuse", "hang"])
def test_a_fallback_that_is_away_too_does_not_delay_the_end(
    start: StartFunction, backend: Backend, tmp_path: Path, mode: Any
) -> None:
    """The events stay in the journal, as without it, and the sandbox ends by itself."""
    (tmp_path / "file").write_text("in the way")
    env = {"ZESPAN_FALLBACK": str(tmp_path / "file" / "parked"), "ZESPAN_FLUSH_TIMEOUT": "0.2"}
    sandbox = start("parked.handler", env=env)
    backend.mode = mode
    assert sandbox.invoke().status == 200
    log = sandbox.stop()
    assert KILLED not in log
    assert "stay in the journal" in log
    assert "cannot be parked" in log


@pytest.mark.parametrize("url", ["s3://bucket/parked", "sqs://queue"])
@pytest.mark.parametrize("mode", ["refuse", "hang"])
def test_a_sandbox_that_ends_parks_in_aws_and_replay_delivers(
    start: StartFunction, backend: Backend, url: str, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 is imported when the backend has failed for the first time: the end of the sandbox would be too short."""

    def parks_everything() -> bool:
        before = len(backend.events)
        with aws.aws_server() as server:
            aws.use(server, monkeypatch)
            location = {"LocationConstraint": aws.REGION}
            aws.client("s3", server).create_bucket(Bucket="bucket", CreateBucketConfiguration=location)
            aws.client("sqs", server).create_queue(QueueName="queue")
            env = {**aws.environment(server), "ZESPAN_FALLBACK": url, "ZESPAN_FLUSH_TIMEOUT": "0.2"}
            sandbox = start("parked.handler", env=env)
            backend.mode = mode
            invocations = 0
            while sandbox.invoke({"module": "botocore.auth"}).payload != "imported":
                invocations += 1
                time.sleep(0.2)
            time.sleep(2)  # for the rest of the import, usually 0.1 s
            log = sandbox.stop()
            assert KILLED not in log
            assert f"being parked in {url}" in log
            backend.mode = "ok"
            monkeypatch.setenv("ZESPAN_API_KEY", "zsp_test")
            assert main(["replay", url, "--to", backend.url]) == 0
            events = {event["event_id"]: event for event in backend.events[before:]}
            return (len(calls([*events.values()])), len(roots([*events.values()]))) == (invocations, invocations + 1)

    # The end of a sandbox has 0.25 s, in which a busy machine may not run the client of AWS at all.
    assert any(parks_everything() for _ in range(3))
