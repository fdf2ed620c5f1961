"""Workers of task queues in processes of their own, on real brokers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests import environments
from tests.support import ROOT, until


@contextmanager
def redis_server() -> Iterator[str]:
    """Start a redis-server on a socket file, and yield the file's path."""
    python = environments.installed("workers", "queues")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "redis.sock")
        options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
        command = [str(python.with_name("redis-server")), *options]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder) as server:
            try:
                until(path.exists)
                yield str(path)
            finally:
                server.kill()


@contextmanager
def temporal_server() -> Iterator[str]:
    """Start Temporal's development server, and yield its address."""
    temporal = environments.installed("workers", "temporal").with_name("temporal")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ["--headless", "--ip", "127.0.0.1", "--port", str(port), "--log-level", "never"]
    with subprocess.Popen([temporal, "server", "start-dev", *options], stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: _listens(port), 60)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Worker:
    """A worker in a session of its own. Its log is in `log`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(env),
            stdout=self._log,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self._log.close()

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode()

    def stop(self, number: int = signal.SIGTERM, seconds: float = 60) -> int:
        """Send a signal to the worker's main process, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Kill the worker with all its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def environment(folder: Path, backend: str, **more: str) -> dict[str, str]:
    """The environment of a worker: its key, its backend, and a folder for what its tasks note."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(folder),
        "ZESPAN_API_KEY": "zsp_test",
        "ZESPAN_BASE_URL": backend,
        "IDS": str(folder / "ids"),
        "EVENTLET_NO_GREENDNS": "yes",  # it cannot import what is installed for other tests
        **more,
    }


def noted(env: Mapping[str, str]) -> list[str]:
    """The ids of the events that tasks have captured so far, in any process."""
    return [line.split()[0] for line in lines(env)]


def lines(env: Mapping[str, str], name: str = "") -> list[str]:
    """What tasks have noted so far under a name (see tests/workers/noting.py)."""
    path = Path(env["IDS"] + name)
    return path.read_text().splitlines() if path.exists() else []


def run(python: Path, module: str, *args: Any, env: Mapping[str, str]) -> Any:
    """Run a module with arguments, and return what it prints as JSON."""
    command = [str(python), "-m", module, *map(json.dumps, args)]
    done = subprocess.run(command, cwd=ROOT, env=dict(env), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null")


def wait_for(env: Mapping[str, str], count: int, worker: Worker, seconds: float = 60) -> None:
    """Wait until tasks have captured so many events."""
    end = time.monotonic() + seconds
    while len(noted(env)) < count:
        assert time.monotonic() < end, worker.log
        assert worker.process.poll() is None, worker.log
        time.sleep(0.02)
