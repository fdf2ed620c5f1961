"""Fixtures for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.agents.support import Runtime
from zespan_serverless.testing import Backend


@pytest.fixture
def model() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(latency_ms=1) as endpoint:
        yield endpoint


@pytest.fixture
def start(backend: Backend, model: ModelEndpoint) -> Iterator[Callable[..., Runtime]]:
    """start(environment, app, **variables): a runtime that serves an application; it is killed after the test."""
    with ExitStack() as stack:

        def start(environment: str, app: str, **env: str) -> Runtime:
            return stack.enter_context(Runtime(environment, app, backend, model.url, **env))

        yield start
