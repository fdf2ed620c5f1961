"""Counts the function calls of a warm invocation with one model call: `python -m tools.bench.counts`.

The numbers do not depend on the speed of the machine, so that a test can have a limit for them. They are of all threads
of the process: Python's functions and C's, with those of the standard library that the package calls. The client is the
real one, whose HTTP transport answers from memory; the backend is in another process.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

from tools.bench.standins import StandIns
from tools.bench_calls import subjects
from zespan_serverless import testing, zespan_lambda

WARM, COUNTED = 5, 5  # invocations


class Counts(NamedTuple):
    """Calls of functions in one invocation."""

    python: int
    c: int


class Counter:
    """Counts calls in each thread that starts after it, and in this one, while it is used as a context manager."""

    def __init__(self) -> None:
        self._is_counting = False
        self._python = self._c = 0
        threading.setprofile(self._event)
        sys.setprofile(self._event)

    def _event(self, frame: FrameType, event: str, argument: Any) -> None:
        if self._is_counting:
            self._python += event == "call"
            self._c += event == "c_call"

    def count(self, call: Callable[[], Any]) -> Counts:
        self._python = self._c = 0
        self._is_counting = True
        call()
        self._is_counting = False
        return Counts(self._python, self._c)

    def close(self) -> None:
        threading.setprofile(None)
        sys.setprofile(None)


def count() -> dict[str, Counts]:
    """Return the medians for the function without telemetry, and for the decorated one."""
    counter = Counter()
    try:
        ask, _ = subjects()["openai"]

        def handler(event: dict[str, Any], context: object) -> dict[str, bool]:
            ask()
            return {"ok": True}

        found = {"bare": _median(counter, handler)}
        with StandIns() as standins:
            backend = standins.backend(0)
            traced = zespan_lambda(flush_mode="before_return", base_url=backend.url, api_key="zsp_counted")(handler)
            found["package"] = _median(counter, traced)
            if backend.requests() != WARM + COUNTED:
                raise RuntimeError(f"{backend.requests()} requests for {WARM + COUNTED} invocations")
        return found
    finally:
        counter.close()


def _median(counter: Counter, handler: Callable[[dict[str, Any], object], Any]) -> Counts:
    for _ in range(WARM):
        handler({}, testing.LambdaContext())
    counted = [counter.count(lambda: handler({}, testing.LambdaContext())) for _ in range(COUNTED)]
    return Counts(*(round(statistics.median(one[kind] for one in counted)) for kind in range(2)))


if __name__ == "__main__":
    print(json.dumps({name: counts._asdict() for name, counts in count().items()}))
