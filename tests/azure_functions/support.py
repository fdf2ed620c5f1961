"""Helpers for the tests of this folder."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

from tests.support import ROOT, TRACEPARENT

HERE = Path(__file__).parent
APPS = HERE / "apps"


class Answer(NamedTuple):
    """The outcome of an invocation. `ms` is the time in the worker library."""

    ok: bool
    status: int | None
    body: Any
    exception: str | None
    stack: str | None
    outputs: dict[str, Any]
    ms: float


class Worker:
    """A worker process with one app (see `worker.py`)."""

    def __init__(
        self, app: Path, model: str = "v2", env: dict[str, str] | None = None, python: Path | None = None
    ) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `close`
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEBSITE_")}
        self._process = subprocess.Popen(
            [str(python or sys.executable), "-X", "faulthandler", str(HERE / "worker.py"), str(app), model],
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**inherited, "FUNCTIONS_WORKER_RUNTIME": "python", "PYTHONPATH": str(ROOT), **(env or {})},
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(10)
            log = self.log()
            self.close()
            raise RuntimeError(log)
        said = json.loads(line)
        self._address, self.http_url = ("127.0.0.1", said["port"]), said["http"]

    def log(self) -> str:
        """Return the text that the process has written to stderr."""
        self._stderr.seek(0)
        return self._stderr.read().decode()

    def invoke(
        self,
        function: str,
        inputs: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *,
        traceparent: str = TRACEPARENT,
        invocation_id: str | None = None,
        retry: tuple[int, int] = (0, 0),
    ) -> Answer:
        asked = {
            "function": function,
            "inputs": inputs,
            "metadata": metadata,
            "traceparent": traceparent,
            "invocation_id": invocation_id or str(uuid.uuid4()),
            "retry": retry,
        }
        with socket.create_connection(self._address, 30) as connection, connection.makefile("rwb") as file:
            file.write(json.dumps(asked).encode() + b"\n")
            file.flush()
            line = file.readline()
        if not line:
            raise ConnectionError("the worker has ended")
        return Answer(**json.loads(line))

    def http(self, function: str, path: str = "", arg: str = "req", body: bytes = b"", **options: Any) -> Answer:
        """Invoke with an HTTP request in the form that the host uses; `path` may have a query."""
        url = f"https://app.azurewebsites.net/api/{path or function}"
        request = {
            "method": options.pop("method", "GET"),
            "url": url,
            "headers": options.pop("headers", {}),
            "params": options.pop("params", {}),
            "query": dict(parse_qsl(urlsplit(url).query)),
            "body": base64.b64encode(body).decode(),
        }
        return self.invoke(function, {arg: {"http": request}}, **options)

    def terminate(self) -> int:
        """Send SIGTERM, wait, and return the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for the process to end, and return the exit code."""
        return self._process.wait(10)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._stderr.close()


class StartWorker(Protocol):
    """Starts a worker with the app `apps/<name>`, or another folder; it is stopped after the test."""

    def __call__(self, app: str | Path, model: str = "v2", **env: str) -> Worker: ...
