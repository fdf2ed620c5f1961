"""Draws where the time of one invocation went."""

from __future__ import annotations

from collections.abc import Sequence

from zespan_serverless.testing._backend import Request
from zespan_serverless_dev.emulator.lambda_rie import Invoke
from zespan_serverless_dev.emulator.model import ModelRequest

WIDTH = 56  # columns


def show(invoke: Invoke, calls: Sequence[ModelRequest], requests: Sequence[Request]) -> None:
    """Print a line for the handler, each model call, the response, and each request to the backend. In ms."""
    response, scale = some(invoke.response_ms), WIDTH / invoke.wall_ms
    _bar("handler", 0, response, scale, f"{response:.0f}")
    for call in calls:
        start, stop = (call.time - invoke.sent) * 1000, (some(call.answered) - invoke.sent) * 1000
        _bar("  model", start, stop, scale, f"{stop - start:.0f}")
    _bar("response", response, response, scale, f"the caller has it after {response:.0f}")
    for request in requests:
        start = min((request.time - invoke.sent) * 1000, response)  # includes the way to the backend
        if request.answered is None:
            _bar("flush", start, invoke.wall_ms, scale, f"{invoke.wall_ms - start:.0f}, given up: the events are kept")
        else:
            stop = (request.answered - invoke.sent) * 1000
            _bar("flush", start, stop, scale, f"{stop - start:.0f}, answered {request.status}")


def some(value: float | None) -> float:
    """Return a time that must exist in every answered call."""
    assert value is not None
    return value


def _bar(label: str, start: float, stop: float, scale: float, note: str) -> None:
    """Print one line: a bar, or a mark if nothing lies between start and stop."""
    left = min(round(start * scale), WIDTH - 1)
    bar = "█" * max(1, round(stop * scale) - left) if stop > start else "▲"
    print(f"     {label:<9} {' ' * left + bar:<{WIDTH + 1}} {note}")
