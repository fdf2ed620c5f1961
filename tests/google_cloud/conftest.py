"""Fixtures for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.google_cloud.support import Function
from zespan_serverless.testing import Backend


@pytest.fixture
def env(backend: Backend) -> Iterator[dict[str, str]]:
    """The environment in which a function finds the backend and the model."""
    with ModelEndpoint(latency_ms=5) as model:
        yield {"ZESPAN_BASE_URL": backend.url, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-local"}


@pytest.fixture
def start(env: dict[str, str]) -> Iterator[Callable[..., Function]]:
    """start(target, source, *options, **environment): serve a function; it is stopped after the test."""
    with ExitStack() as stack:

        def start(target: str, source: str | Path, *options: str, cloud: bool = True, **more: str) -> Function:
            return stack.enter_context(Function(target, source, {**env, **more}, *options, cloud=cloud))

        yield start
