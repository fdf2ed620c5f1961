"""Starts the runtimes of function platforms, and plays the platforms around them."""

from __future__ import annotations

import http.client
import json
import os
import socket
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from tests import environments
from tests.support import ROOT, Answer, Served, until
from zespan_serverless.testing import Backend

APPS = Path(__file__).parent / "apps"

PATIENCE = 30.0  # seconds, far longer than anything usually takes


def variables(backend: Backend, model_url: str, **env: str) -> dict[str, str]:
    """The environment of a runtime."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{APPS}{os.pathsep}{ROOT}",
        "ZESPAN_BASE_URL": backend.url,
        "ZESPAN_API_KEY": "zsp_test",
        "OPENAI_BASE_URL": model_url,
        "OPENAI_API_KEY": "sk-test",
        **env,
    }


# The program `fdk`. It takes uvloop if that can be imported, and fails with a new one, which is the other tests'.
FDK = "import sys; sys.modules['uvloop'] = None; from fdk.scripts.fdk import main; main()"
ORACLE = {
    "FN_FORMAT": "http-stream",
    "FN_APP_NAME": "shop",
    "FN_FN_NAME": "chat",
    "FN_APP_ID": "ocid1.fnapp.oc1..a",
    "FN_FN_ID": "ocid1.fnfunc.oc1..f",
    "FN_MEMORY": "256",
    "OCI_RESOURCE_PRINCIPAL_REGION": "eu-frankfurt-1",
}


class Fn(Served):
    """fdk's server on its socket, and the part of Fn's agent: it sends a call with its deadline, and pauses the
    container when it has the response."""

    def __init__(self, entrypoint: str, env: Mapping[str, str], file: Path = APPS / "on_oracle.py") -> None:
        self.entrypoint = entrypoint
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name, "lsnr.sock")
        python = environments.installed("faas", "functions")
        environ = {**ORACLE, **env, "FN_LISTENER": f"unix:{self._path}"}
        super().__init__([str(python), "-W", "ignore", "-c", FDK, str(file), entrypoint], 0, APPS, environ)

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self._folder.cleanup()

    def listen(self) -> None:
        until(lambda: self._path.exists() or self._process.poll() is not None, PATIENCE)
        assert self._process.poll() is None, self.log

    def call(
        self,
        body: object,
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        seconds: float = 60,
        gateway: bool = True,
    ) -> Answer:
        """Call the function, which has this many seconds. The gateway adds a prefix to a client's headers."""
        self.listen()
        end = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
        sent = {"content-type": "application/json", "fn-call-id": "call-1", "fn-deadline": end}
        if gateway:
            sent |= {"fn-intent": "httprequest", "fn-http-method": "POST", "fn-http-request-url": "/chat?x=1"}
        prefix = "fn-http-h-" if gateway else ""
        sent |= {name if name.startswith("x-b3") else prefix + name: value for name, value in headers.items()}
        began, connection = time.monotonic(), _UnixConnection(self._path)
        try:
            connection.request("POST", "/call", json.dumps(body), sent)
            response = connection.getresponse()
            return Answer(response.status, response.read(), time.monotonic() - began, dict(response.headers))
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


def trace(number: int) -> str:
    """The trace of a series' call."""
    return f"{number + 1:032x}"


def traceparent(number: int) -> str:
    return f"00-{trace(number)}-00f067aa0ba902b7-01"
