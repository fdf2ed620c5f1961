"""Starts real web servers with the applications of the folder `apps`."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from tests.support import ROOT, TRACEPARENT, Event, Served

APPS = Path(__file__).parent / "apps"
_BIN = Path(sys.executable).parent

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


class Server(Served):
    """One server process. The constructor returns when the server accepts requests."""

    def __init__(self, name: str, app: str, env: Mapping[str, str] | None = None) -> None:
        port = _free_port()
        command = [part.format(app=app, port=port) for part in COMMANDS[name]]
        inherited = {k: v for k, v in os.environ.items() if k != "K_SERVICE"}
        path = os.pathsep.join([*filter(None, [(env or {}).get("PYTHONPATH")]), str(APPS), str(ROOT)])
        environment = {**inherited, **(env or {}), "PYTHONPATH": path}
        super().__init__([str(_BIN / command[0]), *command[1:]], port, APPS, environment)

    def __enter__(self) -> Self:
        self.listen()
        return self


def _free_port() -> int:
    """A port that no other server of these tests gets, in any process: some servers share their port with others.

    It is below the ports that the system assigns to clients.
    """
    while True:
        port = 20_000 + (os.getpid() * 101 + next(_numbers)) % 12_000
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def named(events: list[Event], path: str) -> list[Event]:
    """Return the root events of requests for a path."""
    return [event for event in events if (event.get("metadata") or {}).get("url.path") == path]


@contextlib.contextmanager
def pieces(server: Server, path: str, gate: Path) -> Iterator[Iterator[bytes]]:
    """The lines of a stream. The server makes each line when the one before has arrived."""
    (gate / "0").touch()  # WSGI servers send the headers with the first piece
    with server.open(f"{path}?gate={gate}", traceparent=TRACEPARENT) as response:

        def lines() -> Iterator[bytes]:
            for number in range(3):
                (gate / str(number)).touch()
                yield response.readline()

        yield lines()
        assert response.read() == b""
