"""What the tests of this folder share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from emulator.lambda_rie import Sandbox

Event = dict[str, Any]


class StartFunction(Protocol):
    """Starts a sandbox with the handler `module.name` of the folder `functions`; it is stopped after the test."""

    def __call__(self, handler: str, **options: Any) -> Sandbox: ...


def roots(events: list[Event]) -> list[Event]:
    """The events of invocations."""
    return [event for event in events if event["span_kind"] == "general"]


def calls(events: list[Event]) -> list[Event]:
    """The events of model calls."""
    return [event for event in events if event["span_kind"] == "llm"]


def until(condition: Callable[[], object], seconds: float = 5) -> None:
    """Wait for a condition; fails if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
