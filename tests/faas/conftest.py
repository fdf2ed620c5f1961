"""Fixtures for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from zespan_serverless.testing import Backend


@pytest.fixture(scope="module")
def model() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(latency_ms=1) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def ingest() -> Iterator[Backend]:
    """The backend of the processes of a module."""
    with Backend() as backend:
        yield backend
