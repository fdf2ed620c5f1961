"""One instance of a subject's function on AWS's Lambda emulator, and what it costs."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zespan_serverless_dev.emulator.lambda_rie import Invoke, Sandbox

from . import layers
from .standins import Destination, StandIns
from .subjects import Subject

FUNCTIONS = Path(__file__).parent / "functions"


class Instance(Sandbox):
    """A sandbox that knows the backend of its function, and the names of its model calls."""

    def __init__(
        self,
        subject: Subject,
        standins: StandIns,
        destination: Destination,
        *,
        bytecode: bool = True,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self._python = str(layers.python())
        self.destination = destination
        super().__init__(
            f"{subject.module}.handler",
            FUNCTIONS,
            env={**environment(subject, standins, destination), **(env or {})},
            layers=[layers.layer(subject, bytecode), layers.runtime()],
            **options,
        )

    def call(self, *, freezes: bool = True, **event: Any) -> Called:
        """Invoke the function. Then its process is stopped, until the next call."""
        name = secrets.token_hex(4)
        before = self.cpu()
        invoke = self.invoke({"call": name, **event})
        after = self.cpu()
        if freezes:
            self.freeze()
        names = [f"{name}{number:04x}" for number in range(event.get("calls", 1))]
        return Called(invoke, names, time.time(), (after - before) * 1000)

    def cpu(self) -> float:
        """Return the seconds of CPU that the runtime's process has used; 0 if there is none."""
        pid = self.runtime_pid
        try:
            return time.clock_gettime((~pid << 3) | 2) if pid is not None else 0.0  # the CPU clock of that process
        except OSError:
            return 0.0

    def memory(self) -> float:
        """Return the resident memory of the runtime's process in MB; 0 if there is none."""
        try:
            pages = int(Path(f"/proc/{self.runtime_pid}/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def arrived(self, *called: Called, in_time: bool = False) -> int:
        """Return how many of the model calls have arrived; `in_time`: before their instance was frozen."""
        when = self.destination.arrived()
        return sum(name in when and (not in_time or when[name] <= one.frozen) for one in called for name in one.names)


class Called:
    """One invocation, with the names of its model calls."""

    def __init__(self, invoke: Invoke, names: list[str], frozen: float, cpu_ms: float) -> None:
        self.invoke, self.names, self.frozen, self.cpu_ms = invoke, names, frozen, cpu_ms

    @property
    def is_answered(self) -> bool:
        """Whether the caller has got the function's answer."""
        payload = self.invoke.payload
        return isinstance(payload, dict) and payload.get("ok") is True

    @property
    def response_ms(self) -> float:
        """Milliseconds until the caller has the response, without the first init; of all if there was no response."""
        return (self.invoke.response_ms or self.invoke.wall_ms) - self._init_ms

    @property
    def billed_ms(self) -> float:
        """Milliseconds until the invocation was over, without the first init."""
        return self.invoke.wall_ms - self._init_ms

    @property
    def _init_ms(self) -> float:
        """The init of a new sandbox. That after a reset is part of the invocation, which is billed for it."""
        return (self.invoke.init_ms or 0.0) if "phase: init)" in self.invoke.log else 0.0


def environment(subject: Subject, standins: StandIns, destination: Destination) -> dict[str, str]:
    """Return the variables of a subject's function."""
    own = {name: value.replace("{backend}", destination.url) for name, value in subject.environment.items()}
    return {"BENCH_MODEL": standins.model_url, "BENCH_BACKEND": destination.url, **own}
