"""A fleet of sandboxes, and an outage of the backend for ten minutes: `python -m tools.fleet` shows the result.

Each sandbox is a real `Delivery`, which has no threads here (the caller sends), and lives in a time that the simulation
moves. It is invoked at random moments, flushes after each invocation, and is replaced at random with all that is on its
disk. Sandboxes have no effect on each other but the load that they put on the backend together, so that they are
simulated one after the other. `--plot FILE` draws the requests as an SVG image.
"""

from __future__ import annotations

import argparse
import logging
import random
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from zespan_serverless import exporters
from zespan_serverless._base import threads
from zespan_serverless._delivery import waiters
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._trace import Span
from zespan_serverless.exporters import Outcome
from zespan_serverless.settings import Settings

AWAY, BACK, END = 180.0, 780.0, 1080.0  # seconds
GAP, LIFE = 10.0, 1200.0  # mean seconds between two invocations of a sandbox, and until it is replaced
EVENTS = 2  # of an invocation: its own and that of one call
ROUND_TRIP = 0.03
GRACE = 0.25  # seconds that a sandbox has for its events when it is replaced


class Clock:
    """The time of the sandbox that is being simulated."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Wakeup:
    """Stands in for a lock that a thread waits for. Nobody wakes it: waiting only takes time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if blocking:
            self._clock.now += max(timeout, 0.001)
        return not blocking

    def locked(self) -> bool:
        return False


class Destination(exporters.Exporter):
    """Counts what it gets. A backend refuses connections while it is unavailable; a store never does."""

    def __init__(self, clock: Clock, *, is_store: bool = False) -> None:
        self._clock, self._is_store = clock, is_store
        self.requests: Counter[int] = Counter()  # by second

    def encode(self, record: Record) -> bytes:
        return b"{}"

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        self.requests[int(self._clock.now)] += 1
        if AWAY <= self._clock.now < BACK and not self._is_store:
            self._clock.now += 0.001
            return Outcome("retry", "refused")
        self._clock.now += ROUND_TRIP
        return Outcome("delivered")


class Fleet:
    """What became of some sandboxes: events, and requests to the backend by second."""

    def __init__(self) -> None:
        self.captured = self.delivered = self.parked = self.lost = 0
        self.requests: Counter[int] = Counter()

    def add(self, other: Fleet | Delivery) -> None:
        """Add another part of the fleet, or a sandbox that is gone."""
        if isinstance(other, Fleet):
            self.requests += other.requests
        self.captured += other.captured
        self.delivered += other.delivered
        self.parked += other.parked
        self.lost += other.lost if isinstance(other, Fleet) else other.captured - other.delivered - other.parked


def move_time(clock: Clock) -> None:
    """Let deliveries use the simulation's time, without threads."""

    def no_thread(*_: Any) -> Any:
        raise RuntimeError("the simulation has no threads")

    time.time = time.monotonic = clock
    patched: Any = threads
    patched.start = no_thread
    patched = waiters
    patched.threading = SimpleNamespace(Lock=lambda: Wakeup(clock))
    logging.disable()


def simulate(sandboxes: int, seed: int, *, with_fallback: bool) -> Fleet:
    """Return what becomes of these sandboxes, by the end of the simulation."""
    clock, chance, fleet = Clock(), random.Random(seed), Fleet()
    move_time(clock)
    backend = Destination(clock)
    fallback = Destination(clock, is_store=True) if with_fallback else None
    settings = Settings(exporter=backend, fallback=fallback)
    record = Record(Span("0" * 31 + "1", "0" * 15 + "1"), Resource(settings), "invocation", "handler")
    for _ in range(sandboxes):
        clock.now, end, delivery = chance.uniform(0, GAP), 0.0, None
        while clock.now < END:
            if delivery is None or clock.now > end:
                if delivery is not None:
                    delivery.flush(GRACE, probe=True, last=True)
                    fleet.add(delivery)
                delivery = Delivery(backend, settings, fallback=fallback)
                end = clock.now + chance.expovariate(1 / LIFE)
            for _ in range(EVENTS):
                delivery.capture(record)
            delivery.flush(settings.flush_timeout)
            clock.now += chance.expovariate(1 / GAP)
        if delivery is not None:
            delivery.flush(GRACE, probe=True, last=True)
            fleet.add(delivery)
    fleet.requests = backend.requests
    return fleet


def simulate_in_processes(sandboxes: int, *, with_fallback: bool, processes: int) -> Fleet:
    """Return the same, in several processes."""
    fleet = Fleet()
    with ProcessPoolExecutor(processes) as pool:
        parts = [
            pool.submit(simulate, sandboxes // processes, seed, with_fallback=with_fallback)
            for seed in range(processes)
        ]
        for part in parts:
            fleet.add(part.result())
    return fleet


def summary(fleet: Fleet) -> str:
    """Return the figures, as a row of a table."""

    def highest(begin: float, end: float) -> str:
        return f"{max(fleet.requests[second] for second in range(int(begin), int(end))):,}"

    usual = sum(fleet.requests[second] for second in range(60, int(AWAY))) / (AWAY - 60)
    counts = (fleet.captured, fleet.delivered, fleet.parked, fleet.lost)
    cells = [*(f"{count:,}" for count in counts), f"{usual:,.0f}", highest(AWAY, BACK), highest(BACK, BACK + 120)]
    return f"| {' | '.join(cells)} |"


def plot(fleet: Fleet) -> str:
    """Requests by second, in an SVG image of 640 by 240 pixels."""
    top = max(fleet.requests[second] for second in range(60, int(END)))
    points = " ".join(
        f"{40 + second / END * 590:.1f},{210 - fleet.requests[second] / top * 180:.1f}"
        for second in range(60, int(END), 2)
    )
    left, right = (40 + second / END * 590 for second in (AWAY, BACK))
    minutes = "".join(
        f'<text x="{40 + minute * 60 / END * 590:.0f}" y="226" text-anchor="middle">{minute}</text>'
        for minute in range(0, int(END) // 60 + 1, 5)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 240" font-family="sans-serif" font-size="11">
<rect width="640" height="240" fill="#fff"/>
<rect x="{left:.0f}" y="20" width="{right - left:.0f}" height="190" fill="#eee"/>
<text x="{(left + right) / 2:.0f}" y="34" text-anchor="middle">the backend is unavailable</text>
<text x="4" y="12">requests per second</text><text x="36" y="34" text-anchor="end">{top:,}</text>
<text x="36" y="213" text-anchor="end">0</text>{minutes}<text x="630" y="238" text-anchor="end">minutes</text>
<path d="M40 20V210H630" fill="none" stroke="#888"/>
<polyline points="{points}" fill="none" stroke="#06c"/>
</svg>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--sandboxes", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    print("| fallback | captured | delivered | parked | lost | requests/s before | most, outage | most, on return |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for with_fallback in (False, True):
        fleet = simulate_in_processes(options.sandboxes, with_fallback=with_fallback, processes=options.processes)
        print(f"| {'yes' if with_fallback else 'no'} {summary(fleet)}", flush=True)
        if options.plot:
            options.plot.write_text(plot(fleet))


if __name__ == "__main__":
    main()
