"""Shared by the tests of several hosts: filters for a backend's events, and servers in their own processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from zespan_serverless._base.log import PAGE, PREFIX

Event = dict[str, Any]

ROOT = Path(__file__).parents[1]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
_WAIT = 20.0  # seconds, far longer than anything usually takes


def until(condition: Callable[[], object], seconds: float = _WAIT) -> None:
    """Wait until the condition is true. Fails after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out waiting"
        time.sleep(0.005)


def text_of(line: str) -> str:
    """What a line of the log says, without the product's name, and the page at its end, which must be there."""
    said, page, code = line.removesuffix(")").removeprefix(PREFIX).rpartition(f" ({PAGE}")
    assert page, line
    assert code, line
    return said


def roots(events: list[Event]) -> list[Event]:
    """Return the events of invocations."""
    return [event for event in events if "start_kind" in (event.get("metadata") or {})]


def calls(events: list[Event]) -> list[Event]:
    """Return the events of model calls."""
    return [event for event in events if event["span_kind"] == "llm"]


def below(root: Event, events: list[Event]) -> list[Event]:
    """Return the events whose parent is `root`."""
    return [e for e in events if (e["trace_id"], e["parent_span_id"]) == (root["trace_id"], root["span_id"])]


class Answer(NamedTuple):
    status: int
    body: bytes
    seconds: float
    headers: Mapping[str, str]


class Stopped(NamedTuple):
    """The end of a server: its exit code, None if it had to be killed, and the seconds that it took."""

    code: int | None
    seconds: float


class Served:
    """A server's process, in a session of its own.

    The constructor does not wait for the server, so several can start at once; the first request waits.
    """

    def __init__(self, command: Sequence[str], port: int, cwd: Path, env: Mapping[str, str]) -> None:
        self.port = port
        self._listens = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={"PYTHONUNBUFFERED": "1", **env},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def listen(self) -> None:
        """Wait until the server accepts connections."""
        end = time.monotonic() + _WAIT
        while not self._listens:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                self._listens = True
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"it does not listen: {self.log}") from None
                time.sleep(0.02)

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def ask(self, path: str = "/", body: object = None, method: str = "", **headers: str) -> Answer:
        """Send one request. A body that is not bytes is sent as JSON."""
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
    def open(self, path: str = "/", **headers: str) -> Iterator[http.client.HTTPResponse]:
        """A response whose body has not been read. At the end of the block the client hangs up."""
        self.listen()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_WAIT)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()})
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def later(self, path: str = "/", body: object = None, **headers: str) -> Callable[[], Answer]:
        """Send one request from a thread. The result waits for the answer."""
        self.listen()
        found: list[Answer | BaseException] = []

        def ask() -> None:
            try:
                found.append(self.ask(path, body, **headers))
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

    def at_once(self, paths: list[str]) -> list[Answer]:
        return [answer() for answer in [self.later(path, traceparent=TRACEPARENT) for path in paths]]

    def freeze(self) -> None:
        """Stop the server and its workers where they are."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> None:
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)

        def ended() -> None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(_WAIT)
                self._stopped = Stopped(code, time.monotonic() - began)

        self._stopped = Stopped(None, _WAIT)
        self._ending = threading.Thread(target=ended)
        self._ending.start()

    def wait(self) -> Stopped:
        """Wait for the end of the server, after `terminate`."""
        self._ending.join()
        return self._stopped


def added(traced: Served, bare: Served, path: str = "/", rounds: int = 15) -> float:
    """Milliseconds that telemetry adds to a response: the median difference over rounds of one request to each."""
    for server in (traced, bare):
        server.ask(path)
    pairs = [(traced.ask(path).seconds, bare.ask(path).seconds) for _ in range(rounds)]
    return statistics.median(ours - theirs for ours, theirs in pairs) * 1000
