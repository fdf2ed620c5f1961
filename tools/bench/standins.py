"""The stand-ins for the model and the backend, in a process of their own: their work does not slow what measures.

A model call has arrived at the backend if a request that it has accepted contains the name of the call, in whatever
format: the function puts that only into the prompt.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from zespan_serverless.testing import Backend

from . import far
from .model import Model

_CALL = re.compile(rb"mk[0-9a-f]{12}")


class Destination:
    """One backend, as the parent process sees it."""

    def __init__(self, standins: StandIns, number: int, url: str) -> None:
        self._standins, self._number, self.url = standins, number, url

    def mode(self, mode: str | int) -> None:
        """Change how it answers."""
        self._standins.ask("mode", self._number, mode)

    def arrived(self) -> Mapping[str, float]:
        """Return the calls that it has accepted, and when it had answered."""
        found: dict[str, float] = self._standins.ask("arrived", self._number)
        return found

    def requests(self) -> int:
        """Return how many requests it has got."""
        found: int = self._standins.ask("requests", self._number)
        return found


class StandIns:
    """The parent's side. Its methods may be called by several threads."""

    def __init__(self, certificate: Path | None = None) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._lock = threading.Lock()
        self._process = context.Process(target=_serve, args=(theirs, certificate), daemon=True)
        self._process.start()
        theirs.close()  # so that a process that has died is noticed
        self.model_url: str = self.ask("model", 0.05, 5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join()

    def model(self, latency: float = 0.05, pieces: int = 5) -> None:
        """Change how the model answers. `latency` is in seconds."""
        self.ask("model", latency, pieces)

    def backend(self, latency: float = 0.03, *, tls: bool = False, round_trip: float = 0.0) -> Destination:
        """Start a backend. Times are in seconds."""
        return Destination(self, *self.ask("backend", latency, tls, round_trip))

    def ask(self, what: str, *args: Any) -> Any:
        """Ask the process. Raises what its function has raised."""
        with self._lock:
            self._pipe.send((what, args))
            answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


class _Process:
    """What the process does for its parent: a method for each question."""

    def __init__(self, certificate: Path | None) -> None:
        self._certificate = certificate
        self._backends: list[Backend] = []
        self._model = Model()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._run(self._model.listen())

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def model(self, latency: float, pieces: int) -> str:
        self._model.latency, self._model.pieces = latency, pieces
        return self._model.url

    def backend(self, latency: float, tls: bool, round_trip: float) -> tuple[int, str]:
        context = None
        if tls:
            import ssl

            assert self._certificate is not None
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._certificate)
        backend = Backend(tls=context, decode=_calls)
        backend.latency = latency
        self._backends.append(backend)
        url = backend.url
        if round_trip:
            front, _, port = url.rpartition(":")
            url = f"{front}:{self._run(far.listen(int(port), round_trip))}"
        return len(self._backends) - 1, url

    def mode(self, number: int, mode: Any) -> None:
        self._backends[number].mode = mode

    def arrived(self, number: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for request in self._backends[number].requests:
            if request.status == 200:
                for event in request.events:
                    found.setdefault(event["call"], request.answered or time.time())
        return found

    def requests(self, number: int) -> int:
        return len(self._backends[number].requests)


def _calls(body: bytes) -> list[dict[str, Any]]:
    return [{"call": call.decode()[2:]} for call in set(_CALL.findall(body))]


def _serve(pipe: Connection, certificate: Path | None) -> None:
    process = _Process(certificate)
    while True:
        try:
            what, args = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(getattr(process, what)(*args))
        except Exception as error:  # the parent raises it
            pipe.send(error)
