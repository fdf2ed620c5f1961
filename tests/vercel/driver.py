"""Vercel's platform, as its Python runtime sees it: a socket that it reports to, and requests with internal headers.

The runtime is Vercel's own (PyPI: vercel-runtime). What it is started with is what Vercel's builder writes into a
function (npm: @vercel/python).
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
APART = ROOT / ".venv-vercel" / "bin" / "python"
Message = dict[str, Any]


def interpreter() -> Path | None:
    """A Python that has the runtime, which needs 3.12: this one, or that of the environment `make test` makes."""
    if sys.version_info >= (3, 12) and find_spec("vercel_runtime") is not None:
        return Path(sys.executable)
    return APART if APART.exists() else None


class Answer(NamedTuple):
    """What the client saw. `took_ms` is until it had the whole response; `ended_ms` until the platform was told."""

    status: int
    headers: dict[str, str]
    body: bytes
    took_ms: float
    ended_ms: float
    sent: float


class Function:
    """One instance of a function, from its boot to its end.

    with Function(folder / "app.py", "app", env={"ZESPAN_API_KEY": "zsp_test"}) as function:
        answer = function.get("/")

    `package=False` hides the package `vercel` from it, as if the application did not depend on it.
    """

    def __init__(
        self,
        file: Path,
        variable: str,
        *,
        env: Mapping[str, str] | None = None,
        package: bool = True,
        max_duration: float = 10,
    ) -> None:
        self._max_duration = max_duration
        self._messages: list[Message] = []
        self._changed = threading.Condition()
        self._number = 0
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._folder = tempfile.TemporaryDirectory(prefix="vercel-")
        self._platform = socket.socket(socket.AF_UNIX)
        address = f"{self._folder.name}/ipc.sock"
        self._platform.bind(address)
        self._platform.listen(1)
        self._platform.settimeout(20)
        hidden = "" if package else "import sys; sys.modules['vercel'] = None; "
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/tmp",
            "PYTHONPATH": f"{file.parent}{os.pathsep}{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "VERCEL": "1",
            "VERCEL_ENV": "production",
            "VERCEL_REGION": "iad1",
            "VERCEL_URL": "app-1a2b.vercel.app",
            "VERCEL_DEPLOYMENT_ID": "dpl_1a2b",
            "VERCEL_IPC_PATH": address,
            "__VC_HANDLER_MODULE_NAME": file.stem,
            "__VC_HANDLER_ENTRYPOINT": file.name,
            "__VC_HANDLER_ENTRYPOINT_ABS": str(file),
            "__VC_HANDLER_VENDOR_DIR": "_vendor",
            "__VC_HANDLER_VARIABLE_NAME": variable,
        }
        self._log = Path(self._folder.name) / "log"
        self._stopped: str | None = None
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(interpreter()), "-c", f"{hidden}from vercel_runtime.vc_init import vc_handler"],
                cwd=file.parent,
                env=environment | dict(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._connection, _ = self._platform.accept()
            self._listener.start()
            started = self.told(lambda message: message["type"] in ("server-started", "unrecoverable-error"), 20)
        except OSError as error:
            raise RuntimeError(f"the runtime did not start: {self.stop()}") from error
        if started["type"] != "server-started":
            raise RuntimeError(f"{started['payload']}: {self.stop()}")
        self._port: int = started["payload"]["httpPort"]

    def __enter__(self) -> Function:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def told(self, matches: Callable[[Message], bool], seconds: float = 10) -> Message:
        """Return the first message from the runtime that matches; waits for it."""
        with self._changed:
            found = self._changed.wait_for(lambda: next(filter(matches, self._messages), None), seconds)
        assert found is not None, "the runtime has not said it"
        return found

    def printed(self) -> list[str]:
        """Return what the function has printed and logged."""
        with self._changed:
            return [m["payload"]["message"] for m in self._messages if m["type"] == "log"]

    def get(self, path: str = "/", headers: Mapping[str, str] | None = None) -> Answer:
        """Return a GET request."""
        return self.request("GET", path, None, headers)

    def request(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return one request, from its first byte to the message that it is over."""
        self._number += 1
        invocation = f"{self._number}-{threading.get_ident()}"
        ends = datetime.now(UTC) + timedelta(seconds=self._max_duration)
        sent_headers = {
            "x-vercel-internal-invocation-id": invocation,
            "x-vercel-internal-request-id": str(self._number),
            "x-vercel-internal-deadline": ends.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "x-vercel-id": f"iad1::{invocation}",
            "x-forwarded-proto": "https",
            **(headers or {}),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        sent, began = time.time(), time.perf_counter()
        try:
            connection.request(method, path, body, sent_headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            took_ms = (time.perf_counter() - began) * 1000
            connection.close()
            end = self.told(lambda m: m["type"] == "end" and m["payload"]["context"]["invocationId"] == invocation)
        return Answer(response.status, dict(response.headers), content, took_ms, (end["at"] - sent) * 1000, sent)

    def stop(self) -> str:
        """End it, and give what it left on stdout and stderr."""
        if self._stopped is None:
            self.process.kill()
            self.process.wait()
            if self._listener.ident is not None:
                self._listener.join(5)
            self._platform.close()
            self._stopped = self._log.read_text(errors="replace")
            self._folder.cleanup()
        return self._stopped

    def _listen(self) -> None:
        left = b""
        with suppress(OSError):
            while data := self._connection.recv(65536):
                *messages, left = (left + data).split(b"\0")
                with self._changed:
                    for text in messages:
                        message: Message = json.loads(text) | {"at": time.time()}
                        if message["type"] == "log":
                            message["payload"]["message"] = base64.b64decode(message["payload"]["message"]).decode()
                        self._messages.append(message)
                    self._changed.notify_all()
        self._connection.close()
