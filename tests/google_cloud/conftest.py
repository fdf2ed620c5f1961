"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from emulator.model import ModelEndpoint
from tests.google_cloud.support import Function
from zespan_serverless.testing import Backend

Running = dict[object, Function]


@pytest.fixture(scope="module")
def module_backend() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def model() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(latency_ms=5) as model:
        yield model


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """Functions that a later test may go on with: half a second each."""
    found: Running = {}
    yield found
    with ExitStack() as stack:
        for function in found.values():
            stack.enter_context(function)


@pytest.fixture
def backend(module_backend: Backend) -> Backend:
    """As if it were new."""
    module_backend.mode, module_backend.latency = "ok", 0.0
    with module_backend._changed:
        module_backend._events.clear()
        module_backend._requests.clear()
    return module_backend


@pytest.fixture
def env(backend: Backend, model: ModelEndpoint) -> dict[str, str]:
    """What a function needs to find the backend and the model."""
    return {"ZESPAN_BASE_URL": backend.url, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-local"}


@pytest.fixture
def start(env: dict[str, str], running: Running) -> Callable[..., Function]:
    """start(target, source, *options, **environment): a function that is served."""

    def start(target: str, source: str | Path, *options: str, cloud: bool = True, **more: str) -> Function:
        key = (target, source, options, cloud, tuple(more.items()))
        if key not in running or running[key].is_over:
            running[key] = Function(target, source, {**env, **more}, *options, cloud=cloud)
        return running[key]

    return start
