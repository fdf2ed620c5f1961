"""Where the telemetry of a run goes: a backend in this process, or a running `dev`."""

from __future__ import annotations

from typing import Any, Protocol

from zespan_serverless.errors import ConfigurationError
from zespan_serverless.testing import Backend

from ..address import find
from .plan import Fault, Unusable


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
        """Return the requests so far; none if they cannot be seen from here."""
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
        self.url, self.address = found.url, found
        self._failing = False

    def fail(self, fault: Fault | None) -> None:
        if fault is None and not self._failing:
            return
        self._failing = fault is not None
        if not self.address.token:
            raise Unusable("--fault with --dev needs the URL with its token, as `zespan-serverless dev` has printed it")
        self.address.set_fault(fault or "ok")

    def arrivals(self) -> list[Arrival]:
        return []

    def close(self) -> None:
        self.fail(None)
