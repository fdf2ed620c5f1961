"""Helpers for the tests of this folder."""

from __future__ import annotations

from typing import Any, Protocol

from zespan_serverless_dev.emulator.lambda_rie import Sandbox

from tests.support import Event, calls, until

__all__ = ["Event", "StartFunction", "calls", "roots", "until"]


class StartFunction(Protocol):
    """Starts a sandbox with the handler `module.name` of the folder `functions`; it is stopped after the test."""

    def __call__(self, handler: str, **options: Any) -> Sandbox: ...


def roots(events: list[Event]) -> list[Event]:
    """Return the events of invocations, and of spans without a kind."""
    return [event for event in events if event["span_kind"] == "general"]
