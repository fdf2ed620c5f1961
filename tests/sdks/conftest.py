"""Fixture for a model on the loopback interface."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint


@pytest.fixture
def model() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(latency_ms=0) as model:
        yield model
