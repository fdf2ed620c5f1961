"""python -m tools.concurrency: the cost of the middleware in a web server with 64 concurrent requests.

Serves the same small application twice, bare and with the middleware, with gunicorn's threads and with uvicorn. Each
request sleeps 20 ms, as if for a model, and captures the event of one model call; the backend is 30 ms away. Each round
measures both; the result is the median of the differences.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from zespan_serverless.testing import Backend

CONNECTIONS = 64
CALM = 150  # requests per second, a load at which any machine is mostly idle
APPLICATION = """\
import asyncio, os, threading, time

from zespan_serverless import capture
from zespan_serverless.asgi import ZespanMiddleware as Asgi
from zespan_serverless.wsgi import ZespanMiddleware as Wsgi

CALL = {
    "span_kind": "llm", "operation": "chat", "provider": "openai", "model": "gpt-4o", "latency_ms": 20,
    "input_tokens": 120, "output_tokens": 80, "prompt_text": "What is it? " * 40, "completion_text": "It is. " * 60,
}


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] != "/cpu":
        await asyncio.sleep(0.02)
        if TRACED:
            capture(CALL)
    body = str(time.process_time()).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    if environ["PATH_INFO"] != "/cpu":
        time.sleep(0.02)
        if TRACED:
            capture(CALL)
    body = str(time.process_time()).encode()
    start_response("200 OK", [("content-length", str(len(body)))])
    return [body]


TRACED = "ZESPAN_BASE_URL" in os.environ
if TRACED:
    asgi, wsgi = Asgi(asgi), Wsgi(wsgi)
"""
COMMANDS = {
    "gunicorn, threads": ["gunicorn", "app:wsgi", "-k", "gthread", "--threads", str(CONNECTIONS), "-b"],
    "uvicorn, asyncio": ["uvicorn", "app:asgi", "--loop", "asyncio", "--no-access-log", "--log-level", "error"],
}


class Round(NamedTuple):
    """One round of one server: CPU milliseconds per request, and percentiles of the response time in milliseconds."""

    cpu: float
    p50: float
    p99: float


class Server:
    def __init__(self, name: str, folder: Path, backend: str | None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        program, *rest = COMMANDS[name]
        where = [f"127.0.0.1:{self.port}"] if program == "gunicorn" else ["--port", str(self.port)]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{folder}{os.pathsep}{Path(__file__).parents[1]}"}
        if backend:
            env["ZESPAN_BASE_URL"] = backend
        command = [str(Path(sys.executable).parent / program), *rest, *where]
        self._process = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.DEVNULL)

    async def listens(self) -> None:
        for _ in range(500):
            try:
                await self.cpu()
                return
            except OSError:
                await asyncio.sleep(0.02)
        raise RuntimeError("the server does not listen")

    async def cpu(self) -> float:
        """CPU seconds that the serving process has used so far."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        found = await _ask(reader, writer, "/cpu")
        writer.close()
        return float(found)

    async def load(self, requests: int, per_second: float | None) -> list[float]:
        """Send requests over 64 connections, at full speed or at a rate; return the time of each response in ms."""
        took: list[float] = []

        async def client(number: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            begin = time.monotonic()
            for turn in range(requests // CONNECTIONS):
                if per_second is not None:
                    at = begin + (turn * CONNECTIONS + number) / per_second
                    await asyncio.sleep(max(0.0, at - time.monotonic()))
                sent = time.perf_counter()
                await _ask(reader, writer, "/")
                took.append((time.perf_counter() - sent) * 1000)
            writer.close()

        await asyncio.gather(*map(client, range(CONNECTIONS)))
        return took

    async def round(self, requests: int) -> Round:
        before = await self.cpu()
        await self.load(requests, None)
        await asyncio.sleep(0.3)  # until everything has been sent
        cpu = (await self.cpu() - before) / (requests // CONNECTIONS * CONNECTIONS) * 1000
        calm = statistics.quantiles(await self.load(requests // 2, CALM), n=100)
        return Round(cpu, calm[49], calm[98])

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bytes:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    return await reader.readexactly(int(length.partition(b":")[2]))


async def measure(name: str, folder: Path, url: str, counted: Connection, rounds: int, requests: int) -> None:
    bare, traced = Server(name, folder, None), Server(name, folder, url)
    try:
        await asyncio.gather(bare.listens(), traced.listens())
        for server in (bare, traced):
            await server.load(requests, None)
        counted.send(True)
        sends_before, _ = counted.recv()
        pairs = [(await bare.round(requests), await traced.round(requests)) for _ in range(rounds)]
        await asyncio.sleep(0.5)
        counted.send(True)
        sends, events = counted.recv()
    finally:
        bare.stop()
        traced.stop()
    sent = rounds * (requests // CONNECTIONS + requests // 2 // CONNECTIONS) * CONNECTIONS

    def over(field: str) -> float:
        differences: list[float] = [getattr(ours, field) - getattr(theirs, field) for theirs, ours in pairs]
        return statistics.median(differences)

    bare_cpu = statistics.median(theirs.cpu for theirs, _ in pairs)
    print(f"{name:20}{bare_cpu:12.2f}{over('cpu'):+12.2f}{over('p50'):+12.2f}{over('p99'):+12.2f}", end="")
    print(f"{(sends - sends_before) / sent:12.3f}{events:12}", flush=True)


def _backend(pipe: Connection) -> None:
    """Run a backend in its own process. It answers each message with the number of requests and events so far."""
    with Backend() as backend:
        backend.latency = 0.03
        pipe.send(backend.url)
        while pipe.recv():
            pipe.send((len(backend.requests), len(backend.events)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=640, help="of one round; half as many for the percentiles")
    parser.add_argument("--only", choices=list(COMMANDS))
    chosen = parser.parse_args()
    for needed in ("gunicorn", "uvicorn"):
        if importlib.util.find_spec(needed) is None:
            parser.error(f"{needed} is not installed")
    pipe, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_backend, args=(theirs,))
    process.start()
    url = pipe.recv()
    head = ("", "bare CPU", "CPU", "p50", "p99", "sends", "events")
    print("{:20}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}".format(*head))
    print("{:20}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}".format("", *["ms/request"] * 2, "ms", "ms", "/request", "in all"))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(APPLICATION)
        for name in [chosen.only] if chosen.only else COMMANDS:
            asyncio.run(measure(name, Path(folder), url, pipe, chosen.rounds, chosen.requests))
    pipe.send(False)
    process.join()
    print(f"{chosen.rounds} rounds of {chosen.requests} requests, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
