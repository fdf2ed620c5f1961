"""A delivery that is gone after its test, and a clock that can be set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.delivery.support import LOOK_AT_THE_CLOCK, Make, assert_balanced, pauses
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._process.container import build_exporter
from zespan_serverless.exporters import Exporter
from zespan_serverless.settings import Settings
from zespan_serverless.testing import Backend


@pytest.fixture
def make() -> Iterator[Make]:
    """make(exporter, **settings): a delivery; its books are checked when the test is over."""
    made: list[Delivery] = []

    def make(exporter: Exporter, **settings: Any) -> Delivery:
        given = Settings(flush_timeout=5.0, exporter=exporter).replaced(**settings)
        made.append(Delivery(exporter, given, fallback=settings.get("fallback")))
        return made[-1]

    yield make
    for delivery in made:
        assert_balanced(delivery)
        delivery.reset()


@pytest.fixture
def to(backend: Backend, make: Make) -> Callable[..., Delivery]:
    """to(**settings): a delivery to the backend."""

    def to(**settings: Any) -> Delivery:
        given = Settings(base_url=backend.url, api_key="zsp_key")
        return make(build_exporter(given), **settings)

    return to


class Clock:
    """The wall clock as the delivery sees it; `now` is added to the real one."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def time(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in LOOK_AT_THE_CLOCK:
        monkeypatch.setattr(module, "time", SimpleNamespace(time=clock.time, monotonic=time.monotonic))
    return clock


@pytest.fixture
def at_once() -> Iterator[None]:
    """Retries without a pause."""
    with pauses(0.0):
        yield
