"""SnapStart: AWS's runtime client and its hooks, around a snapshot and a restore that are played to them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import snapshot_restore_py

from tests.aws_lambda.runtime_api import RuntimeApi
from tests.aws_lambda.support import calls, roots, until
from tests.hosts import RESTORED, Cell
from zespan_serverless.aws_lambda import _snapstart
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Lambda's runtime client is for Linux only")

Start = Callable[..., RuntimeApi]
DAY = 86_400
ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(backend: Backend, tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(**env: str) -> RuntimeApi:
            environment = {
                "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
                "ZESPAN_BASE_URL": backend.url,
                "JUMPED": str(tmp_path / "jumped"),
                **env,
            }
            return stack.enter_context(RuntimeApi("snapshot.handler", environment))

        yield start


def sockets(pid: int) -> int:
    """Return how many TCP connections a process has."""
    tcp = {line.split()[9] for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]}
    links = (str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())
    return sum(link.removeprefix("socket:[").rstrip("]") in tcp for link in links)


def operations(backend: Backend) -> Counter[str]:
    """Return how often each model call was delivered."""
    return Counter(event["operation"] for event in calls(backend.events))


def test_snapshot_holds_no_events_connection_or_sender(start: Start, backend: Backend) -> None:
    """All that was captured until then has been sent, and neither a connection nor a sender is left."""
    api = start()
    api.called("restore/next")
    assert operations(backend) == {"at import": 1, "before the snapshot": 1, "in the handler": 1}
    assert sockets(api.process.pid) == 1  # on which the runtime client waits to be restored
    assert len(list(Path(f"/proc/{api.process.pid}/task").iterdir())) == 2  # the main thread, and who waits for SIGTERM
    api.restored.set()
    assert "zespan-sender" in api.answer(api.invoke())["threads"]
    assert api.calls == ["restore/next"]


@pytest.mark.parametrize("jump", [0, DAY, -DAY])
def test_invocations_after_a_restore_are_delivered(
    start: Start, backend: Backend, tmp_path: Path, cell: Cell, jump: int
) -> None:
    """Whatever the clock says, each invocation is delivered before its answer; the first is a start of its own kind."""
    api = start(JUMP=str(jump))
    api.called("restore/next")
    before = len(backend.events)
    os.kill(api.process.pid, signal.SIGSTOP)
    backend.close_connections()
    (tmp_path / "jumped").touch()
    os.kill(api.process.pid, signal.SIGCONT)
    api.restored.set()
    for number in (1, 2, 3):
        assert api.answer(api.invoke(seconds=30 + jump))["pid"] == api.process.pid
        assert len(backend.events) == before + 2 * number + 1
    restored = backend.events[before:]
    assert Counter(event["operation"] for event in calls(restored)) == {"in the handler": 3, "after the restore": 1}
    said = [root["metadata"] for root in roots(restored)]
    assert [root["start_kind"] for root in said] == ["snapstart", "warm", "warm"]
    assert not any(root["faas.coldstart"] or "init_duration_ms" in root for root in said)
    assert len({event["event_id"] for event in backend.events}) == len(backend.events)
    everything = roots(backend.events)
    assert len({root["trace_id"] for root in everything}) == len(everything)
    cell("AWS Lambda", "snapshot", RESTORED)


@pytest.mark.parametrize("mode", ["refuse", 503, "hang"])
def test_backend_that_is_back_after_the_restore(start: Start, backend: Backend, mode: int) -> None:
    """What could not be sent before the snapshot can be sent at once after it, by hooks of the user's too: nothing is
    known of the backend any more, not even that it asked for a minute's silence."""
    backend.mode, backend.retry_after = mode, "60"
    api = start(ZESPAN_FLUSH_TIMEOUT="0.3")
    api.called("restore/next")
    assert backend.events == []
    assert sockets(api.process.pid) == 1
    backend.close_connections()
    backend.mode = "ok"
    api.restored.set()
    until(lambda: operations(backend)["after the restore"])
    api.answer(api.invoke())
    delivered = {event["event_id"]: event["operation"] for event in calls(backend.events)}
    once = {"at import": 1, "before the snapshot": 1, "after the restore": 1, "in the handler": 2}
    assert Counter(delivered.values()) == once


def test_failing_hooks_fail_neither_snapshot_nor_restore(start: Start, backend: Backend) -> None:
    """A failure in a hook fails neither the snapshot nor the restore."""
    api = start(BREAK="1")
    api.called("restore/next")
    api.restored.set()
    assert api.answer(api.invoke())["pid"] == api.process.pid
    assert api.calls == ["restore/next"]
    assert api.log().count("ours fails") == 2
    until(lambda: operations(backend)["in the handler"] == 2)


def test_no_hooks_are_registered_without_telemetry(start: Start, backend: Backend) -> None:
    """Without telemetry no hooks are registered."""
    api = start(ZESPAN_ENABLED="0", BREAK="1")
    api.restored.set()
    assert api.answer(api.invoke())["threads"] == ["MainThread"]
    assert "ours fails" not in api.log()


def test_after_response_is_refused_with_a_warning(start: Start, backend: Backend) -> None:
    """Who asks for a flush after the response is told that there is none."""
    api = start(ZESPAN_FLUSH_MODE="after_response")
    api.restored.set()
    api.answer(api.invoke())
    assert "flushing before the return" in api.log()
    assert len(roots(backend.events)) == 2


def test_our_hooks_run_last_before_the_snapshot_and_first_after_the_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours come last before a snapshot, and first after a restore, with the user's in between, whenever registered."""
    for registry in ("_before_snapshot_registry", "_after_restore_registry"):
        monkeypatch.setattr(snapshot_restore_py, registry, [])
    snapshot_restore_py.register_before_snapshot(print, "early")
    snapshot_restore_py.register_after_restore(print, "early")
    _snapstart.register()
    snapshot_restore_py.register_before_snapshot(print, "late")
    snapshot_restore_py.register_after_restore(print, "late")
    before: list[Any] = snapshot_restore_py.get_before_snapshot()  # from the last to the first
    after: list[Any] = snapshot_restore_py.get_after_restore()
    assert [hook for hook, _, _ in before] == [_snapstart._before_snapshot, print, print]
    assert [hook for hook, _, _ in after] == [_snapstart._after_restore, print, print]


def test_documented_example_by_hand(backend: Backend) -> None:
    """Without the decorator: what was captured is sent before the snapshot, over a connection that ends there."""
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/hosts/lambda-snapstart.md").read_text(), re.DOTALL)
    rest = """
from snapshot_restore_py import get_after_restore, get_before_snapshot
from zespan_serverless import capture, flush

capture({"operation": "at import"})
for hooks in (get_before_snapshot(), get_after_restore()):
    for function, arguments, keywords in hooks:
        function(*arguments, **keywords)
capture({"operation": "restored"})
assert flush().delivered == 1
"""
    env = {**os.environ, "ZESPAN_BASE_URL": backend.url, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", block + rest], check=True, env=env, timeout=60)
    assert [event["operation"] for event in backend.events] == ["at import", "restored"]
    assert backend.connections == 2


def test_missing_snapshot_package_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing could call our hooks, that is said, and nothing fails."""
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    _snapstart.register()
    assert "no snapshot_restore_py" in caplog.text
