"""Where the telemetry of a run goes: a backend in this process, or a running `dev`."""

from __future__ import annotations

import json
import urllib.request
from typing import Any, Protocol

from zespan_serverless.errors import ConfigurationError
from zespan_serverless.testing import Backend

from ..address import find
from .plan import Fault, Unusable

_TIMEOUT = 5.0  # seconds for a request to `dev`


class Arrival:
    """One request with events, and how it was answered. Times are in milliseconds since the epoch."""

    def __init__(self, at: float, answered: float | None, status: int | None, ids: list[str]) -> None:
        self.at, self.answered, self.status, self.ids = at, answered, status, ids


class Collector(Protocol):
    """Takes the events of the function."""

    url: str

    def fail(self, fault: Fault | None) -> None:
        """Fail in this way from now on; None: do not fail."""

    def arrivals(self) -> list[Arrival]:
        """The requests so far; none if they cannot be seen from here."""
        ...

    def close(self) -> None:
        """End."""


class BuiltIn:
    """A backend in this process, which takes Zespan's and Carbon's formats."""

    def __init__(self) -> None:
        self._backend = Backend()
        self.url = self._backend.url

    def fail(self, fault: Fault | None) -> None:
        mode: Any = "ok" if fault is None else int(fault) if fault.isdigit() else fault
        self._backend.mode = mode

    def arrivals(self) -> list[Arrival]:
        return [
            Arrival(
                request.time * 1000,
                None if request.answered is None else request.answered * 1000,
                request.status,
                [str(event.get("event_id") or event.get("id")) for event in request.events],
            )
            for request in self._backend.requests
        ]

    def close(self) -> None:
        self._backend.close()


class Dev:
    """A running `zespan-serverless dev`: at this URL, which may have its token, or the one of this folder."""

    def __init__(self, url: str) -> None:
        try:
            found = find(url or None)
        except ConfigurationError as error:
            raise Unusable(str(error)) from None
        if found is None:
            where = f" at {url}" if url else ""
            raise Unusable(f"no `dev` answers{where}: start zespan-serverless dev, or type the URL that it has printed")
        self.url, self._token = found
        self._failing = False

    def fail(self, fault: Fault | None) -> None:
        if fault is None and not self._failing:
            return
        self._failing = fault is not None
        if not self._token:
            raise Unusable("--fault with --dev needs the URL with its token, as `zespan-serverless dev` has printed it")
        body = json.dumps({"mode": fault or "ok"}).encode()
        post(f"{self.url}/api/fault", body, {"Authorization": f"Bearer {self._token}"})

    def arrivals(self) -> list[Arrival]:
        return []

    def close(self) -> None:
        self.fail(None)


def post(url: str, body: bytes, headers: dict[str, str] | None = None) -> None:
    """Send to `dev`. Raises OSError, also for an answer that is not 2xx."""
    sent = {"content-type": "application/json", **(headers or {})}
    with _direct.open(urllib.request.Request(url, body, sent, method="POST"), timeout=_TIMEOUT) as answer:
        answer.read()


def get(url: str, timeout: float) -> Any:
    """Ask `dev`, and return the JSON that it answers. Raises OSError or ValueError."""
    with _direct.open(url, timeout=timeout) as answer:
        return json.load(answer)


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # `dev` is on this machine
