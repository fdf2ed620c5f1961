"""Real web servers with the applications of `apps`, and what a client sees of them."""

from __future__ import annotations

import contextlib
import http.client
import itertools
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

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[2]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
_BIN = Path(sys.executable).parent
_WAIT = 10.0

ASGI = {
    "uvicorn": ["uvicorn", "{app}", "--port", "{port}", "--loop", "asyncio", "--log-level", "warning"],
    "uvicorn uvloop": ["uvicorn", "{app}", "--port", "{port}", "--loop", "uvloop", "--log-level", "warning"],
    "uvicorn, 2 workers": ["uvicorn", "{app}", "--port", "{port}", "--workers", "2", "--log-level", "warning"],
    "hypercorn": ["hypercorn", "{app}", "-b", "127.0.0.1:{port}"],
    "hypercorn trio": ["hypercorn", "{app}", "-b", "127.0.0.1:{port}", "-k", "trio"],
    "gunicorn UvicornWorker": ["gunicorn", "{app}", "-b", "127.0.0.1:{port}", "-k", "uvicorn_worker.UvicornWorker"],
}
WSGI = {
    "gunicorn sync": ["gunicorn", "{app}", "-b", "127.0.0.1:{port}"],
    "gunicorn gthread": ["gunicorn", "{app}", "-b", "127.0.0.1:{port}", "-k", "gthread", "--threads", "64"],
    "gunicorn gevent": ["gunicorn", "{app}", "-b", "127.0.0.1:{port}", "-k", "gevent"],
    "gunicorn --preload": ["gunicorn", "{app}", "-b", "127.0.0.1:{port}", "--preload", "--threads", "8"],
    "werkzeug": ["flask", "--app", "{app}", "run", "-p", "{port}"],
}
COMMANDS = {**ASGI, **WSGI}


_numbers = itertools.count()


class Answer(NamedTuple):
    status: int
    body: bytes
    seconds: float


class Stopped(NamedTuple):
    """How a server ended: exit code, and seconds after the signal. None: it had to be killed."""

    code: int | None
    seconds: float


class Server:
    """One server process, from the time that it listens."""

    def __init__(self, name: str, app: str, env: Mapping[str, str] | None = None) -> None:
        self.port = _free_port()
        command = [part.format(app=app, port=self.port) for part in COMMANDS[name]]
        inherited = {k: v for k, v in os.environ.items() if k != "K_SERVICE"}
        path = os.pathsep.join([*filter(None, [(env or {}).get("PYTHONPATH")]), str(APPS), str(ROOT)])
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [str(_BIN / command[0]), *command[1:]],
            cwd=APPS,
            env={**inherited, "PYTHONUNBUFFERED": "1", **(env or {}), "PYTHONPATH": path},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def __enter__(self) -> Server:
        end = time.monotonic() + _WAIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
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

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_WAIT)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): v for name, v in headers.items()})
            response = connection.getresponse()
            body = response.read()
            return Answer(response.status, body, time.monotonic() - began)
        finally:
            connection.close()

    @contextlib.contextmanager
    def open(self, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
        """A response whose body is still to be read; at the end the client leaves."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_WAIT)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()})
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def later(self, path: str) -> Callable[[], Answer]:
        """Ask in a thread; gives what waits for the answer."""
        found: list[Answer | BaseException] = []

        def ask() -> None:
            try:
                found.append(self.get(path, traceparent=TRACEPARENT))
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
        return [answer() for answer in [self.later(path) for path in paths]]

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
        """After `terminate`."""
        self._ending.join()
        return self._stopped


def _free_port() -> int:
    """One that no other server of these tests is given, in other processes neither: some share theirs with whoever else
    wants it. Below those from which the system takes the clients'."""
    while True:
        port = 20_000 + (os.getpid() * 101 + next(_numbers)) % 12_000
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def until(condition: Callable[[], object], seconds: float = 6.0) -> None:
    """Wait for a condition; fails if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def named(events: list[Event], path: str) -> list[Event]:
    """The root events of requests for a path."""
    return [event for event in events if (event.get("metadata") or {}).get("url.path") == path]


def below(root: Event, events: list[Event]) -> list[Event]:
    """The events whose parent that is, in its trace."""
    return [e for e in events if (e["trace_id"], e["parent_span_id"]) == (root["trace_id"], root["span_id"])]


def added(traced: Server, bare: Server, path: str, rounds: int = 15) -> float:
    """Milliseconds that telemetry adds to a response: the median over rounds in which both are asked."""
    for server in (traced, bare):
        server.get(path)
    pairs = [(traced.get(path).seconds, bare.get(path).seconds) for _ in range(rounds)]
    return statistics.median(ours - theirs for ours, theirs in pairs) * 1000


@contextlib.contextmanager
def pieces(server: Server, path: str, gate: Path) -> Iterator[Iterator[bytes]]:
    """The lines of a stream, each of which is made when the one before has arrived."""
    (gate / "0").touch()  # WSGI servers send the headers with the first piece
    with server.open(f"{path}?gate={gate}", traceparent=TRACEPARENT) as response:

        def lines() -> Iterator[bytes]:
            for number in range(3):
                (gate / str(number)).touch()
                yield response.readline()

        yield lines()
        assert response.read() == b""
