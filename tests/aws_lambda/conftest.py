"""Fixtures for functions on the real emulator, with a backend and a model endpoint on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.emulator.lambda_rie import HOOKS, Sandbox
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.aws_lambda.support import StartFunction
from zespan_serverless.testing import Backend

FUNCTIONS = Path(__file__).parent / "functions"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def model() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(latency_ms=1) as model:
        yield model


@pytest.fixture
def start(backend: Backend) -> Iterator[StartFunction]:
    if sys.platform != "linux":
        pytest.skip("AWS builds its emulator for Linux only")
    with ExitStack() as stack:

        def start(handler: str, *, env: dict[str, str] | None = None, **options: Any) -> Sandbox:
            environment = {
                "PYTHONPATH": os.pathsep.join(map(str, (HOOKS, ROOT, FUNCTIONS))),
                "ZESPAN_API_KEY": "zsp_test",
                "ZESPAN_BASE_URL": backend.url,
            }
            sandbox = Sandbox(handler, FUNCTIONS, env=environment | (env or {}), **{"timeout": 10, **options})
            return stack.enter_context(sandbox)

        yield start
