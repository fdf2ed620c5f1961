"""What the package does on Windows and macOS, as far as Linux can show that: `tests/systems.py` says how."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="imitates the other systems on Linux")

# Each part once. What differs is what the system lacks, so all of it runs in one process for each system.
PROGRAM = """
import asyncio, json, logging, sys
from pathlib import Path
import zespan_serverless as package
from zespan_serverless import testing
from zespan_serverless.exporters.stores import open_store

folder, said, found = Path(sys.argv[1]), [], {}
logging.getLogger("zespan_serverless").addHandler(type("Kept", (logging.Handler,), {
    "emit": lambda self, record: said.append(record.getMessage())})())

def sent(name, work, **settings):
    with testing.Backend() as backend:
        package.init(api_key="zsp_1", base_url=backend.url, **settings)
        work()
        package.flush()
        found[name] = len(backend.events)
    testing.reset()

def capture():
    with package.span("work"):
        pass

def one():
    return None

async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

async def request():
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        pass
    from zespan_serverless.asgi import ZespanMiddleware
    await ZespanMiddleware(application)(
        {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}, receive, send)

sent("capture", capture)
sent("run", package.run(one))
sent("lambda", lambda: package.zespan_lambda(lambda event, context: 1)({}, testing.LambdaContext()))
sent("asgi", lambda: asyncio.run(request()))
sent("journal", capture, journal="on")

store = open_store(folder.as_uri())
blob = bytes(range(256)) * 4
assert store.put(blob, "20260101T000000-1", 5.0).verdict == "delivered"
found["stored"] = [store.get(name) == blob for name in store.list()]
store.delete("20260101T000000-1")
found["left"] = [*store.list()]

from zespan_serverless_dev.probe import inside
inside.install(str(folder / "facts"))
inside.write("one"), inside.write("two")
found["facts"] = [json.loads(line)["type"] for line in (folder / "facts").read_bytes().splitlines()]

from zespan_serverless_dev.emulator.binary import EmulatorUnavailable, emulator_binary
try:
    found["emulator"] = str(emulator_binary())
except EmulatorUnavailable as error:
    found["emulator"] = str(error)
found["said"] = said
print(json.dumps(found))
"""


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_all_events_arrive_on_other_systems(system: str, tmp_path: Path) -> None:
    """Events of the API, of `run`, of a Lambda handler and of ASGI are delivered, stored and watched there, too.

    There is no journal on Windows, which the log says once, and no emulator: the error says what to type instead.
    """
    command = [sys.executable, "-W", "error", "-m", "tests.systems", system, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [found[part] for part in ("capture", "run", "lambda", "asgi", "journal")] == [1, 1, 1, 1, 1]
    assert (found["stored"], found["left"], found["facts"]) == ([True], [], ["one", "two"])
    assert "docker run" in found["emulator"]
    assert ("WSL 2" in found["emulator"]) == (system == "win32")
    assert ["journal-unsupported" in line for line in found["said"]] == ([True] if system == "win32" else [])
