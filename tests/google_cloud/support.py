"""The functions framework with the functions of `functions`, and what a client sees of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

Event = dict[str, Any]

FUNCTIONS = Path(__file__).parent / "functions"
ROOT = Path(__file__).parents[2]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
_WAIT = 20.0

# What Cloud Run sets: https://cloud.google.com/run/docs/container-contract#env-vars
CLOUD_RUN = {"K_SERVICE": "chat", "K_REVISION": "chat-00007-abc", "K_CONFIGURATION": "chat"}


class Answer(NamedTuple):
    status: int
    body: bytes
    seconds: float
    headers: Mapping[str, str]


class Function:
    """A function that is served. Several may start at once: whoever asks first waits until it listens."""

    def __init__(
        self, target: str, source: str | Path, env: Mapping[str, str] | None = None, *options: str, cloud: bool = True
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        path = Path(source) if Path(source).is_absolute() else FUNCTIONS / source
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "functions_framework", "--host", "127.0.0.1", "--port", str(self.port)),
                *("--target", target, "--source", str(path), *options),
            ],
            cwd=path.parent,
            env={**_inherited(), "THREADS": "16", **(CLOUD_RUN if cloud else {}), **(env or {})},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

        self._listens = False

    def __enter__(self) -> Function:
        return self

    def listen(self) -> None:
        """Wait until it does."""
        end = time.monotonic() + _WAIT
        while not self._listens:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                self._listens = True
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"it does not listen: {self.log}") from None
                time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def ask(self, path: str = "/", body: object = None, method: str = "", **headers: str) -> Answer:
        """One request. A body that is not bytes is sent as JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            named.setdefault("content-type", "application/json")
        self.listen()
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_WAIT)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body=body, headers=named)
            response = connection.getresponse()
            return Answer(response.status, response.read(), time.monotonic() - began, dict(response.headers))
        finally:
            connection.close()

    @contextlib.contextmanager
    def open(self, path: str = "/") -> Iterator[http.client.HTTPResponse]:
        """A response whose body is still to be read; at the end the client leaves."""
        self.listen()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_WAIT)
        try:
            connection.request("GET", path)
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def later(self, path: str = "/", **headers: str) -> Callable[[], Answer]:
        """Ask in a thread; gives what waits for the answer."""
        self.listen()
        found: list[Answer | BaseException] = []

        def ask() -> None:
            try:
                found.append(self.ask(path, **headers))
            except Exception as error:
                found.append(error)

        thread = threading.Thread(target=ask)
        thread.start()

        def answer() -> Answer:
            thread.join(_WAIT)
            if not isinstance(found[0], Answer):
                raise found[0]
            return found[0]

        return answer

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """After `terminate`: the exit code."""
        return self._process.wait(_WAIT)


def job(script: str | Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A job's process, begun."""
    path = Path(script) if Path(script).is_absolute() else FUNCTIONS / script
    return subprocess.Popen(
        [sys.executable, str(path)], env={**_inherited(), **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _inherited() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("K_", "CLOUD_RUN_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def until(condition: Callable[[], object], seconds: float = _WAIT) -> None:
    """Wait for a condition; fails if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def roots(events: list[Event]) -> list[Event]:
    """The events of invocations."""
    return [event for event in events if "faas.trigger" in (event.get("metadata") or {})]


def below(root: Event, events: list[Event]) -> list[Event]:
    """The events whose parent that is, in its trace."""
    return [e for e in events if (e["trace_id"], e["parent_span_id"]) == (root["trace_id"], root["span_id"])]


def added(traced: Function, bare: Function, path: str = "/", rounds: int = 7) -> float:
    """Milliseconds that telemetry adds to a response: the median over rounds in which both are asked."""
    for function in (traced, bare):
        function.ask(path)
    pairs = [(traced.ask(path).seconds, bare.ask(path).seconds) for _ in range(rounds)]
    return statistics.median(ours - theirs for ours, theirs in pairs) * 1000
