from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.azure_functions.support import APPS, StartWorker, Worker
from zespan_serverless import testing

if importlib.util.find_spec("azure_functions_runtime") is None:  # not imported: this process is no worker
    pytest.skip("Microsoft's worker library is not installed: make test does that", allow_module_level=True)


@pytest.fixture
def model() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(latency_ms=0) as running:
        yield running


@pytest.fixture
def worker(backend: testing.Backend) -> Iterator[StartWorker]:
    started: list[Worker] = []

    def start(app: str | Path, model: str = "v2", **env: str) -> Worker:
        settings = {"ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_test", **env}
        started.append(Worker(APPS / app, model, settings))
        return started[-1]

    yield start
    for one in started:
        one.close()
