"""Web servers with 1, 64 and 1,000 requests at once: asyncio, threads, and processes."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from . import layers
from .figures import percentile
from .instance import FUNCTIONS, environment
from .setting import Setting
from .standins import Destination, StandIns
from .subjects import BARE, SUBJECTS

SERVERS: dict[str, list[str]] = {
    "uvicorn": [
        *("uvicorn", "web_app:app", "--backlog", "2048"),
        *("--no-access-log", "--log-level", "error", "--port"),
    ],
    "gunicorn, threads": [
        *("gunicorn", "web_app:wsgi", "-k", "gthread", "--threads", "1000", "--worker-connections", "2000"),
        *("--backlog", "2048", "--log-level", "error", "-b"),
    ],
    "gunicorn, 4 processes": [
        *("gunicorn", "web_app:wsgi", "-k", "gthread", "--threads", "250", "--workers", "4"),
        *("--worker-connections", "2000", "--backlog", "2048", "--log-level", "error", "-b"),
    ],
}
REQUIREMENTS = ("uvicorn==0.54.0", "gunicorn==27.0.1")
CONCURRENT = {1: 40, 64: 512, 1000: 1000}  # requests at once -> requests in a round
DRAIN = 8.0  # seconds until each timer has sent what is left; the slowest one is of 5 s


class Round(NamedTuple):
    """One round: CPU in ms per request, the time of each response in ms, and the calls that were made."""

    cpu: float
    responses: Sequence[float]
    calls: Sequence[str]


def web(setting: Setting) -> dict[str, Any]:
    """One model call of 20 ms in each request. The servers run one after the other, their subjects in turn."""
    setting.standins.model(0.02)
    setting = setting.only([name for name, subject in SUBJECTS.items() if subject.is_web])
    found = {server: _serve(setting, server) for server in SERVERS}
    setting.standins.model()
    return found


def _serve(setting: Setting, server: str) -> dict[str, Any]:
    """Return for each number of requests at once, and for each subject, what was measured."""
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(server, name, setting.standins)) for name in setting.names}
        for one in servers.values():
            one.load(16, 64)  # enough for each process to have served
        for at_once, requests in CONCURRENT.items():
            rounds: dict[str, list[Round]] = {name: [] for name in setting.names}
            for _ in range(setting.rounds(1, 1)):
                for name in setting.shuffled():
                    rounds[name].append(servers[name].load(at_once, max(at_once, round(requests * setting.scale))))
            found[str(at_once)] = {
                name: {**_figures(rounds[name], rounds[BARE]), "memory_mb": servers[name].memory()}
                for name in setting.names
            }
        time.sleep(DRAIN)
        for by_name in found.values():
            for name, figures in by_name.items():
                arrived = servers[name].destination.arrived()
                figures["arrived"] = sum(call in arrived for call in figures.pop("names"))
    return found


def _figures(rounds: list[Round], bare: list[Round]) -> dict[str, Any]:
    responses, beside = ([took for one in of for took in one.responses] for of in (rounds, bare))
    names = [call for one in rounds for call in one.calls]
    differences = [ours.cpu - none.cpu for ours, none in zip(rounds, bare, strict=True)]
    return {
        "cpu_ms": round(statistics.median(one.cpu for one in rounds), 3),
        "cpu_added_ms": round(statistics.median(differences), 3),
        "p50_added_ms": round(percentile(responses, 50) - percentile(beside, 50), 2),
        "p99_added_ms": round(percentile(responses, 99) - percentile(beside, 99), 2),
        "calls": len(names),
        "names": names,
    }


class Server:
    """A web server with the application of one subject."""

    def __init__(self, server: str, name: str, standins: StandIns) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self.destination: Destination = standins.backend()
        subject, path = SUBJECTS[name], [FUNCTIONS, layers.layer(SUBJECTS[name]), layers.installed(REQUIREMENTS)]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, path)), "BENCH_SUBJECT": name}
        env |= {"PYTHONDONTWRITEBYTECODE": "1", **environment(subject, standins, self.destination)}
        program, *rest = SERVERS[server]
        address = str(self._port) if program == "uvicorn" else f"127.0.0.1:{self._port}"
        command = [str(layers.python()), "-m", program, *rest, address]
        self._process = subprocess.Popen(command, cwd=FUNCTIONS, env=env, process_group=0)

    def __enter__(self) -> Self:
        for _ in range(1500):
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the server does not listen")

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def load(self, at_once: int, requests: int) -> Round:
        """Send so many requests over so many connections."""
        before = self._cpu()
        responses, calls = asyncio.run(self._load(at_once, requests))
        return Round((self._cpu() - before) * 1000 / len(calls), responses, calls)

    async def _load(self, at_once: int, requests: int) -> tuple[list[float], list[str]]:
        took: list[float] = []
        calls: list[str] = []

        async def client() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            for _ in range(requests // at_once):
                name = secrets.token_hex(4)
                began = time.perf_counter()
                writer.write(f"GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"the server has answered {head.decode()}")
                await reader.readexactly(2)
                took.append((time.perf_counter() - began) * 1000)
                calls.append(f"{name}0000")
            writer.close()

        await asyncio.gather(*(client() for _ in range(at_once)))
        return took, calls

    def memory(self) -> float:
        """Return the resident memory of the server and its workers in MB. What they share counts for each of them."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._pids())
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)

    def _cpu(self) -> float:
        """Return the CPU seconds of the server and its workers."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self._pids())

    def _pids(self) -> list[int]:
        pids = [self._process.pid]
        for children in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            pids += map(int, children.read_text().split())
        return pids
